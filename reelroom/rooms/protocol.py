"""The bus: what an ingest process and its clients say to each other over a Unix stream socket.

Every message is `u32 length | u8 type | body`, big-endian, length counting type and body. A FRAME's body is
binary (`FRAME_HEADER`), every other body is msgpack of one of the structs below. Holds no I/O.

A connection is for requests (`Request` → `Reply`, by id), or after `Subscribe` for one recorder, or after `Watch` for
whoever wants to know which tracks there are.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from msgspec import Struct

from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Subscription

MAX_MESSAGE = 16 * 1024 * 1024
PREFIX = struct.Struct("!IB")  # length (type + body), type

FRAME = 1
#: With the prefix: length, type, flags, track, seq (per track, +1 a frame, from 1), room time in ns, RTP timestamp,
#: audio level (0..127 -dBov, 255 unknown).
FRAME_HEADER = struct.Struct("!IBBIQqIB")
FRAME_OVERHEAD = FRAME_HEADER.size  # payload starts here in a message that includes the prefix
KEY = 1  # decodable without anything before it (audio: always)
AFTER_GAP = 2  # frames between the one before and this were lost for good
TURN_SHIFT = 2  # bits 2 and 3: quarter turns clockwise that a display has to make (0..3)

HELLO, TRACK_ADDED, TRACK_REMOVED, TRACK_STATE, PARTICIPANT = 2, 3, 4, 5, 6
GAP, CAUGHT_UP, REPLY, PUBLISHED, HEARD = 7, 8, 9, 10, 11
SUBSCRIBE, UPDATE, KEYFRAME, REQUEST, WATCH = 32, 33, 34, 35, 36


class Hello(Struct, kw_only=True):
    """First message to a subscriber. Room time is UTC nanoseconds that advance with the monotonic clock."""

    ingest: str  # this ingest process's life; another value: frame numbers start anew
    room_ns: int  # room time now
    ring_s: float


class TrackAdded(Struct, kw_only=True):
    info: TrackInfo
    room_ns: int
    next_seq: int = 1  # seq of the next frame that will be sent to this subscriber


class TrackRemoved(Struct, kw_only=True):
    track: int
    room_ns: int
    reason: str  # "left", "timeout", "unpublished", "unsubscribed", "replaced", "codec_changed"


class TrackState(Struct, kw_only=True):
    """Muted: nothing has arrived for a while although the participant is connected; unmuted: it flows again."""

    track: int
    room_ns: int
    muted: bool


class Participant(Struct, kw_only=True):
    identity: str
    session: str
    room_ns: int
    joined: bool
    reason: str = ""  # when it left: "left", "timeout", "replaced", "kicked", "ingest_stopped"


class GapSeen(Struct, kw_only=True):
    """Media that was sent but never arrived and is given up, or that nobody sent while a track went over to another
    simulcast layer: between two frames of it."""

    track: int
    from_ns: int  # room time of the last frame before
    to_ns: int  # room time of the first frame after
    packets: int  # lost for good
    reason: str = "loss"  # "loss", "layer", "ring" (no longer in the ring when asked for)


class CaughtUp(Struct, kw_only=True):
    """Everything the subscription asked for from the past has been sent; what follows is live."""

    room_ns: int


class Heard(Struct, kw_only=True):
    """Everything that had come from senders by that room time has been sent. Many a second, to who asked for it."""

    room_ns: int


class Published(Struct, kw_only=True):
    """To a watcher: a track of any room is there, or is no longer. The first, up to CaughtUp, are all there are."""

    app: str
    room: str
    info: TrackInfo
    room_ns: int  # its first frame; of one that is gone its last
    joined_ns: int  # when its session came
    here: bool
    reason: str = ""  # why it is gone, as in TrackRemoved


class Position(Struct, frozen=True, kw_only=True):
    """Where a recorder that comes back stopped: it has every frame of the track up to and including `seq`."""

    track: int
    seq: int


class Subscribe(Struct, kw_only=True):
    app: str
    room: str
    recording: str
    subscription: Subscription
    since_ns: int  # room time (UTC ns) that the recording should reach back to, within the ring
    resume: tuple[Position, ...] = ()
    ingest: str = ""  # the Hello.ingest that `resume` belongs to
    heard: bool = False  # whether it wants Heard


class Update(Struct, kw_only=True):
    subscription: Subscription
    at_ns: int  # room time of the call that changed it


class Keyframe(Struct, kw_only=True):
    track: int


class Watch(Struct, kw_only=True):
    """Tell me of every track that comes and goes, and first of those that are there: Hello, Published…, CaughtUp."""


class Request(Struct, kw_only=True):
    id: int
    method: str
    params: dict[str, Any] = {}


class Reply(Struct, kw_only=True):
    id: int
    result: Any = None
    error: str = ""  # empty: it worked
    code: str = ""  # machine-readable kind of error: "sdp", "not_found", "conflict", "precondition", "invalid"


TYPES: dict[int, type[Struct]] = {
    HELLO: Hello,
    TRACK_ADDED: TrackAdded,
    TRACK_REMOVED: TrackRemoved,
    TRACK_STATE: TrackState,
    PARTICIPANT: Participant,
    GAP: GapSeen,
    CAUGHT_UP: CaughtUp,
    REPLY: Reply,
    PUBLISHED: Published,
    HEARD: Heard,
    SUBSCRIBE: Subscribe,
    UPDATE: Update,
    KEYFRAME: Keyframe,
    REQUEST: Request,
    WATCH: Watch,
}
_NUMBERS = {cls: number for number, cls in TYPES.items()}
_encoder = msgspec.msgpack.Encoder()
_decoders = {number: msgspec.msgpack.Decoder(cls) for number, cls in TYPES.items()}


def degrees(flags: int) -> int:
    """How far a frame has to be turned clockwise to be seen upright: 0, 90, 180 or 270."""
    return (flags >> TURN_SHIFT & 3) * 90


def encode(message: Struct) -> bytes:
    """One whole message, prefix included."""
    body = _encoder.encode(message)
    return PREFIX.pack(len(body) + 1, _NUMBERS[type(message)]) + body


def decode(kind: int, body: bytes | memoryview) -> Any:
    """The struct of a non-FRAME message; msgspec.DecodeError or KeyError when it is not one."""
    return _decoders[kind].decode(body)
