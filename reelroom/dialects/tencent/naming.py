"""Tencent's file names (section 4.4), stream ids and names of classic files (3.3, 3.4), rules for names in requests.

Makes file names as the domain's patterns: `domain/naming.py` expands them.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from reelroom.dialects.tencent import errors
from reelroom.domain.naming import base64_name
from reelroom.domain.recording import Naming

STRING_ROOM, NUMBER_ROOM = 0, 1  # RoomIdType
MAX_ROOM = 2**32 - 2
STREAM_TYPES = {"camera": "main", "screen": "aux"}
#: As a pattern has them.
SOURCES = (("camera", "main"), ("screen", "aux"), ("mixed", "mix"))
_STRING_ROOM = re.compile(r"[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,64}")
_NUMBER_ROOM = re.compile(r"[1-9][0-9]{0,9}")


def is_number(room: str) -> bool:
    """Whether it may be an integer room's id."""
    return _NUMBER_ROOM.fullmatch(room) is not None and int(room) <= MAX_ROOM


def check_room(room: str, room_type: int) -> str:
    """The room's name here. 1 to 4294967294, or 1 to 64 of the vendor's characters. TencentError OutOfRange."""
    if room_type == NUMBER_ROOM:
        if not is_number(room):
            raise errors.out_of_range("RoomId", f"must be 1 to {MAX_ROOM} with RoomIdType 1 (0 is for string rooms)")
    elif not _STRING_ROOM.fullmatch(room):
        raise errors.out_of_range("RoomId", "must be 1 to 64 letters, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,")
    return room


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def recording(sdk_app_id: int, room: str, room_type: int, prefix: list[str], defined: str = "") -> Naming:
    """`<prefix>/<TaskId>/<SdkAppId>_<RoomId>__UserId_s_<UserId>__UserId_e_<MediaId>_<Type>`, of a mix
    `<SdkAppId>_<RoomId>`; slices with their begin in UTC to the millisecond. `defined`: UserDefineRecordId.
    """
    said = base64_name(room) if room_type == STRING_ROOM else room
    front = f"{defined}__UserDefine_u_" if defined else ""
    mixed = f"{front}{sdk_app_id}_{said}"
    single = mixed + "__UserId_s_{identity:base64}__UserId_e_{source:main}"
    return Naming(
        prefix="".join(f"{part}/" for part in prefix) + "{recording}/",
        file=single + "_{kind:long}",
        segment=single + "_{kind:long}_{start:digits}",
        finished=single + "{part}",
        mixed=mixed,
        mixed_segment=mixed + "_{start:digits}",
        mixed_file=mixed + "{part}",
    )


def stream_id(sdk_app_id: int, room: str, user: str, output: str, bizid: str = "") -> str:
    """The id of a relayed stream to which nobody gave one; with `bizid` by the rule of before 2020."""
    kind = STREAM_TYPES[output]
    if bizid:
        digest = hashlib.md5(f"{room}_{user}_{kind}".encode(), usedforsecurity=False).hexdigest()
        return f"{bizid}_{digest}"
    return quote(f"{sdk_app_id}_{room}_{user}_{kind}", safe="")


def classic_name(prefix: str) -> str:
    """`<prefix>_<start>_<end>` as a pattern of the library."""
    form = "%Y-%m-%d-%H-%M-%S"
    return f"{_literal(prefix)}_{{start:{form}}}_{{end:{form}}}"


def library_literal(text: str) -> str:
    """`text` as a pattern that says just this."""
    return _literal(text)
