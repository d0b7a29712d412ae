"""A recording's timeline, read from its journal: outputs with their gaps, pauses, participants. Changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from reelroom.control.errors import ControlError
from reelroom.deliver.journals import Entry
from reelroom.domain import lines

MAX_LINE = 16 << 20
_decoder = msgspec.json.Decoder(Entry)


def read(journal: Path) -> dict[str, Any]:
    """The timeline as JSON. All `*_ns` are UTC nanoseconds, `media_*_ns` time within an output's files."""
    builder = _Builder()
    try:
        with journal.open("rb") as file:
            while (line := file.readline(MAX_LINE)).endswith(b"\n"):
                builder.take(_decoder.decode(line).body)
    except FileNotFoundError:
        pass  # its recorder has not begun
    except msgspec.MsgspecError as error:
        raise ControlError("unavailable", "the recording's journal is damaged: see `reelroom verify`") from error
    return builder.result()


class _Builder:
    def __init__(self) -> None:
        self._epochs: list[dict[str, Any]] = []
        self._outputs: dict[str, dict[str, Any]] = {}
        self._pauses: list[dict[str, Any]] = []
        self._scenes: list[dict[str, Any]] = []
        self._participants: dict[tuple[str, str], dict[str, Any]] = {}
        self._tracks: list[dict[str, Any]] = []
        self._notices: list[dict[str, Any]] = []
        self._stopped: dict[str, Any] | None = None

    def take(self, line: lines.AnyLine) -> None:
        match line:
            case lines.Opened():
                self._epochs.append({"room_ns": line.room_ns, "resumed": line.resumed})
            case lines.OutputOpened():
                self._outputs[line.output] = {
                    "output": line.output,
                    "identity": line.identity,
                    "source": line.source,
                    "kind": line.kind,
                    "start_ns": line.start_ns,
                    "end_ns": line.start_ns,
                    "media_end_ns": 0,
                    "renditions": {},
                    "gaps": [],
                    "files": [],
                }
            case lines.Segment():
                self._segment(line)
            case lines.Gap():
                gap = msgspec.to_builtins(line)
                gap.pop("type")
                gap.pop("output")
                self._output(line.output)["gaps"].append(gap)
            case lines.Paused():
                self._pauses.append({"from_ns": line.at_ns, "to_ns": None})
            case lines.Resumed():
                if self._pauses:
                    self._pauses[-1]["to_ns"] = line.at_ns
            case lines.SceneChanged():
                self._scenes.append({"at_ns": line.at_ns, "scene": msgspec.to_builtins(line.scene)})
            case lines.Participant():
                self._participant(line)
            case lines.Track():
                info = msgspec.to_builtins(line.info)
                self._tracks.append(
                    {"at_ns": line.at_ns, "change": line.change, "reason": line.reason, "kind": line.info.kind}
                    | {name: info[name] for name in ("track", "identity", "source", "codec", "session")}
                )
            case lines.Notice():
                self._notices.append({"code": line.code, "message": line.message, "output": line.output})
            case lines.Stopped():
                self._stopped = {"at_ns": line.at_ns, "reason": line.reason, "message": line.message}
            case lines.File():
                self._output(line.output)["files"].append(
                    {
                        "format": line.format,
                        "sequence": line.sequence,
                        "media_start_ns": line.media_start_ns,
                        "duration_ns": line.duration_ns,
                        "transcoded": list(line.transcoded),
                    }
                )

    def _output(self, number: str) -> dict[str, Any]:
        found = self._outputs.get(number)
        if found is None:
            raise ControlError("unavailable", f"the journal names output {number} before it was opened")
        return found

    def _segment(self, line: lines.Segment) -> None:
        output = self._output(line.output)
        output["end_ns"] = max(output["end_ns"], line.end_ns)
        output["media_end_ns"] = max(output["media_end_ns"], line.media_end_ns)
        one = output["renditions"].setdefault(
            line.rendition,
            {"segments": 0, "bytes": 0, "video_frames": 0, "audio_frames": 0, "salvaged": 0, "transcoded": []},
        )
        one["segments"] += 1
        one["bytes"] += line.bytes
        one["video_frames"] += line.video_frames
        one["audio_frames"] += line.audio_frames
        one["salvaged"] += line.salvaged
        one["transcoded"] = sorted({*one["transcoded"], *line.transcoded})

    def _participant(self, line: lines.Participant) -> None:
        key = (line.identity, line.session)
        if line.joined:
            stay = {"identity": line.identity, "session": line.session, "from_ns": line.at_ns, "to_ns": None}
            self._participants.setdefault(key, stay | {"reason": ""})
        elif key in self._participants:
            self._participants[key] |= {"to_ns": line.at_ns, "reason": line.reason}

    def result(self) -> dict[str, Any]:
        return {
            "epochs": self._epochs,
            "outputs": list(self._outputs.values()),
            "pauses": self._pauses,
            "scenes": self._scenes,
            "participants": list(self._participants.values()),
            "tracks": self._tracks,
            "notices": self._notices,
            "stopped": self._stopped,
        }
