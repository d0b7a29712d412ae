"""How often a second an AppId may make each call (section 1.6): a token bucket per AppId and action. Holds no HTTP."""

from __future__ import annotations

from collections import OrderedDict

from reelroom.dialects.zego import errors

STARTS_PER_SECOND = 50.0  # StartRecord and StopRecord, each
OTHERS_PER_SECOND = 10.0  # every other action
MAX_RECORDINGS = 1000  # at one time: the vendor's main cluster
_REMEMBERED = 10_000  # an idle bucket is full, so forgetting one gives nothing away


class RateLimit:
    """Token buckets that hold a second's calls. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # tokens left, when

    def take(self, app_id: str, action: str, now_ns: int, per_second: float) -> None:
        """Count one call; ZegoError 300000003 when it is one too many. `per_second` 0: no limit."""
        if per_second <= 0:
            return
        burst = max(1.0, per_second)
        tokens, then_ns = self._buckets.pop((app_id, action), (burst, now_ns))
        tokens = min(burst, tokens + max(0, now_ns - then_ns) * per_second / 1e9)
        allowed = tokens >= 1
        self._buckets[app_id, action] = (tokens - 1 if allowed else tokens, now_ns)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            raise errors.too_many_calls()
