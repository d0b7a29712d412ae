"""Which renditions an output needs, and what each holds. Pure; opens and writes nothing."""

from __future__ import annotations

from reelroom.domain.media import AUDIO_ONLY, COPIES
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.record.mux.model import MuxError

HLS = "hls"  # what the playlist names
COPY = "copy"  # frames as they came, for the finisher
# One codec each, picture or sound only, for the finisher: what must be transcoded is while recording.
AAC, OPUS, MP3 = "aac", "opus", "mp3"
H264, VP8 = "h264", "vp8"
SOUND = (AAC, OPUS, MP3)
PICTURE = (H264, VP8)


def stored_video(name: str, container: str, codec: str) -> str:
    """The video codec that rendition `name` holds when `codec` comes in; "" if it holds none."""
    if not codec or name in SOUND:
        return ""
    if name in PICTURE:
        return name
    if name == COPY:
        return codec
    return codec if codec in COPIES[container] else "h264"


def stored_audio(name: str, container: str, codec: str, spec: RecordingSpec) -> str:
    """The audio codec that rendition `name` holds when `codec` comes in; "" if it holds none."""
    if not codec or name in PICTURE or (name == HLS and spec.sound_alone):
        return ""
    if name in SOUND:
        return name
    if name == COPY:
        return codec if codec in COPIES[container] else "aac"
    return codec if codec in COPIES[container] and spec.audio_codec in ("auto", codec) else "aac"


def wanted_audio(format_: str, codec: str, spec: RecordingSpec) -> str:
    """The audio codec of a finished file whose source is `codec`."""
    if not codec:
        return ""
    if format_ == Format.MP4:
        return codec if codec in COPIES[format_] and spec.audio_codec in ("auto", codec) else "aac"
    if format_ in (Format.FLV, Format.AAC, Format.M4A):
        return "aac"
    return "mp3" if format_ == Format.MP3 else "opus"


def wanted_video(format_: str, codec: str) -> str:
    """The video codec of a finished file whose source is `codec`."""
    if not codec or format_ in AUDIO_ONLY:
        return ""
    if codec in COPIES[format_]:
        return codec
    return "vp8" if format_ == Format.WEBM else "h264"


def plan(spec: RecordingSpec, kind: str, video_codec: str, audio_codec: str) -> list[tuple[str, str]]:
    """(name, container) of each rendition that an output of `kind` ("av", "audio", "video") needs.

    Codecs are those that come in; "" while none came. What must be transcoded is transcoded while recording,
    so that files are there soon after the stop. Ask again when a codec changes or the first frame of a kind
    comes: the renditions that stay keep their state.
    """
    if kind not in ("av", "audio", "video"):
        raise MuxError(f"kind must be 'av', 'audio' or 'video', not {kind!r}")
    video = video_codec if kind != "audio" else ""
    audio = audio_codec if kind != "video" else ""
    chosen: list[tuple[str, str]] = []
    held: set[str] = set()
    if Format.HLS in spec.formats:
        container = spec.hls.container
        chosen.append((HLS, container))
        if container == "fmp4":
            held |= {stored_video(HLS, container, video), stored_audio(HLS, container, audio, spec)}
    files = [format_ for format_ in spec.formats if format_ != Format.HLS]
    wanted: set[str] = set()
    for format_ in files:
        wanted |= {wanted_video(format_, video), wanted_audio(format_, audio, spec)}
    wanted -= {""}
    copied = {stored_video(COPY, "fmp4", video), stored_audio(COPY, "fmp4", audio, spec)} - {""}
    if (wanted - held) & copied:
        chosen.append((COPY, "fmp4"))
        held |= copied
    for name in (*SOUND, *PICTURE):
        if name in wanted - held:
            chosen.append((name, "fmp4"))
    return chosen
