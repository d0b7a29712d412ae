"""Which of Alibaba Cloud Live's notifications an event is (sections 3.12 and 3.13). Signs and addresses nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from reelroom.domain import events

_PLAYLISTS = ("playlist", "index")


class Notice(NamedTuple):
    """`payload`: ours, for the vendor does not say what is in it."""

    type: str
    payload: dict[str, Any]


def notices(type_: str, data: dict[str, Any], formats: Collection[str]) -> list[Notice]:
    """The notifications of one event, in order; `formats`: those of which files in storage are told."""
    match type_:
        case events.STARTED:
            return [Notice(name, {}) for name in ("TaskCreated", "TaskStarting", "TaskRunning")]
        case events.RECOVERED:
            return [Notice(name, {}) for name in ("TaskRecovering", "TaskRunning")]
        case events.STOPPED:
            return [Notice("TaskStopping", {"reason": data["reason"]})]
        case events.FINISHED | events.FAILED:
            return [Notice("TaskStopped", {"reason": data["reason"], "message": data["message"]})]
        case events.FILE_UPLOADED if data["format"] in formats and (data["role"] not in _PLAYLISTS or data["ended"]):
            return [Notice("RecordFileUploaded", {"format": data["format"].upper(), "fileName": data["key"]})]
        case _:
            return []
