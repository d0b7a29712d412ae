"""Waiting for a recording's row to change. Whoever changes one tells; whoever waits looks in the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Changes:
    """Wakes those who wait for a recording. A missed wake-up costs a waiter at most its poll."""

    POLL_S = 0.25

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, recording: str) -> None:
        """The row or the files of `recording` have changed (and the change is committed)."""
        for waiter in self._waiting.get(recording, ()):
            waiter.set()

    async def wait(self, recording: str, timeout_s: float) -> None:
        """Return when `recording` changed, or after a poll's time or `timeout_s`: look again either way."""
        waiter = asyncio.Event()
        self._waiting[recording].add(waiter)
        try:
            async with asyncio.timeout(min(timeout_s, self.POLL_S)):
                await waiter.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[recording].discard(waiter)
            if not self._waiting[recording]:
                del self._waiting[recording]
