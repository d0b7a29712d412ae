"""What starting a recording will do to each codec: copy or transcode. Pure; makes no file."""

from __future__ import annotations

from typing import Any

from reelroom.domain.media import AUDIO_CODECS, AUDIO_ONLY, COPIES, TARGET, VIDEO_CODECS
from reelroom.domain.recording import Format, RecordingSpec, Source


def container(spec: RecordingSpec, format: Format) -> str:
    """The container of COPIES and TARGET that a format is written in."""
    return spec.hls.container if format is Format.HLS else str(format)


def fate(spec: RecordingSpec, format: Format, codec: str) -> str:
    """ "copy", "transcode to X", or "dropped" (sound only formats have no picture)."""
    into = container(spec, format)
    video, audio = TARGET[into]
    if codec in VIDEO_CODECS:
        if format in AUDIO_ONLY:
            return "dropped"
        return "copy" if codec in COPIES[into] else f"transcode to {video}"
    if codec in COPIES[into] and not (spec.audio_codec == "aac" and "aac" in COPIES[into] and codec != "aac"):
        return "copy"
    if spec.audio_codec == "aac" and "aac" in COPIES[into]:
        return "transcode to aac"
    return f"transcode to {audio}"


def by_codec(spec: RecordingSpec) -> dict[str, dict[str, str]]:
    """For each format asked for, each wanted codec's fate; of a mix, that of the codecs that it is encoded in."""
    video: tuple[str, ...] = VIDEO_CODECS
    audio: tuple[str, ...] = AUDIO_CODECS
    if spec.mix is not None:
        alone = not spec.mix.individual
        video = (spec.mix.video_codec, *(() if alone else (c for c in video if c != spec.mix.video_codec)))
        audio = (spec.mix.audio_codec, *(() if alone else (c for c in audio if c != spec.mix.audio_codec)))
    codecs = (video if spec.subscription.video else ()) + (audio if spec.subscription.audio else ())
    return {str(format): {codec: fate(spec, format, codec) for codec in codecs} for format in spec.formats}


def present(spec: RecordingSpec, participants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same for the tracks that are in the room now and that the recording wants."""
    found = []
    for participant in participants:
        for track in participant["tracks"]:
            if not spec.subscription.wants(participant["identity"], Source(track["source"])):
                continue
            plan = {
                "identity": participant["identity"],
                "source": track["source"],
                "kind": track["kind"],
                "codec": track["codec"],
                "formats": {str(format): fate(spec, format, track["codec"].lower()) for format in spec.formats},
            }
            if spec.mix is not None:
                codec = spec.mix.video_codec if track["kind"] == "video" else spec.mix.audio_codec
                plan["mixed"] = f"transcode to {codec}"
                if not spec.mix.individual:
                    plan["formats"] = {}  # there are no files of its own
            found.append(plan)
    return found
