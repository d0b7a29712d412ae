"""A fork server whose recordings lie on a small file system, and filling it up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.media.recorderkit import Fleet


@contextmanager
def small_disk() -> Iterator[Fleet]:
    """A fork server whose recordings lie on a file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    fleet = Fleet()
    folder = fleet.data / "recordings"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        fleet.close()
        pytest.skip(f"no small file system: {mounted.stderr.decode().strip()}")
    yield fleet
    fleet.process.terminate()
    fleet.process.wait(5)
    subprocess.run(["umount", "-l", folder], check=True)
    fleet.folder.cleanup()


def fill(folder: Path, leave: int) -> Path:
    found = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(found.f_bavail * found.f_frsize - leave))
    return ballast
