"""How often a second an account may make each call: a token bucket per key and action. Holds no HTTP."""

from __future__ import annotations

from reelroom.dialects.aliyun import errors
from reelroom.dialects.rate import TokenBuckets


class RateLimit:
    """Token buckets that hold a second's calls. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()

    def take(self, key_id: str, action: str, now_ns: int, per_second: float) -> None:
        """Count one call; AliyunError Throttling.User when it is one too many. `per_second` 0: no limit."""
        wait_s = self._buckets.take((key_id, action), now_ns, per_second, max(1.0, per_second))
        if wait_s:
            raise errors.throttled()
