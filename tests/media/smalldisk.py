"""A fork server whose recordings lie on a small file system, and filling it up."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.media.recorderkit import Fleet

_BLOCK = 1 << 20


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
    """A file that leaves `leave` bytes free, whatever a recorder writes meanwhile; with 0, no write finds room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (room := _free(folder) - leave) > 0:
            try:
                file.write(bytes(min(room, _BLOCK)))
            except OSError as error:
                if leave or error.errno != errno.ENOSPC:
                    raise
                break  # the recorder was faster
    return ballast


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
