"""What a recorder can write into its journal: one struct per kind of line. Holds no file and no hashing.

All `*_ns` are room time (UTC nanoseconds) unless they say `media`, which is time within an output's files:
0 at the output's first frame, pauses cut out.
"""

from __future__ import annotations

from msgspec import Struct

from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Subscription
from reelroom.domain.scene import Scene


class Line(Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of all lines; `type` on the wire is the class's name in lower case."""


class Opened(Line, frozen=True, kw_only=True):
    """A recorder took over: the first line of an epoch."""

    room_ns: int
    spec_sha256: str
    ingest: str
    public_key: str  # Ed25519, base64: what the lines of this epoch are signed with
    resumed: bool = False


class OutputOpened(Line, frozen=True, kw_only=True):
    """The first frame of an output: one participant's camera or screen, as one or two files (`kind`)."""

    output: str  # "001", "002"...: order of first frames; also the folder of its segments
    identity: str
    source: str  # "camera" or "screen"; "mixed": the mix, whose identity is empty
    kind: str  # "av", "audio" or "video"
    start_ns: int


class Track(Line, frozen=True, kw_only=True):
    """A track came, went, fell silent or spoke again."""

    info: TrackInfo
    at_ns: int
    change: str  # "added", "removed", "muted", "unmuted"
    reason: str = ""


class Participant(Line, frozen=True, kw_only=True):
    identity: str
    session: str
    at_ns: int
    joined: bool
    reason: str = ""


class Init(Line, frozen=True, kw_only=True):
    """An fMP4 initialisation segment (EXT-X-MAP); a codec or track change makes the next one."""

    output: str
    rendition: str
    number: int  # from 1
    path: str  # within the recording's folder
    bytes: int
    sha256: str


class Segment(Line, frozen=True, kw_only=True):
    """One closed, synced and hashed segment of one rendition of one output."""

    output: str
    rendition: str  # "hls": what the playlist names; "copy": frames as they came; "aac", "h264"...: see mux/plan.py
    container: str  # "fmp4" or "ts"
    number: int  # from 1, without holes
    path: str
    bytes: int
    sha256: str
    start_ns: int
    end_ns: int
    media_start_ns: int
    media_end_ns: int
    video_codec: str = ""
    audio_codec: str = ""
    channels: int = 0  # of the sound; 0: there is none
    sample_rate: int = 0  # Hz
    width: int = 0
    height: int = 0
    rotation: int = 0  # degrees clockwise by which a player turns pictures, as the Init says
    video_frames: int = 0
    audio_frames: int = 0
    init: int = 0  # number of the Init it needs; 0: none (ts)
    discontinuity: bool = False  # codec or tracks differ from the segment before
    key: bool = True  # starts with a key frame (or has no video)
    through: dict[int, int] = {}  # bus track → seq of the last frame in it
    transcoded: tuple[str, ...] = ()  # of "video", "audio"
    salvaged: bool = False  # made from what a killed recorder had written


class Gap(Line, frozen=True, kw_only=True):
    """Nothing was received from `from_ns` to `to_ns`, and why."""

    output: str
    kind: str  # "audio" or "video"
    identity: str
    from_ns: int
    to_ns: int
    #: "loss", "mute", "left", "reconnect", "ring", "ingest_restart", "unsubscribed", "stall", "layer" (of simulcast:
    #: another took over), "pause" (after one: until the next key frame); of a mix also "overload", "failure",
    #: "damage" (pictures that could not be decoded) and "late" (sound that came when its time had been mixed already)
    reason: str
    packets: int = 0
    filled: str = ""  # "silence", "last", "black" where the recording asked for it


class Paused(Line, frozen=True, kw_only=True):
    at_ns: int


class Resumed(Line, frozen=True, kw_only=True):
    at_ns: int


class Quiet(Line, frozen=True, kw_only=True):
    """Nobody has published since then; said again and again where the recording asked for it."""

    at_ns: int
    since_ns: int


class Subscribed(Line, frozen=True, kw_only=True):
    at_ns: int
    subscription: Subscription


class SceneChanged(Line, frozen=True, kw_only=True):
    """A mixed recording shows another scene from then on."""

    at_ns: int
    scene: Scene


class Notice(Line, frozen=True, kw_only=True):
    """Something an operator should know that is no gap: "transcoding", "codec_changed", "disk_low"..."""

    code: str
    message: str
    output: str = ""
    about: str = ""  # which push, of "push_..."; which encoder, of "mix_hung" and "encoder_hung"
    at_ns: int = 0  # room time, of "mix_resumed", "mix_hung" and "mix_failed"


def encoder_hung(output: str, encoder: str) -> Notice:
    """An encoder of one output's pictures, by FFmpeg's name, did not come back."""
    message = f"the encoder {encoder} did not come back: it was left behind, and another one went on where it stopped"
    return Notice(code="encoder_hung", message=message, output=output, about=encoder)


class Stopped(Line, frozen=True, kw_only=True):
    """No further frame goes in. Every segment is closed; files are made next."""

    at_ns: int
    reason: str  # a StopReason
    message: str = ""


class File(Line, frozen=True, kw_only=True):
    """One finished file of one output."""

    output: str
    identity: str
    source: str
    kind: str  # "av", "audio", "video"
    format: str  # a Format other than hls
    path: str
    bytes: int
    sha256: str
    start_ns: int
    end_ns: int
    media_start_ns: int  # where in the output this file begins (splits)
    duration_ns: int
    sequence: int = 1  # from 1; more than one with splits or a codec change
    parts: int = 1  # how many there are of them
    video_codec: str = ""
    audio_codec: str = ""
    width: int = 0
    height: int = 0
    transcoded: tuple[str, ...] = ()


class Finished(Line, frozen=True, kw_only=True):
    """Nothing follows: every file the recording asked for has its line."""

    files: int
    failed: tuple[str, ...] = ()  # "output/format: why" of files that could not be made


AnyLine = (
    Opened
    | OutputOpened
    | Track
    | Participant
    | Init
    | Segment
    | Gap
    | Paused
    | Resumed
    | Quiet
    | Subscribed
    | SceneChanged
    | Notice
    | Stopped
    | File
    | Finished
)


class Command(Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """What control tells a running recorder, as lines of `commands.jsonl` in the recording's folder."""

    at_ns: int  # room time of the call


class Stop(Command, frozen=True, kw_only=True):
    reason: str = "requested"
    message: str = ""


class Pause(Command, frozen=True, kw_only=True):
    pass


class Resume(Command, frozen=True, kw_only=True):
    pass


class Change(Command, frozen=True, kw_only=True):
    subscription: Subscription


class ChangeScene(Command, frozen=True, kw_only=True):
    """Of a mixed recording; its images are in the recording's folder already."""

    scene: Scene


AnyCommand = Stop | Pause | Resume | Change | ChangeScene
