"""Agora's postponed work (section 3.8): MP4 of each user's picture and sound, or one sound of everybody, after the end.

The sound is mixed while the call goes on and kept until the end; MP4 is made of what was recorded. Holds no wire types'
ranges (`wire.py`) and no notifications (`notices.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from reelroom.dialects.agora import errors
from reelroom.dialects.agora.wire import StartRequest
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Format, RecordingSpec

SCENE = 2  # of acquire; then the start must ask for postponed work
#: What is kept of it in `dialect_data["postponed"]`; "" or nothing: none was asked for.
TRANSCODE, AUDIO_MIX = "postponeTranscoding", "audioMix"
_SOUNDS = {"mp3": Format.MP3, "m4a": Format.M4A, "aac": Format.AAC}
_POLICY = "postpone_transcoding"


@dataclass(frozen=True, slots=True)
class Postponed:
    """What is made after the end. `mix`: of the one sound of everybody, whose only format is in it."""

    mode: str
    mix: Mix | None = None


def postponed(request: StartRequest, scene: int, individual: bool, audio_only: bool) -> Postponed | None:
    """What a start asks for, if anything. `scene`: of the acquire; ServiceError code 2 on what does not go together."""
    where = "clientRequest"
    options = request.transcodeOptions
    if request.appsCollection.combinationPolicy != _POLICY:
        if scene == SCENE:
            raise errors.invalid(f"{where}.appsCollection.combinationPolicy must be {_POLICY!r} with acquire's scene 2")
        if options is not None:
            raise errors.invalid(f"{where}.transcodeOptions needs appsCollection.combinationPolicy {_POLICY!r}")
        return None
    if not individual:
        raise errors.invalid(f"{where}.appsCollection.combinationPolicy {_POLICY!r} is for mode individual")
    mode = TRANSCODE if options is None else options.transConfig.transMode
    wanted = None if options is None else options.container.format
    if mode == TRANSCODE:
        if wanted not in (None, "mp4"):
            raise errors.invalid(f"{where}.transcodeOptions.container.format must be 'mp4' with {TRANSCODE}")
        if options is not None and options.audio is not None and options.audio.model_fields_set:
            raise errors.invalid(f"{where}.transcodeOptions.audio is for audioMix; leave it out with {TRANSCODE}")
        if audio_only and request.recordingConfig.streamMode == "original":
            raise errors.invalid(f"{where}.recordingConfig.streamMode 'original' is for sound that is not transcoded")
        return Postponed(mode)
    if not audio_only:
        raise errors.invalid(f"{where}.recordingConfig.streamTypes must be 0 (audio only) with audioMix")
    if wanted == "mp4":
        raise errors.invalid(f"{where}.transcodeOptions.container.format must be 'mp3', 'm4a' or 'aac' with audioMix")
    assert options is not None  # audioMix is said in there
    return Postponed(mode, _mix(_SOUNDS[wanted or "mp3"], request))


def mode_of(spec: RecordingSpec) -> str:
    """The same of a recording that was started: TRANSCODE, AUDIO_MIX, or "" for none."""
    if spec.merged:
        return TRANSCODE
    return AUDIO_MIX if spec.mix is not None and spec.mix.individual else ""


def _mix(format_: Format, request: StartRequest) -> Mix:
    audio = request.transcodeOptions.audio if request.transcodeOptions else None
    rate, bitrate, channels = (
        (48_000, 48_000, 2) if audio is None else (int(audio.sampleRate), int(audio.bitrate), int(audio.channels))
    )
    return Mix(
        audio_codec="mp3" if format_ is Format.MP3 else "aac",
        audio_bitrate=bitrate,
        sample_rate=rate,
        channels=channels,
        individual=True,
        formats=(str(format_),),
    )
