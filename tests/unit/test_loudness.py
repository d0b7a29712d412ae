"""How loud everybody in a mix was: measured, kept, made into a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reelroom.domain import lines
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Mode, RecordingSpec
from reelroom.domain.timeline import SECOND
from reelroom.record.mixed.loudness import Log, Meter, make, volume
from reelroom.record.paths import Paths

SPEC = RecordingSpec(id="a" * 32, app="a", room="r", mode=Mode.MIXED, mix=Mix(loudness="stream_id"))
OPENED = lines.OutputOpened(output="000", identity="", source="mixed", kind="av", start_ns=5 * SECOND)


def segment(media_end_s: float) -> lines.Segment:
    return lines.Segment(
        output="000", rendition="hls", container="fmp4", number=1, path="x", bytes=1, sha256="",
        start_ns=5 * SECOND, end_ns=round((5 + media_end_s) * SECOND), media_start_ns=0,
        media_end_ns=round(media_end_s * SECOND),
    )  # fmt: skip


@pytest.mark.parametrize(("amplitude", "wanted"), [(1.0, 100), (10**-1.5, 50), (1e-3, 0), (1e-5, 0), (0.0, 0)])
def test_a_volume_is_decibels_over_the_floor(amplitude: float, wanted: int) -> None:
    assert volume(amplitude**2) == wanted


def test_a_voice_is_as_loud_as_it_is_over_the_whole_time() -> None:
    meter = Meter()
    loud = np.full((2, 24_000), 10**-1.5, np.float32)
    meter.heard(1, loud)
    meter.heard(2, loud)
    meter.heard(2, loud[:1])
    meter.passed(48_000)
    assert meter.take() == {1: 45, 2: 50}  # half of the time is 3 dB less
    meter.passed(48_000)
    assert meter.take() == {}


def test_the_file_has_each_second_once_and_none_behind_the_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    log = Log(paths, "stream_id")
    log.add(1, [("ann", "camera", 10), ("ann", "screen", 30)])
    log.add(2, [("ann", "camera", 20)])
    log.add(2, [("ann", "camera", 25)])  # mixed again by another recorder
    log.add(3, [])
    log.add(5, [])
    with (tmp_path / "loudness.jsonl").open("a") as file:
        file.write('{"time": 3, "sound_w')
    assert make(paths, SPEC, []) is None
    made = make(paths, SPEC, [OPENED, segment(2.5)])
    assert made is not None and (made.kind, made.format, made.start_ns) == ("av", "sw", 5 * SECOND)
    text = (tmp_path / made.path).read_text()
    assert len(text) == made.bytes
    assert [json.loads(line) for line in text.splitlines()] == [
        {"time": 1, "sound_wave": [{"stream_id": "ann", "volume": 10}, {"stream_id": "ann~screen", "volume": 30}]},
        {"time": 2, "sound_wave": [{"stream_id": "ann", "volume": 25}]},
        {"time": 3, "sound_wave": []},
    ]
    assert make(paths, SPEC, [OPENED, segment(2.5), made]) is None


def test_somebody_is_as_loud_as_the_louder_of_their_streams(tmp_path: Path) -> None:
    Log(Paths(tmp_path), "user_id").add(1, [("ann", "camera", 10), ("ann", "screen", 30), ("bob", "camera", 0)])
    (line,) = (tmp_path / "loudness.jsonl").read_text().splitlines()
    assert json.loads(line)["sound_wave"] == [{"user_id": "ann", "volume": 30}, {"user_id": "bob", "volume": 0}]
