"""OssFilePrefix (section 4.1) → the domain's file name patterns. Makes no names itself."""

from __future__ import annotations

import re

from reelroom.dialects.aliyun_rtc import errors
from reelroom.domain.recording import Naming

TAIL = "{AppId}/{ChannelId_TaskId}/{EscapedStartTime}_{EscapedEndTime}"
_PREFIX = re.compile(r"record/(?:[A-Za-z0-9_.-]{1,100}/){0,16}" + re.escape(TAIL))
_TIME = "%Y-%m-%d-%H-%M-%S"
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def check_prefix(prefix: str) -> str:
    levels = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or "." in levels or ".." in levels:
        raise errors.wrong("OssFilePrefix", f"must be record/{TAIL}, with other levels after record/ if need be")
    return prefix


def naming(prefix: str, app_id: str, task: str, mixed: bool, utc_offset_s: int) -> Naming:
    """Periods by their start and end; of single streams with whose they are. Slices stand beside their index."""
    escaped = _UNSAFE.sub("_", app_id).replace("{", "{{").replace("}", "}}")
    folder = prefix.removesuffix(TAIL) + f"{escaped}/{{room}}_{task}/"
    period = f"{folder}{{start:{_TIME}}}_{{end:{_TIME}}}"
    return Naming(
        prefix="",
        file=period if mixed else period + "_{stream}",
        segment=folder + ("" if mixed else "{stream}_") + "{start:s}_{sequence}",
        mixed=period,
        mixed_segment=folder + "{start:s}_{sequence}",
        utc_offset_s=utc_offset_s,
    )
