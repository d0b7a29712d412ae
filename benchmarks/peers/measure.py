"""What the recorders that we are compared with cost and wrote. Standard library only; starts nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def cpu_and_rss(pid: int) -> tuple[float, int]:
    """CPU seconds (user and system) that a process has used until now, and its resident bytes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = start + size if size else end
        if stop <= start:
            return
        yield kind, body, min(stop, end)
        start = stop


def mp4_samples(path: Path) -> dict[str, int]:
    """How many samples an MP4 file (not a fragmented one) has, by kind: {"video": n, "audio": n}.

    A file that was never finished has none.
    """
    data = path.read_bytes()
    counts = {"video": 0, "audio": 0}

    def walk(start: int, end: int, handler: list[str]) -> None:
        for kind, body, stop in _boxes(data, start, end):
            if kind == b"trak":
                walk(body, stop, [])
            elif kind in _CONTAINERS:
                walk(body, stop, handler)
            elif kind == b"hdlr":
                handler.append({b"vide": "video", b"soun": "audio"}.get(data[body + 8 : body + 12], ""))
            elif kind == b"stsz" and handler and handler[-1]:
                counts[handler[-1]] += struct.unpack_from(">I", data, body + 8)[0]

    walk(0, len(data), [])
    return counts


@dataclass(slots=True)
class Usage:
    """A recorder process's own account, from the first participant's arrival to the end of recording."""

    began: float = 0.0
    cpu_at_start: float = 0.0
    names: list[str] = field(default_factory=list)

    def arrived(self, name: str) -> None:
        if not self.names:
            self.began, self.cpu_at_start = time.monotonic(), self._cpu()
        self.names.append(name)

    @staticmethod
    def _cpu() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def stop(self) -> dict[str, Any]:
        """The figures at the end of recording; call before files are closed and counted."""
        return {
            "participants": len(self.names),
            "cpu_seconds": self._cpu() - self.cpu_at_start,
            "wall_seconds": time.monotonic() - self.began if self.names else 0.0,
            "rss_bytes": cpu_and_rss(os.getpid())[1],
        }

    def count(self, folder: Path) -> dict[str, dict[str, int]]:
        """Samples in each participant's files, `<name>*.mp4` in `folder`."""
        written = {}
        for name in self.names:
            total = {"video": 0, "audio": 0}
            for path in sorted(folder.glob(f"{name}-*.mp4")):
                for kind, count in mp4_samples(path).items():
                    total[kind] += count
            written[name] = total
        return written


def say(record: dict[str, Any]) -> None:
    """Print one JSON line."""
    print(json.dumps(record), flush=True)


def wait_for_end(seconds: float | None) -> None:
    """Return after `seconds`, or at SIGTERM or SIGINT. The signals must be blocked before threads start."""
    signals = {signal.SIGTERM, signal.SIGINT}
    if seconds is None:
        signal.sigwait(signals)
    else:
        signal.sigtimedwait(signals, seconds)
