#!/usr/bin/env bash
# What the tests need besides Python packages: installs it where that can be, else says what is missing.
set -euo pipefail
say() { printf '%s\n' "$*" >&2; }

commands=(chromium ffmpeg ffprobe npm node curl)
packages=(chromium ffmpeg nodejs npm curl
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice
  python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-bad-1.0 postgresql)
missing=()
for name in "${commands[@]}"; do command -v "$name" >/dev/null 2>&1 || missing+=("$name"); done
/usr/bin/python3 -c 'import gi; gi.require_version("GstWebRTC", "1.0"); from gi.repository import GstWebRTC' \
  >/dev/null 2>&1 || missing+=(gstreamer)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql) # Debian has it in no PATH
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  say "missing for the tests: ${missing[*]}; tests that need them will be skipped."
  say "  Debian: apt-get install ${packages[*]}"
  exit 0
fi
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
