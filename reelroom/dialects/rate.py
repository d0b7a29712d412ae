"""How often something may be done: token buckets by key. Knows no vendor and raises nobody's error."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

_REMEMBERED = 10_000  # an idle bucket is full, so forgetting one gives nothing away


class TokenBuckets:
    """Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()  # tokens left, when

    def take(self, key: Hashable, now_ns: int, per_second: float, burst: float) -> float:
        """Take one token of `key`: 0 when there was one or no limit (`per_second` 0), else seconds until then."""
        if per_second <= 0:
            return 0.0
        tokens, then_ns = self._buckets.pop(key, (burst, now_ns))
        tokens = min(burst, tokens + max(0, now_ns - then_ns) * per_second / 1e9)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now_ns)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / per_second
