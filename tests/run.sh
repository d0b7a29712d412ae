#!/usr/bin/env bash
# All checks and tests, in the project's .venv, after installing what they need. Called by ./run test.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '%s\n' "$*" >&2; }

# --- what the tests need besides Python packages ---
commands=(chromium ffmpeg ffprobe npm node curl)
packages=(chromium ffmpeg nodejs npm curl
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice
  python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-bad-1.0)
missing=()
for name in "${commands[@]}"; do command -v "$name" >/dev/null 2>&1 || missing+=("$name"); done
/usr/bin/python3 -c 'import gi; gi.require_version("GstWebRTC", "1.0"); from gi.repository import GstWebRTC' \
  >/dev/null 2>&1 || missing+=(gstreamer)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing for the tests: ${missing[*]}"
    # npm may come with a Node of its own: only what is missing is asked for.
    wanted=()
    for package in "${packages[@]}"; do
      case "$package" in
        nodejs | npm | curl) command -v "${package/nodejs/node}" >/dev/null 2>&1 || wanted+=("$package") ;;
        *) wanted+=("$package") ;;
      esac
    done
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
  else
    say "missing for the tests: ${missing[*]}; tests that need them will be skipped."
    say "  Debian: apt-get install ${packages[*]}"
  fi
fi

if [ $# -gt 0 ]; then # ./run test tests/unit -k clock
  exec .venv/bin/python -m pytest "$@"
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# Live tests wait more than they work: three at a time on two cores. Those that measure time have the machine to themselves.
.venv/bin/python -m pytest tests -m "not alone" --durations=12 -n 3 --dist loadfile --no-loadscope-reorder
exec .venv/bin/python -m pytest tests -m alone --durations=5
