"""Recordings and their files → the `serverResponse` of query and stop. Reads no database.

Source: sections 2.3 and 2.6. Official clients decode these strictly: no key more, no key less, never null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reelroom.domain.recording import State

# serverResponse.status
NOT_STARTED, INITIALISED, STARTING, PARTLY_READY, READY, RUNNING, STOPPING, STOPPED, EXITED = range(9)
FAILED = 20

TRACK_TYPES = {"audio": "audio", "video": "video", "av": "audio_and_video"}


MIXED_UID = "0"


@dataclass(frozen=True, slots=True)
class Index:
    """A playlist or an MP4 of a recording: whose ("": everybody's, the mix), of what, when it begins (UTC ns)."""

    key: str
    identity: str
    kind: str  # "audio", "video" or "av"
    start_ns: int

    @property
    def mixed(self) -> bool:
        return not self.identity

    @property
    def uid(self) -> str:
        return self.identity or MIXED_UID

    @property
    def playable(self) -> bool:
        """As the vendor's samples have it: sound plays by itself and a mix does, somebody's picture alone does not."""
        return self.mixed or self.kind != "video"


def status(state: State, uploaded: bool) -> int:
    """The number for a recording that still runs; `uploaded`: its first file is in storage."""
    match state:
        case State.STARTING:
            return STARTING
        case State.RECORDING | State.PAUSED:
            return RUNNING if uploaded else READY
        case State.FINISHING:
            return STOPPING
        case State.UPLOADING:
            return STOPPED
        case State.FINISHED:
            return EXITED
        case _:
            return FAILED


def file_list(indexes: Iterable[Index]) -> list[dict[str, Any]]:
    """`fileList` with `fileListMode` "json"; times are Unix milliseconds."""
    return [
        {
            "fileName": index.key,
            "trackType": TRACK_TYPES[index.kind],
            "uid": index.uid,
            "mixedAllUser": index.mixed,
            "isPlayable": index.playable,
            "sliceStartTime": index.start_ns // 1_000_000,
        }
        for index in sorted(indexes, key=lambda index: (index.start_ns, index.key))
    ]


def _listed(indexes: list[Index], only: str | None) -> dict[str, Any]:
    """`fileListMode` and `fileList`, whose JSON types belong together: clients choose their decoder by them."""
    if only is None:
        return {"fileListMode": "json", "fileList": file_list(indexes)}
    return {"fileListMode": "string", "fileList": only}


def query(state: State, uploaded: bool, indexes: list[Index], only: str | None = None) -> dict[str, Any]:
    """`only`: the playlist's name of a mix without MP4, which is all that is listed then."""
    return {
        "status": status(state, uploaded),
        **_listed(indexes, only),
        "sliceStartTime": min((index.start_ns for index in indexes), default=0) // 1_000_000,
    }


def stop(uploading: str, indexes: list[Index], only: str | None = None) -> dict[str, Any]:
    """`uploading`: "uploaded", "backuped" (some of it will follow by itself) or "unknown" (asked not to wait)."""
    return {**_listed(indexes, only), "uploadingStatus": uploading}
