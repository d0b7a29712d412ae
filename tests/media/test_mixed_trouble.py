"""A mix whose encoder hangs, fails, or has too much to do, before a stand-in for the ingest."""

from __future__ import annotations

import fractions
import os
import re
import time
from itertools import groupby
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from reelroom.domain import events, lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Mode, Source
from reelroom.record import paths
from tests.fakebus import FakeBus, Track, microphone
from tests.faulty_fleet import LAST
from tests.media.recorderkit import Fleet, Recording, even, pair, wait

SMALL = Mix(width=320, height=180, fps=15, video_bitrate=300_000)
#: 221 megapixels a second: three times what one core encodes with x264's "veryfast".
LARGE = Mix(width=1920, height=1920, fps=60, video_bitrate=2_000_000, gop_s=1)


def notices(recording: Recording, code: str) -> list[lines.Notice]:
    return [line for line in recording.lines(lines.Notice) if line.code == code]


def test_an_encoder_that_hangs_is_left_behind_and_the_next_one_has_one_thread_and_every_tick() -> None:
    fleet = Fleet(module="tests.faulty_fleet")
    ring_ns = 30_000_000_000  # the default is enough for the 6 s, but not on a machine that is very busy
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair(), ring_ns=ring_ns)
    try:
        mix = msgspec.structs.replace(SMALL, video_codec="av1", individual=True)
        recording = Recording(fleet, mode=Mode.MIXED, mix=mix)
        recording.start()
        wait(lambda: len(recording.lines(lines.Opened)) == 2)
        wait(lambda: notices(recording, "mix_resumed"), 30)
        time.sleep(1)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        (notice,) = notices(recording, "mix_hung")
        assert notice.about == "libsvtav1"
        event = events.of_line(1, notice.at_ns, notice)
        assert event is not None
        assert event.type == "mix.hung"
        assert event.data["message"] == notice.message
        assert recording.lines(lines.Gap) == []
        times = recording.times("video", "000")
        assert len(times) > 15 * 7
        even(times, 1 / 15)
        even(recording.times("audio", "000"), 1024 / 48_000)
        even(recording.times("video"), 1 / 30)  # of the participant, in the same recorders
        assert len(bus.subscribes) == 2  # each received everything once, for both
        recording.sound()
    finally:
        bus.close()
        fleet.close()


def test_a_mix_that_fails_for_good_says_so_once_and_ends_with_what_there_is_when_it_is_stopped() -> None:
    fleet = Fleet(module="tests.faulty_fleet")
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = Recording(fleet, mode=Mode.MIXED, mix=msgspec.structs.replace(SMALL, individual=True))
        recording.start()
        wait(lambda: len(recording.lines(lines.Opened)) > 2)
        stop_ns = time.time_ns()
        recording.say(lines.Stop(at_ns=stop_ns))
        recording.finished()
        (notice,) = notices(recording, "mix_failed")
        assert "the encoder has had enough" in notice.message
        assert events.NOTICES[notice.code] == "mix.failed"
        times = recording.times("video", "000")
        assert len(times) == LAST + 1
        even(times, 1 / 15)
        gaps = {gap.kind: gap for gap in recording.lines(lines.Gap)}
        assert {(gap.output, gap.identity, gap.reason) for gap in gaps.values()} == {("000", "", "failure")}
        (mixed,) = [line for line in recording.lines(lines.OutputOpened) if line.output == "000"]
        assert abs(gaps["video"].from_ns - mixed.start_ns - (LAST + 1) * 1e9 / 15) < 1e6
        assert all(gap.to_ns == stop_ns for gap in gaps.values())
        even(recording.times("video"), 1 / 30)  # nobody else is disturbed
        recording.sound()
    finally:
        bus.close()
        fleet.close()


def noise(seconds: int = 2) -> list[tuple[bool, bytes]]:
    """Pictures in which everything moves, 30 a second."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 320, "yuv420p"
    encoder.time_base = fractions.Fraction(1, 30)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "30", "sc_threshold": "0", "crf": "30"}
    random = np.random.default_rng(7)
    texture = random.integers(16, 235, (640, 640), np.uint8)
    found = []
    for index in range(seconds * 30):
        picture = np.full((480, 320), 128, np.uint8)
        picture[:320] = texture[5 * index :, 3 * index :][:320, :320]
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = index
        found += [(bool(packet.is_keyframe), bytes(packet)) for packet in encoder.encode(frame)]
    return found


def efforts(recording: Recording) -> list[int]:
    """How much effort x264 made for motion, encoder after encoder: each says so in its first key frame."""
    found: list[int] = []
    for segment in recording.segments("000"):
        data = Path(recording.where.folder / segment.path).read_bytes()
        found += [int(level) for level in re.findall(rb"x264 - core.*? subme=(\d+) ", data)]
    return [level for level, _ in groupby(found)]


@pytest.mark.alone  # more than 10 s late it would leave something out
def test_a_mix_that_has_too_much_to_do_encodes_with_less_effort_and_loses_no_tick() -> None:
    fleet = Fleet()
    os.sched_setaffinity(fleet.process.pid, {min(os.sched_getaffinity(0))})  # recorders inherit it
    start_ns = time.time_ns() - 1_000_000_000
    info = TrackInfo(track=1, identity="alice", source=Source.CAMERA, codec="h264", clock_rate=90_000, session="s1")
    moving = Track(info, noise(), 1_000_000_000 // 30, start_ns)
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), [moving, microphone(2, "alice", start_ns)])
    try:
        recording = Recording(fleet, mode=Mode.MIXED, mix=LARGE)
        recording.start()
        wait(lambda: notices(recording, "encoder_preset"))
        stop_ns = time.time_ns()
        recording.say(lines.Stop(at_ns=stop_ns))
        recording.finished(120)
        told = notices(recording, "encoder_preset")
        assert "superfast" in told[0].message
        assert {events.NOTICES[notice.code] for notice in told} == {"encoder.preset_changed"}
        levels = efforts(recording)
        # From veryfast (2) down, each one less; one that was soon left may not have come to a key frame.
        assert levels[0] == 2 and len(levels) > 1 and levels == sorted(levels, reverse=True)
        assert recording.lines(lines.Gap) == []
        (output,) = recording.lines(lines.OutputOpened)
        times = recording.times("video", "000")
        even(times, 1 / 60)
        assert abs(len(times) / 60 - (stop_ns - output.start_ns) / 1e9) < 0.1
        recording.sound()
    finally:
        bus.close()
        fleet.close()
