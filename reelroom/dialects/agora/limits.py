"""How many requests a second an App ID may make (section 1.4): a token bucket per App ID. Holds no HTTP."""

from __future__ import annotations

import math

from reelroom.dialects.agora import errors
from reelroom.dialects.rate import TokenBuckets

REQUESTS_PER_SECOND = 10.0
BURST = 10


class RateLimit:
    """Token buckets by App ID. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets = TokenBuckets()

    def take(self, appid: str, now_ns: int, per_second: float = REQUESTS_PER_SECOND, burst: int = BURST) -> None:
        """Count one request of `appid`; GatewayError 429 when it is one too many. `per_second` 0: no limit."""
        wait_s = self._buckets.take(appid, now_ns, per_second, float(burst))
        if wait_s:
            raise errors.too_many_requests(max(1, math.ceil(wait_s)))
