"""What Tencent's clients say of a stream when they enter a room: its id, and how its recording is to be called (3.3).

Said here with the WHIP request. Kept in memory: a stream that outlives this process has its recording already.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import NamedTuple

from reelroom.control.errors import ControlError

_REMEMBERED = 50_000
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Key = tuple[str, str, str, str]  # app, room, identity, "camera" or "screen"


class Given(NamedTuple):
    stream_id: str = ""
    record_id: str = ""  # userDefineRecordId


_streams: OrderedDict[Key, Given] = OrderedDict()


def remember(key: Key, stream_id: str, record_id: str) -> None:
    """ControlError for what cannot be one. Whoever comes again without them has none any more."""
    for where, value in (("streamId", stream_id), ("userDefineRecordId", record_id)):
        if value and not _ID.fullmatch(value):
            raise ControlError("invalid", "must be 1 to 64 of A-Z, a-z, 0-9, '_' and '-'", where)
    _streams.pop(key, None)
    if stream_id or record_id:
        _streams[key] = Given(stream_id, record_id)
        if len(_streams) > _REMEMBERED:
            _streams.popitem(last=False)


def find(key: Key) -> Given:
    return _streams.get(key, Given())
