"""How often a second an AppId may make each call (section 1.6): a token bucket per AppId and action. Holds no HTTP."""

from __future__ import annotations

from reelroom.dialects.rate import TokenBuckets
from reelroom.dialects.zego import errors

STARTS_PER_SECOND = 50.0  # StartRecord and StopRecord, each
OTHERS_PER_SECOND = 10.0  # every other action
MAX_RECORDINGS = 1000  # at one time: the vendor's main cluster


class RateLimit:
    """Token buckets that hold a second's calls. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()

    def take(self, app_id: str, action: str, now_ns: int, per_second: float) -> None:
        """Count one call; ZegoError 300000003 when it is one too many. `per_second` 0: no limit."""
        wait_s = self._buckets.take((app_id, action), now_ns, per_second, max(1.0, per_second))
        if wait_s:
            raise errors.too_many_calls()
