"""How much room there is on a recording's disk. Decides no stop by itself: it says low and full."""

from __future__ import annotations

import os
from pathlib import Path

from reelroom.domain.lines import Notice

LOW_BYTES = 256 * 1024 * 1024
#: Less than this and what is in the open logs: the recording ends while its segments can still be closed.
RESERVE_BYTES = 8 * 1024 * 1024


class DiskWatch:
    """Looks once a second. `full` is set for good once it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said = False
        self.full = False

    def look(self) -> Notice | None:
        """A "disk_low" notice when room has just become little (again only after there was twice as much)."""
        found = os.statvfs(self._folder)
        free = found.f_bavail * found.f_frsize
        logs = sum(entry.stat().st_size for entry in os.scandir(self._folder / "wal") if entry.name.endswith(".wal"))
        if free < RESERVE_BYTES + 2 * logs:
            self.full = True
        if free >= 2 * LOW_BYTES:
            self._said = False
        elif free < LOW_BYTES and not self._said:
            self._said = True
            return Notice(code="disk_low", message=f"{free // 1_048_576} MiB are free on the recordings' disk")
        return None
