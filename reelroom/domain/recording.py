"""What a recording is asked to do and the states it goes through. Holds no process, file or clock."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from reelroom.domain.mix import Mix
from reelroom.domain.names import check_name


class Mode(StrEnum):
    """How a room is recorded. PAGE and SNAPSHOT answer "not supported"."""

    INDIVIDUAL = "individual"
    MIXED = "mixed"
    PAGE = "page"
    SNAPSHOT = "snapshot"


class State(StrEnum):
    """Where a recording is in its life; `TRANSITIONS` says what may follow what."""

    STARTING = "starting"
    RECORDING = "recording"
    PAUSED = "paused"
    FINISHING = "finishing"  # stopped: segments are closed, files are being made
    UPLOADING = "uploading"  # every file is made, some are not in storage yet
    FINISHED = "finished"
    FAILED = "failed"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.RECORDING, State.FINISHING, State.FAILED}),
    State.RECORDING: frozenset({State.PAUSED, State.FINISHING, State.FAILED}),
    State.PAUSED: frozenset({State.RECORDING, State.FINISHING, State.FAILED}),
    State.FINISHING: frozenset({State.UPLOADING, State.FINISHED, State.FAILED}),
    State.UPLOADING: frozenset({State.FINISHED, State.FAILED}),
    State.FINISHED: frozenset(),
    State.FAILED: frozenset(),
}
ACTIVE = frozenset({State.STARTING, State.RECORDING, State.PAUSED})
ENDED = frozenset({State.FINISHED, State.FAILED})


class StopReason(StrEnum):
    """Why a recording ended."""

    REQUESTED = "requested"
    IDLE = "idle"  # nobody published for limits.idle_s
    MAX_DURATION = "max_duration"
    DISK_FULL = "disk_full"
    ERROR = "error"


class Source(StrEnum):
    """What a track shows or carries; MediaStreamTrack's `contentHint` in the sender's words."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"
    MIXED = "mixed"  # the recorder's own: all pictures composed
    MIXED_AUDIO = "mixed_audio"

    @property
    def output(self) -> str:
        """The output a track belongs to: a camera with its microphone, a screen with its sound, the mix."""
        return _OUTPUTS[self]

    @property
    def kind(self) -> str:
        return "video" if self in (Source.CAMERA, Source.SCREEN, Source.MIXED) else "audio"


_OUTPUTS = {
    Source.MICROPHONE: "camera",
    Source.CAMERA: "camera",
    Source.SCREEN: "screen",
    Source.SCREEN_AUDIO: "screen",
    Source.MIXED: "mixed",
    Source.MIXED_AUDIO: "mixed",
}


class Format(StrEnum):
    """A kind of file that a recording leaves behind."""

    HLS = "hls"
    MP4 = "mp4"
    WEBM = "webm"
    FLV = "flv"
    AAC = "aac"  # ADTS
    MP3 = "mp3"
    OPUS = "opus"  # Ogg
    M4A = "m4a"  # MP4 with sound only


class Selection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tracks of one kind are wanted: everybody, only `include`, or everybody but `exclude`.

    With prefixes of identities, which some vendors have, those who are included by name or prefix, less those who are
    excluded by either.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    include_prefixes: tuple[str, ...] = ()  # with these, `include` is given too
    exclude_prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.include is None and self.include_prefixes:
            raise ValueError("a selection takes include_prefixes with include, which may be empty")

    def wants(self, identity: str) -> bool:
        if identity in self.exclude or (self.exclude_prefixes and identity.startswith(self.exclude_prefixes)):
            return False
        if self.include is None or identity in self.include:
            return True
        return bool(self.include_prefixes) and identity.startswith(self.include_prefixes)


class Subscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tracks of a room a recording takes. None for a kind: nothing of that kind."""

    audio: Selection | None = field(default_factory=Selection)
    video: Selection | None = field(default_factory=Selection)
    sources: tuple[Source, ...] | None = None  # None: all that participants publish
    each: dict[Source, Selection] = field(default_factory=dict)  # further bounds: whose tracks of one source
    layer: str = "high"  # of pictures that come in several sizes the largest that flows; or "low": the smallest

    def __post_init__(self) -> None:
        if self.sources is not None and any(source.output == "mixed" for source in self.sources):
            raise ValueError("sources are microphone, camera, screen and screen_audio")
        if self.layer not in ("high", "low"):
            raise ValueError(f"layer must be 'high' or 'low', not {self.layer!r}")
        if self.audio is None and self.video is None:
            raise ValueError("a subscription needs audio, video or both")

    def wants(self, identity: str, source: Source) -> bool:
        if self.sources is not None and source not in self.sources:
            return False
        if source in self.each and not self.each[source].wants(identity):
            return False
        selection = self.audio if source.kind == "audio" else self.video
        return selection is not None and selection.wants(identity)


MAX_PLAYLIST_S = 14 * 86_400
#: What a playlist's own tags may say: of the output, and of the segment at hand (in a head: the first).
TAG_VALUES = (
    "identity", "source", "kind", "start_ms", "start_digits", "bytes", "width", "height", "channels", "sample_rate",
)  # fmt: skip


class PlaylistTags(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines that a dialect's playlists have beside RFC 8216's, with `{name}` of TAG_VALUES in them."""

    head: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by the output's kind
    each: tuple[str, ...] = ()  # before each segment
    starts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # before the first, and the first after a hole
    sizes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # before the first, and where pictures change
    sources: dict[str, str] = field(default_factory=dict)  # other words for {source}

    def __post_init__(self) -> None:
        by_kind = (*self.head.values(), *self.starts.values(), *self.sizes.values())
        for line in (*self.each, *(line for lines in by_kind for line in lines)):
            if not line.startswith("#EXT-X-") or "\n" in line:
                raise ValueError(f"a playlist's tag is one line that begins with #EXT-X-, not {line!r}")
            try:
                line.format(**dict.fromkeys(TAG_VALUES, 0))
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"a playlist's tag {line!r} is malformed: {error!r}") from None


class Hls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How HLS segments are cut (RFC 8216). They start on key frames, so `segment_s` is the least length."""

    container: str = "fmp4"  # or "ts": H.264/H.265 + AAC only, other codecs are transcoded
    segment_s: float = 6.0  # 2..60
    split_s: float = 0  # longest playlist, 10..MAX_PLAYLIST_S; further ones have their own {start}. 0: one for all
    whole: bool = False  # with split_s: at the end, if there are several, one of all that they have, too
    dated: bool = False  # each segment has its time in the playlist, not just where it cannot be reckoned
    tags: PlaylistTags | None = None

    def __post_init__(self) -> None:
        if self.container not in ("fmp4", "ts"):
            raise ValueError(f"hls.container must be 'fmp4' or 'ts', not {self.container!r}")
        if not 2 <= self.segment_s <= 60:
            raise ValueError(f"hls.segment_s must be 2 to 60 seconds, not {self.segment_s}")
        if self.split_s and not 10 <= self.split_s <= MAX_PLAYLIST_S:
            raise ValueError(f"hls.split_s must be 0 or 10 to {MAX_PLAYLIST_S} seconds, not {self.split_s}")


class Gaps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in the files where nothing was received. The timeline lists every gap either way."""

    audio: str = "leave"  # or "silence"
    video: str = "leave"  # or "last" (hold the last picture) or "black"

    def __post_init__(self) -> None:
        if self.audio not in ("leave", "silence"):
            raise ValueError(f"gaps.audio must be 'leave' or 'silence', not {self.audio!r}")
        if self.video not in ("leave", "last", "black"):
            raise ValueError(f"gaps.video must be 'leave', 'last' or 'black', not {self.video!r}")


class Naming(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File name patterns; `naming.py` says which variables there are. Extensions are added."""

    prefix: str = "{recording}/"
    file: str = "{identity}_{source}"
    segment: str = "{identity}_{source}_{sequence:05d}"
    mixed: str = "mixed"  # of the mixed output, whose `{identity}` is empty and whose `{source}` is "mixed"
    mixed_segment: str = "mixed_{sequence:05d}"
    mixed_file: str = ""  # of its finished files; "": as `mixed`, which names its playlist
    files: dict[str, str] = field(default_factory=dict)  # of finished files of a format, where it is not the above
    copies: dict[str, tuple[str, ...]] = field(default_factory=dict)  # ... and under which names they are there again
    utc_offset_s: int = 0  # of times in names: UTC+8 is 28800
    finished: str = ""  # of participants' finished files; "": as `file`


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ends a recording by itself; 0 is no limit. Both end it with that `StopReason`."""

    idle_s: float = 0
    duration_s: float = 0
    tell_idle: bool = False  # say so while nobody publishes, however long that may last
    pauses_count: bool = False  # as time of the duration; and then nobody is idle in one
    idle_by: str = "tracks"  # idle is who publishes nothing that is wanted; "people": nobody is in the room

    def __post_init__(self) -> None:
        if self.idle_s < 0 or self.duration_s < 0:
            raise ValueError("limits must be 0 (none) or a positive number of seconds")
        if self.idle_by not in ("tracks", "people"):
            raise ValueError(f"limits.idle_by must be 'tracks' or 'people', not {self.idle_by!r}")


class RecordingSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a recorder needs to know, fixed at start; only the subscription and the scene can change later.

    Holds no storage credentials and no callback address: a recorder never sees them. The addresses that a mix is
    pushed to may hold keys; `masked` has none.
    """

    id: str
    app: str
    room: str
    mode: Mode = Mode.INDIVIDUAL
    subscription: Subscription = field(default_factory=Subscription)
    formats: tuple[Format, ...] = (Format.HLS,)
    hls: Hls = field(default_factory=Hls)
    tracks: str = "together"  # audio and video in one file, or "apart"
    merged: bool = False  # apart: MP4 has picture and sound all the same
    sound_alone: bool = False  # files of formats with a picture have no sound: that is for the formats of sound only.
    # With HLS: of mixes only, whose playlist always has a picture
    rejoin: str = "continue"  # a stream that comes back goes on in its files; or "anew": it has files of its own
    rejoin_s: float = 0  # with "continue": who was away for longer has files of its own; 0: nobody
    #: Gaps whose time is left out of an output's files, if nothing of it came meanwhile: "left", somebody went and came
    #: back; "mute", somebody fell silent.
    cuts: tuple[str, ...] = ()
    mute_split_s: float = -1  # of sound alone: who was silent for so long has files of their own then; below 0: nobody
    joined: bool = False  # apart, with HLS: also a multivariant playlist of each participant's picture and sound
    audio_codec: str = "auto"  # "auto": copy where the container takes it; or "aac"
    audio_bitrate: int = 64_000  # of transcoded audio, bit/s, 16_000..320_000
    video_bitrate: int = 1_500_000  # of transcoded video, bit/s, 50_000..20_000_000
    split_s: float = 0  # longest file, seconds, cut on a segment; 0: no split
    split_bytes: int = 0  # largest file, by what its segments have, 1_000_000 and more; 0: no split
    gaps: Gaps = field(default_factory=Gaps)
    naming: Naming = field(default_factory=Naming)
    preroll_s: float = 0  # how far before the start call to begin, at most the ring's length
    limits: Limits = field(default_factory=Limits)
    requested_ns: int = 0  # UTC nanoseconds of the start call
    mix: Mix | None = None  # of the mode "mixed"

    def __post_init__(self) -> None:
        check_name("recording id", self.id)
        check_name("app", self.app)
        check_name("room", self.room)
        if (self.mode is Mode.MIXED) != (self.mix is not None):
            raise ValueError("mix is given with the mode 'mixed', and only with it")
        if self.mix is not None and self.mix.formats is not None:
            if not self.mix.formats or len(set(self.mix.formats)) != len(self.mix.formats):
                raise ValueError("mix.formats must name at least one format, and none twice")
            if unknown := set(self.mix.formats) - set(Format):
                raise ValueError(f"mix.formats has no {', '.join(sorted(unknown))}; there are {', '.join(Format)}")
        if not self.formats:
            raise ValueError("formats must name at least one of " + ", ".join(Format))
        if len(set(self.formats)) != len(self.formats):
            raise ValueError("formats must not name a format twice")
        if self.tracks not in ("together", "apart"):
            raise ValueError(f"tracks must be 'together' or 'apart', not {self.tracks!r}")
        if self.joined and (self.tracks != "apart" or Format.HLS not in self.formats):
            raise ValueError("joined needs tracks 'apart' and the format hls")
        if self.merged and (self.tracks != "apart" or self.rejoin != "continue" or self.sound_alone):
            raise ValueError("merged is for tracks 'apart' of streams that continue, and not with sound_alone")
        if self.sound_alone and Format.HLS in self.formats and self.mode is not Mode.MIXED:
            raise ValueError("sound_alone with hls is for the mode 'mixed'")
        if self.rejoin not in ("continue", "anew"):
            raise ValueError(f"rejoin must be 'continue' or 'anew', not {self.rejoin!r}")
        if self.rejoin_s < 0:
            raise ValueError(f"rejoin_s must be 0 or a positive number of seconds, not {self.rejoin_s}")
        if set(self.cuts) - {"left", "mute"}:
            raise ValueError(f"cuts must be 'left', 'mute' or both, not {self.cuts}")
        if self.mute_split_s >= 0 and ("mute" not in self.cuts or self.subscription.video is not None):
            raise ValueError("mute_split_s is for sound alone whose mutes are cut out")
        if self.cuts and (self.gaps != Gaps() or self.merged):
            raise ValueError("a gap that is cut out is not filled, and files with cuts are not merged")
        if self.audio_codec not in ("auto", "aac"):
            raise ValueError(f"audio_codec must be 'auto' or 'aac', not {self.audio_codec!r}")
        if not 16_000 <= self.audio_bitrate <= 320_000:
            raise ValueError(f"audio_bitrate must be 16000 to 320000 bit/s, not {self.audio_bitrate}")
        if not 50_000 <= self.video_bitrate <= 20_000_000:
            raise ValueError(f"video_bitrate must be 50000 to 20000000 bit/s, not {self.video_bitrate}")
        if self.split_s and not 10 <= self.split_s <= 86_400:
            raise ValueError(f"split_s must be 0 or 10 to 86400 seconds, not {self.split_s}")
        if self.split_bytes and self.split_bytes < 1_000_000:
            raise ValueError(f"split_bytes must be 0 or 1000000 and more, not {self.split_bytes}")
        if not 0 <= self.preroll_s <= 60:
            raise ValueError(f"preroll_s must be 0 to 60 seconds, not {self.preroll_s}")

    def of_output(self, source: str) -> RecordingSpec:
        """The same for one output, by the source in its OutputOpened: a mix may become other files than the rest."""
        if self.mix is None or self.mix.formats is None or source != Source.MIXED:
            return self
        return replace(self, formats=tuple(Format(name) for name in self.mix.formats), joined=False)

    @property
    def masked(self) -> RecordingSpec:
        """As it may be shown and stored where secrets are not."""
        return self if self.mix is None else replace(self, mix=self.mix.masked)
