"""What is in recorded files, for the tests of vendors' clients. Holds no test."""

from __future__ import annotations

import subprocess
from pathlib import Path


def probe(path: Path) -> dict[str, str]:
    """Codec names, sizes and rates of what is in a file, by codec_type."""
    entries = "stream=codec_type,codec_name,width,height,r_frame_rate,sample_rate,channels"
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "compact=p=0:nk=1", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return {line.split("|")[1]: line for line in sorted(set(lines))}


def corners(path: Path, place: str = "0:0") -> list[tuple[int, int, int]]:
    """The colour of the picture's upper left corner, ten times a second; or of another place, as FFmpeg's X:Y."""
    crop = f"fps=10,crop=8:8:{place},scale=1:1:flags=area,format=rgb24"
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", crop, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return [(raw[n], raw[n + 1], raw[n + 2]) for n in range(0, len(raw), 3)]


def red(color: tuple[int, int, int]) -> bool:
    return color[0] > 200 and max(color[1:]) < 60
