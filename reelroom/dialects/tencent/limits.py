"""How many calls of one action a second an app may make (section 5): a token bucket each. Holds no HTTP."""

from __future__ import annotations

from reelroom.dialects.rate import TokenBuckets
from reelroom.dialects.tencent import errors


class RateLimit:
    """Token buckets by app and action. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()

    def take(self, app: str, action: str, now_ns: int, per_second: float) -> None:
        """Count one call; TencentError RequestLimitExceeded when it is one too many. `per_second` 0: no limit."""
        wait_s = self._buckets.take((app, action), now_ns, per_second, max(1.0, per_second))
        if wait_s:
            raise errors.limit_exceeded(action, per_second)
