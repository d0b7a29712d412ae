"""How a mixed recording is encoded: canvas, rates, codecs. What it shows is in `scene.py`. Holds no encoder."""

from __future__ import annotations

import re

from msgspec import Struct, field
from msgspec.structs import replace

from reelroom.domain.scene import Scene

VIDEO_CODECS = ("h264", "h265", "vp9", "av1")
AUDIO_CODECS = ("aac", "opus", "mp3")
SAMPLE_RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
MAX_SIDE = 1920  # pixels; a server that is configured for 4K allows `MAX_SIDE_4K`
MAX_SIDE_4K = 3840
MIN_SIDE_AV1 = 64  # what SVT-AV1 encodes at a given bit rate
MAX_PUSHES = 8


def aac_most(sample_rate: int, channels: int) -> int:
    """The most bits a second that AAC has room for: 6144 a channel in a frame of 1024 samples (ISO/IEC 14496-3)."""
    return 6 * sample_rate * channels


def audio_bitrates(codec: str, sample_rate: int, channels: int) -> tuple[int, int]:
    """The least and the most bits a second that may be asked of an encoder. MP3: ISO/IEC 11172-3 at 32 kHz and more,
    else ISO/IEC 13818-3; Opus: 256000 a channel (libopus), and never more than MP3."""
    if codec == "mp3":
        return (32_000, 320_000) if sample_rate >= 32_000 else (8_000, 160_000)
    return (8_000, min(320_000, 256_000 * channels)) if codec == "opus" else (8_000, 500_000)


_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: What servers take: FLV over RTMP, a transport stream over SRT.
_PUSHED = {"rtmp": (("h264",), ("aac",)), "srt": (("h264", "h265"), ("aac", "mp3"))}
_PUSH = re.compile(r"(rtmp|rtmps|srt)://[!-~]+\Z")


class Push(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A live stream of the mix beside the recording. `url` is rtmp://, rtmps:// or srt:// and may hold a secret."""

    id: str
    url: str

    def __post_init__(self) -> None:
        if not _PUSH.match(self.url):
            raise ValueError("a push goes to an rtmp://, rtmps:// or srt:// URL of printable ASCII without spaces")
        if not _ID.fullmatch(self.id):
            raise ValueError(f"a push's id is 1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.', not {self.id!r}")

    @property
    def masked(self) -> Push:
        """As it may be shown: without what may be a stream's key."""
        scheme, _, rest = self.url.partition("://")
        host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        return Push(id=self.id, url=f"{scheme}://{host}/***")


class Mix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture and one sound of the whole room. There is no picture when the subscription has no video, and
    no sound when it has no audio."""

    width: int = 1280  # pixels, even, 16..MAX_SIDE_4K
    height: int = 720
    fps: int = 30  # constant, 1..60
    gop_s: float = 2.0  # seconds from key frame to key frame, a frame's time..60, at most the segments' length
    video_codec: str = "h264"
    video_bitrate: int = 2_000_000  # bit/s, 1_000..50_000_000; what no encoder can do so low comes out larger
    profile: str = "high"  # of h264: "baseline", "main" or "high"
    audio_codec: str = "aac"
    audio_bitrate: int = 96_000  # bit/s, within `audio_bitrates`; above `aac_most`, aac comes out smaller
    sample_rate: int = 48_000  # Hz, of SAMPLE_RATES; opus: 48 000
    channels: int = 2  # 1 or 2
    at_once: bool = False  # begins with the recording, not with the room's first frame
    wait_s: float = 0  # ... or, if there is none by then, so many seconds later, 0..86400; 0: with the frame only
    loudness: str = ""  # how loud everybody was each second, in a file beside, by "stream_id" or "user_id"; "": none
    individual: bool = False  # also keep every participant's own streams, as in the mode "individual"
    formats: tuple[str, ...] | None = None  # what the mix becomes; None: the recording's formats, as everything else
    scene: Scene = field(default_factory=Scene)  # at the start
    pushes: tuple[Push, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            if value % 2 or not 16 <= value <= MAX_SIDE_4K:
                raise ValueError(f"mix.{name} must be an even number of 16 to {MAX_SIDE_4K} pixels, not {value}")
        if not 1 <= self.fps <= 60:
            raise ValueError(f"mix.fps must be 1 to 60 frames a second, not {self.fps}")
        if not 1 / self.fps - 1e-9 <= self.gop_s <= 60:
            raise ValueError(f"mix.gop_s must be a frame's time to 60 seconds, not {self.gop_s}")
        if self.loudness not in ("", "stream_id", "user_id"):
            raise ValueError(f"mix.loudness must be 'stream_id', 'user_id' or empty, not {self.loudness!r}")
        if not 0 <= self.wait_s <= 86_400:
            raise ValueError(f"mix.wait_s must be 0 to 86400 seconds, not {self.wait_s}")
        if self.video_codec not in VIDEO_CODECS:
            raise ValueError(f"mix.video_codec must be one of {', '.join(VIDEO_CODECS)}, not {self.video_codec!r}")
        if self.video_codec == "av1" and min(self.width, self.height) < MIN_SIDE_AV1:
            raise ValueError(f"mix.width and mix.height must be at least {MIN_SIDE_AV1} pixels with av1")
        if not 1_000 <= self.video_bitrate <= 50_000_000:
            raise ValueError(f"mix.video_bitrate must be 1000 to 50000000 bit/s, not {self.video_bitrate}")
        if self.profile not in ("baseline", "main", "high"):
            raise ValueError(f"mix.profile must be 'baseline', 'main' or 'high', not {self.profile!r}")
        if self.audio_codec not in AUDIO_CODECS:
            raise ValueError(f"mix.audio_codec must be one of {', '.join(AUDIO_CODECS)}, not {self.audio_codec!r}")
        if self.sample_rate not in SAMPLE_RATES:
            raise ValueError(f"mix.sample_rate must be one of {SAMPLE_RATES} Hz, not {self.sample_rate}")
        if self.audio_codec == "opus" and self.sample_rate != 48_000:
            raise ValueError("mix.sample_rate must be 48000 Hz with opus")
        if self.channels not in (1, 2):
            raise ValueError(f"mix.channels must be 1 or 2, not {self.channels}")
        least, most = audio_bitrates(self.audio_codec, self.sample_rate, self.channels)
        if not least <= self.audio_bitrate <= most:
            of = f"{self.audio_codec} at {self.sample_rate} Hz, {'mono' if self.channels == 1 else 'stereo'}"
            raise ValueError(f"mix.audio_bitrate must be {least} to {most} bit/s of {of}, not {self.audio_bitrate}")
        if len(self.pushes) > MAX_PUSHES or len({push.id for push in self.pushes}) != len(self.pushes):
            raise ValueError(f"mix.pushes takes at most {MAX_PUSHES} pushes with ids of their own")
        for push in self.pushes:
            scheme = push.url.partition("://")[0]
            video, audio = _PUSHED["srt" if scheme == "srt" else "rtmp"]
            if self.video_codec not in video or self.audio_codec not in audio:
                raise ValueError(
                    f"a push to {scheme}:// takes video in {' or '.join(video)} and audio in {' or '.join(audio)}, "
                    f"not {self.video_codec} and {self.audio_codec}"
                )

    @property
    def masked(self) -> Mix:
        """As it may be shown and stored where secrets are not."""
        return replace(self, pushes=tuple(push.masked for push in self.pushes))
