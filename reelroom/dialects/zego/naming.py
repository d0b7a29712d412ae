"""ZEGO's file names (section 4.1) as the domain's patterns, its stream ids, its task ids. Makes no file names itself:
`domain/naming.py` does, from these patterns.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import time
from typing import NamedTuple

from reelroom.dialects.zego import errors
from reelroom.domain.names import check_name
from reelroom.domain.naming import SCREEN, check_naming
from reelroom.domain.recording import Format, Naming, Source

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f]")
TASK_BYTES = 12
_FILL = "00000000"
_MACHINE = os.urandom(3)
_COUNTER = itertools.count(int.from_bytes(os.urandom(3), "big"))


#: What a stream consists of: its picture, its sound.
SOURCES = {"camera": (Source.CAMERA, Source.MICROPHONE), "screen": (Source.SCREEN, Source.SCREEN_AUDIO)}


class StreamName(NamedTuple):
    """A participant's camera or screen, each of which is a stream of its own in ZEGO."""

    identity: str
    source: str


def task_id(now_s: int | None = None) -> str:
    """Sixteen characters: base64 of start, machine, process, counter, as the vendor's samples have it (section 2.1)."""
    second = int(time.time()) if now_s is None else now_s
    raw = second.to_bytes(4, "big") + _MACHINE + (os.getpid() & 0xFFFF).to_bytes(2, "big")
    raw += (next(_COUNTER) & 0xFFFFFF).to_bytes(3, "big")
    return base64.urlsafe_b64encode(raw).decode()


def recording_id(task: str) -> str:
    """A task's recording: its bytes in hex, filled up to the 32 digits that a recording's id has."""
    try:
        raw = base64.b64decode(task, altchars=b"-_", validate=True)
    except ValueError:
        raise errors.no_task() from None
    if len(raw) != TASK_BYTES:
        raise errors.no_task()
    return raw.hex() + _FILL


def task_of(recording: str) -> str:
    """The other way round."""
    return base64.urlsafe_b64encode(bytes.fromhex(recording)[:TASK_BYTES]).decode()


def stream(stream_id: str, where: str) -> StreamName:
    """Whose stream an id names: a participant's camera is called as they are, their screen has "~screen" behind it."""
    screen = stream_id.endswith(SCREEN) and len(stream_id) > len(SCREEN)
    identity = stream_id.removesuffix(SCREEN) if screen else stream_id
    try:
        check_name(where, identity)
    except (ValueError, UnicodeError) as error:
        raise errors.invalid(str(error)) from None
    return StreamName(identity, "screen" if screen else "camera")


def room(room_id: str) -> str:
    try:
        return check_name("RoomId", room_id)
    except (ValueError, UnicodeError) as error:
        raise errors.invalid(str(error)) from None


def folder(given: str) -> str:
    """`OutputFolder` as a prefix of keys: without a slash in front, with one at the end."""
    plain = given.removeprefix("/")
    return plain + "/" if plain and not plain.endswith("/") else plain


def naming(task: str, folder_: str, mix_stream: str = "", *, library: bool = False) -> Naming:
    """`<TaskId>_<RoomId>_<UserId>_<StreamId>_<Type>_<UTC>`, of a mix `<TaskId>_<RoomId>_<MixOutputStreamId>_…`.

    `library`: the app's library wants a folder for each recording.
    """
    end = "_{letters}_{start:digits}"
    own = task + "_{room}_{identity}_{stream}" + end
    mixed = task + "_{room}_" + literal(_UNSAFE.sub("-", mix_stream)) + end
    made = Naming(
        prefix=literal(folder_) + ("{recording}/" if library else ""),
        file=own,
        segment=own + "_{index}",
        mixed=mixed,
        mixed_segment=mixed + "_{index}",
    )
    try:
        check_naming(made, (Format.HLS, Format.MP4))
    except ValueError as error:
        name = "OutputFolder" if str(error).startswith("naming.prefix") else "MixOutputStreamId"
        raise errors.invalid(f"{name}: {str(error).partition(' ')[2]}") from None
    return made


def literal(text: str) -> str:
    """Text as a pattern that means itself."""
    return text.replace("{", "{{").replace("}", "}}")
