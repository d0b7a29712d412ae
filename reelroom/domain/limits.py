"""What ends a recording by itself: nobody publishing, or long enough. Holds no clock and no tracks."""

from __future__ import annotations

from reelroom.domain.recording import Limits, StopReason
from reelroom.domain.timeline import Pauses

SECOND = 1_000_000_000
TELL_AFTER_NS = 15 * SECOND  # since when nobody has published; a reconnection takes less
TELL_EVERY_NS = 30 * SECOND


class LimitWatch:
    """Watches one recording's limits. All times are room time in nanoseconds.

    Idle counts from the start of the recording or from when the last wanted track went, whichever is later;
    a muted track is still published. The duration leaves pauses out and idleness does not, or the other way round
    with `Limits.pauses_count`.
    """

    def __init__(self, limits: Limits, started_ns: int) -> None:
        self._idle_ns = round(limits.idle_s * SECOND)
        self._duration_ns = round(limits.duration_s * SECOND)
        self._pauses_count = limits.pauses_count
        self._started_ns = started_ns
        self._idle_since: int | None = started_ns
        self._tells = limits.tell_idle
        self._told_ns = 0

    def published(self, tracks: int, now_ns: int) -> None:
        """How many tracks that the recording wants are published now."""
        if tracks:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now_ns

    def quiet(self, now_ns: int, pauses: Pauses) -> int | None:
        """Since when nobody has published, when that is to be said now."""
        since = self._idle_since
        if not self._tells or since is None or pauses.paused or now_ns - since < TELL_AFTER_NS:
            return None
        if self._told_ns > since and now_ns - self._told_ns < TELL_EVERY_NS:
            return None
        self._told_ns = now_ns
        return since

    def due(self, now_ns: int, pauses: Pauses) -> tuple[StopReason, int] | None:
        """Which limit has been reached, and the room time at which the recording ends by it."""
        if self._duration_ns and (self._pauses_count or not pauses.paused):
            paused_ns = 0 if self._pauses_count else pauses.between(self._started_ns, now_ns)
            over = now_ns - self._started_ns - paused_ns - self._duration_ns
            if over >= 0:
                return StopReason.MAX_DURATION, now_ns - over
        since = self._idle_since
        if since is not None and self._pauses_count:
            if pauses.paused:
                return None
            since = max(since, *(end for _, end in pauses.spans if end is not None), 0)
        if self._idle_ns and since is not None and now_ns - since >= self._idle_ns:
            return StopReason.IDLE, since + self._idle_ns
        return None
