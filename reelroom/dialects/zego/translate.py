"""ZEGO's StartRecord → what the domain records. Holds the rules between fields; no HTTP, no database.

Every rule raises ZegoError 300000004 with the name of the parameter and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from reelroom.control.images import ImageSource
from reelroom.dialects.zego import errors, mixing, naming
from reelroom.dialects.zego.mixing import APART, AUDIO_ONLY, VIDEO_ONLY
from reelroom.dialects.zego.settings import ZegoSettings
from reelroom.dialects.zego.wire import (
    HlsParams,
    InputParams,
    MixConfig,
    MuteAudio,
    OutputParams,
    StartRequest,
    Stream,
    StreamList,
    parse,
)
from reelroom.domain.mix import Mix
from reelroom.domain.recording import (
    Format,
    Gaps,
    Hls,
    Limits,
    Mode,
    RecordingSpec,
    Selection,
    Source,
    Subscription,
)

SINGLE, MIXED = 1, 2  # RecordMode
SKIP = 2  # RecordMuteAudio
_FORMATS = {
    "mp4": Format.MP4,
    "flv": Format.FLV,
    "hls": Format.HLS,
    "aac": Format.AAC,
    "mp3": Format.MP3,
    "ogg": Format.OPUS,
}
_PICTURES = frozenset({Format.MP4, Format.FLV, Format.HLS})
IN = "RecordInputParams"
OUT = "RecordOutputParams"


@dataclass(frozen=True, slots=True)
class Asked:
    """A start in the domain's words. `kept`: what later calls and callbacks have to know."""

    spec: RecordingSpec
    images: Mapping[str, ImageSource] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = ()  # that were named


class _Interrupted(NamedTuple):
    """What becomes of streams that go and come back, or fall silent: fields of RecordingSpec. As it is: of a mix."""

    rejoin: str = "continue"
    gaps: Gaps = Gaps()
    cuts: tuple[str, ...] = ()
    mute_split_s: float = -1


def start(
    request: StartRequest, *, task: str, app: str, requested_ns: int, settings: ZegoSettings, library: bool = False
) -> Asked:
    """What to record. `library`: files go into the app's library."""
    room = naming.room(request.RoomId)
    params, output = request.RecordInputParams, request.RecordOutputParams
    mode = params.RecordMode
    _check_input(params, settings)
    format_ = _format(output, params.StreamType)
    hls = parse(HlsParams, _hls_keys(output), OUT) if format_ is Format.HLS else HlsParams()
    config = _mix_config(params) if mode == MIXED else None
    mix, images = (
        (None, {})
        if config is None
        else mixing.mix(
            config, params.StreamType, params.FillBlank, params.FillFrame, settings.clock_utc_offset_minutes
        )
    )
    picture = format_ in _PICTURES
    apart = params.StreamType == APART and picture
    interrupted = _Interrupted() if mode == MIXED else _interrupted(params, format_)
    alone = apart and (format_ is not Format.HLS or mode == MIXED)  # the sound is a file; else a playlist
    spec = RecordingSpec(
        id=naming.recording_id(task),
        app=app,
        room=room,
        mode=Mode.MIXED if mode == MIXED else Mode.INDIVIDUAL,
        mix=_encoded(mix, format_),
        subscription=_subscription(params, config, picture),
        formats=(format_, Format.AAC) if alone else (format_,),
        hls=Hls(container="ts", segment_s=float(hls.FragmentSeconds)),
        tracks="apart" if apart and not alone else "together",
        sound_alone=alone,
        rejoin=interrupted.rejoin,
        gaps=interrupted.gaps,
        cuts=interrupted.cuts,
        mute_split_s=interrupted.mute_split_s,
        audio_codec="aac",
        naming=naming.naming(
            task, naming.folder(output.OutputFolder), config.MixOutputStreamId if config else "", library=library
        ),
        limits=Limits(idle_s=params.MaxIdleTime, duration_s=params.MaxRecordTime, tell_idle=True, pauses_count=True),
        requested_ns=requested_ns,
    )
    kept = {
        "mode": mode,
        "stream_type": params.StreamType,
        "format": output.OutputFileFormat,
        "stream": config.MixOutputStreamId if config else "",
        "fill_mode": config.FillMode if config else None,
        "realtime": hls.RealtimeUploadFragment,
        "sound_alone": alone,
        "always": mix is not None and (mix.at_once or mix.wait_s > 0),
    }
    return Asked(spec, images, kept, tuple(one.StreamId for one in _listed(params)))


def _check_input(params: InputParams, settings: ZegoSettings) -> None:
    if params.HasWhiteboard:
        raise errors.not_supported(f"{IN}.HasWhiteboard true")
    if not 300 <= params.MaxRecordTime <= settings.max_record_time:
        raise errors.invalid(f"{IN}.MaxRecordTime must be 300 to {settings.max_record_time} seconds")


def _format(output: OutputParams, stream_type: int) -> Format:
    name = output.OutputFileFormat
    if name == "jpg":
        raise errors.not_supported(f"{OUT}.OutputFileFormat jpg (snapshots)")
    if name not in _FORMATS:
        raise errors.invalid(f"{OUT}.OutputFileFormat must be one of {', '.join(_FORMATS)}, jpg")
    found = _FORMATS[name]
    if stream_type == VIDEO_ONLY and found not in _PICTURES:
        raise errors.invalid(f"{OUT}.OutputFileFormat {name} has no picture, which is all that StreamType 2 records")
    return found


def _hls_keys(output: OutputParams) -> dict[str, Any]:
    names = ("FragmentSeconds", "RealtimeUploadFragment", "ShortFragmentPath")
    return {name: getattr(output, name) for name in names}


def _mix_config(params: InputParams) -> MixConfig:
    if params.MixConfig is None:
        raise errors.invalid(f"{IN}.MixConfig is required in RecordMode 2")
    return parse(MixConfig, params.MixConfig, f"{IN}.MixConfig")


def _encoded(mix: Mix | None, format_: Format) -> Mix | None:
    """A mix for Ogg is encoded as what it will be; everything else is AAC, from which MP3 is made."""
    if mix is None or format_ is not Format.OPUS:
        return mix
    return replace(mix, audio_codec="opus")


def _subscription(params: InputParams, config: MixConfig | None, picture: bool) -> Subscription:
    kind = params.StreamType if picture else AUDIO_ONLY
    if config is not None:
        return mixing.subscription(config, kind)
    listed = _listed(params)
    chosen: Selection = Selection()
    each: dict[Source, Selection] = {}
    if listed:
        streams = [
            naming.stream(entry.StreamId, f"{IN}.RecordStreamList.{number}.StreamId")
            for number, entry in enumerate(listed)
        ]
        chosen = Selection(include=tuple(dict.fromkeys(stream.identity for stream in streams)))
        for output_, sources in naming.SOURCES.items():
            whose = Selection(include=tuple(dict.fromkeys(s.identity for s in streams if s.source == output_)))
            each |= dict.fromkeys(sources, whose)
    return Subscription(
        audio=None if kind == VIDEO_ONLY else chosen,
        video=None if kind == AUDIO_ONLY else chosen,
        each=each,
    )


def _listed(params: InputParams) -> list[Stream]:
    """Of a mix it has no effect."""
    if params.RecordMode == MIXED:
        return []
    return parse(StreamList, {"RecordStreamList": params.RecordStreamList}, IN).RecordStreamList


def _interrupted(params: InputParams, format_: Format) -> _Interrupted:
    """Of single streams (sections 2.2 and 2.3)."""
    blank = params.FillBlank and params.StreamType != VIDEO_ONLY  # it is about sound
    resumes = params.ResumeWithoutInterruption and not blank  # what is filled is not cut out
    cuts: tuple[str, ...] = ("left",) if resumes else ()
    split_s = -1.0
    if params.StreamType == AUDIO_ONLY and format_ is Format.MP3:
        names = ("RecordMuteAudio", "RecordMuteAudioSplitThreshold")
        mute = parse(MuteAudio, {name: getattr(params, name) for name in names}, IN)
        if mute.RecordMuteAudio == SKIP:
            if blank:
                raise errors.not_supported(f"{IN}.RecordMuteAudio 2 with FillBlank true")
            cuts += ("mute",)
            split_s = float(mute.RecordMuteAudioSplitThreshold)
    gaps = Gaps(audio="silence") if blank else Gaps()
    return _Interrupted("continue" if blank or resumes else "anew", gaps, cuts, split_s)
