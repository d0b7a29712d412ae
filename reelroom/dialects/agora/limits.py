"""How many requests a second an App ID may make (section 1.4): a token bucket per App ID. Holds no HTTP."""

from __future__ import annotations

import math
from collections import OrderedDict

from reelroom.dialects.agora import errors

REQUESTS_PER_SECOND = 10.0
BURST = 10
_REMEMBERED = 10_000  # App IDs; an idle bucket is full, so forgetting one gives nothing away


class RateLimit:
    """Token buckets by App ID. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()  # tokens left, when

    def take(self, appid: str, now_ns: int, per_second: float = REQUESTS_PER_SECOND, burst: int = BURST) -> None:
        """Count one request of `appid`; GatewayError 429 when it is one too many. `per_second` 0: no limit."""
        if per_second <= 0:
            return
        tokens, then_ns = self._buckets.pop(appid, (float(burst), now_ns))
        tokens = min(float(burst), tokens + max(0, now_ns - then_ns) * per_second / 1e9)
        allowed = tokens >= 1
        self._buckets[appid] = (tokens - 1 if allowed else tokens, now_ns)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            raise errors.too_many_requests(max(1, math.ceil((1 - tokens) / per_second)))
