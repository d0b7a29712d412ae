"""FileInfo's patterns (sections 3.4 and 4.2) → the domain's file name patterns. Makes no names itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from reelroom.dialects.aliyun_live import errors
from reelroom.dialects.aliyun_live.wire import FileWanted
from reelroom.domain.naming import check_naming
from reelroom.domain.recording import Format, Naming

SINGLE_NAME = "{AppId}_{ChannelId}_{UserId}_{StartTime}"
MIXED_NAME = "{AppId}_{ChannelId}_{StartTime}"
UTC_OFFSET_S = 8 * 3600
SLICE_S = 30
FORMATS = {"HLS": Format.HLS, "MP4": Format.MP4, "MP3": Format.MP3}
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_LEVEL = re.compile(r"[^/\\\x00-\x1f\x7f{}]{1,128}")
_STEM = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_TASK = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_WHERE = "StorageParams.FileInfo"


def task_id(recording: str) -> str:
    """What clients call a recording: its id in the form of a UUID."""
    return str(uuid.UUID(hex=recording))


def recording_id(task: str) -> str:
    """The other way round; "" for what can be no task's."""
    if not _TASK.fullmatch(task):
        return ""
    return task.replace("-", "")


def naming(
    infos: Sequence[FileWanted], recording: str, app_id: str, mixed: bool, both_sources: bool, utc_offset_s: int
) -> Naming:
    """`both_sources`: somebody's camera and screen are recorded apart, so that names must tell them."""
    patterns: dict[Format, str] = {}
    copies: dict[str, list[str]] = {}  # of formats that are asked for more than once
    slices = ""
    for number, info in enumerate(infos, 1):
        where = f"{_WHERE}.{number}"
        format_ = FORMATS.get(info.Format)
        if format_ is None:
            raise errors.invalid(f"{where}.Format", "must be HLS, MP4 or MP3")
        if format_ is Format.HLS and format_ in patterns:
            raise errors.not_supported(where, "a second HLS")
        folder = _folder([*info.FilePathPrefix, task_id(recording)], where)
        default = MIXED_NAME if mixed else SINGLE_NAME
        if both_sources:
            default += "_{SourceType}"
        given = info.FileNamePattern or default
        if both_sources and "{SourceType}" not in given:
            raise errors.invalid(f"{where}.FileNamePattern", "must have {SourceType} for a camera and a screen")
        pattern = folder + _pattern(given, app_id, mixed, f"{where}.FileNamePattern", sequence=False)
        if pattern in (patterns.get(format_), *copies.get(format_, ())):
            raise errors.invalid(where, f"another {info.Format} has the same name")
        if format_ in patterns:
            copies.setdefault(str(format_), []).append(pattern)
        patterns.setdefault(format_, pattern)
        if format_ is not Format.HLS:
            if info.SliceNamePattern or info.SliceDuration:
                raise errors.invalid(where, "SliceNamePattern and SliceDuration are for the format HLS only")
            continue
        slice_ = info.SliceNamePattern or default + "_{Sequence}"
        if both_sources and "{SourceType}" not in slice_:
            raise errors.invalid(f"{where}.SliceNamePattern", "must have {SourceType} for a camera and a screen")
        if "{Sequence}" not in slice_:
            raise errors.invalid(f"{where}.SliceNamePattern", "must have {Sequence}: each slice needs its own name")
        slices = folder + _pattern(slice_, app_id, mixed, f"{where}.SliceNamePattern", sequence=True)
    hls = patterns.pop(Format.HLS)
    made = Naming(
        prefix="",
        file=hls,
        segment=slices,
        mixed=hls,
        mixed_segment=slices,
        files={str(format_): pattern for format_, pattern in patterns.items()},
        copies={format_: tuple(again) for format_, again in copies.items()},
        utc_offset_s=utc_offset_s,
    )
    try:
        check_naming(made, (Format.HLS,), split=True)
    except ValueError as error:
        raise errors.invalid(_WHERE, str(error)) from None
    return made


def complete(infos: Sequence[FileWanted]) -> list[FileWanted]:
    """With HLS, which is always made."""
    if any(info.Format == "HLS" for info in infos):
        return list(infos)
    return [*infos, FileWanted(Format="HLS")]  # behind what was given: errors name those by number


def _folder(levels: Sequence[str], where: str) -> str:
    for level in levels:
        if not _LEVEL.fullmatch(level) or level.strip() in ("", ".", ".."):
            raise errors.invalid(f"{where}.FilePathPrefix", f"{level[:60]!r} is no directory's name")
    return "".join(f"{level}/" for level in levels)


def _pattern(text: str, app_id: str, mixed: bool, where: str, *, sequence: bool) -> str:
    """The domain's pattern. What stands for one participant is empty in a mix."""
    values = {
        "AppId": _literal(app_id),
        "ChannelId": "{room}",
        "UserId": "" if mixed else "{identity}",
        "StartTime": "{start:%Y-%m-%d-%H:%M:%S}",
        "SourceType": "" if mixed else "{source}",
    }
    if sequence:
        values["Sequence"] = "{sequence}"
    if not _STEM.fullmatch(text):
        raise errors.invalid(where, "must be 1 to 255 characters without '/', '\\' and control characters")
    if any(brace in _VARIABLE.sub("", text) for brace in "{}"):
        raise errors.invalid(where, "has a brace without its partner")

    def put(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise errors.invalid(where, f"has the unknown variable {found[0][:60]}; there are " + ", ".join(values))
        return values[found[1]]

    made = _VARIABLE.sub(put, text)
    if made.strip() in ("", ".", ".."):
        raise errors.invalid(where, "is the name of nothing")
    return made


def _literal(text: str) -> str:
    return re.sub(r"[/\\\x00-\x1f\x7f]", "_", text).replace("{", "{{").replace("}", "}}")
