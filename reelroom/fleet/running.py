"""Which recorders of a data folder run on this machine, by who holds their locks. Starts and ends none."""

from __future__ import annotations

import os
from pathlib import Path

_COMM = "rr "  # the fork server names recorders "rr " and the beginning of the recording's id


def recorders(recordings: Path) -> dict[str, int]:
    """Process ids by recording, those that a killed fork server left behind among them.

    Read from /proc/locks: a recorder holds an flock on its recording's `lock` as long as it lives.
    """
    found: dict[str, int] = {}
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if len(words) < 6 or words[1] != "FLOCK":
            continue
        pid, inode = int(words[4]), int(words[5].rpartition(":")[2])
        try:
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue  # it has ended meanwhile
        if not comm.startswith(_COMM.strip()):
            continue
        for folder in recordings.glob(comm[len(_COMM) :] + "*"):
            try:
                if os.stat(folder / "lock").st_ino == inode:
                    found[folder.name] = pid
            except FileNotFoundError:
                continue
    return found
