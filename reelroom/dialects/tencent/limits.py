"""How many calls of one action a second an app may make (section 5): a token bucket each. Holds no HTTP."""

from __future__ import annotations

from collections import OrderedDict

from reelroom.dialects.tencent import errors

_REMEMBERED = 10_000  # an idle bucket is full, so forgetting one gives nothing away


class RateLimit:
    """Token buckets by app and action. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # tokens left, when

    def take(self, app: str, action: str, now_ns: int, per_second: float) -> None:
        """Count one call; TencentError RequestLimitExceeded when it is one too many. `per_second` 0: no limit."""
        if per_second <= 0:
            return
        burst = max(1.0, per_second)
        tokens, then_ns = self._buckets.pop((app, action), (burst, now_ns))
        tokens = min(burst, tokens + max(0, now_ns - then_ns) * per_second / 1e9)
        allowed = tokens >= 1
        self._buckets[app, action] = (tokens - 1 if allowed else tokens, now_ns)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            raise errors.limit_exceeded(action, per_second)
