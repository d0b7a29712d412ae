"""Times as Alibaba Cloud RTC writes them: UTC, whole seconds, with a Z."""

from __future__ import annotations

from datetime import UTC, datetime

from reelroom.dialects.aliyun_rtc import errors

_MOST = 1 << 62  # what databases hold; the year 2116


def iso(ns: int) -> str:
    """`ns`: UTC nanoseconds."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nanoseconds(text: str, where: str) -> int:
    """AliyunError for what is no time."""
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise errors.wrong(where, "must be a time like 2020-11-17T05:08:12Z") from None
    return max(-_MOST, min(_MOST, int(parsed.timestamp()) * 10**9))
