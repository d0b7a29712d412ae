"""A mixing recorder that is stopped, stalled, killed or out of disk, before a stand-in for the ingest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import av
import numpy as np
import pytest
from msgspec.structs import replace

from reelroom.domain import lines
from reelroom.domain.events import NOTICES
from reelroom.domain.layout import Person, arrange
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Format, Mode
from reelroom.record import paths
from tests.fakebus import FakeBus
from tests.judge import luma
from tests.media.recorderkit import Fleet, Recording, even, pair, uneven, wait
from tests.media.smalldisk import fill, small_disk

FPS = 15
MIX = Mix(width=320, height=180, fps=FPS, video_bitrate=300_000)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.close()


def mixed(fleet: Fleet, **spec: object) -> Recording:
    return Recording(fleet, mode=Mode.MIXED, mix=MIX, **spec)


def pictures(recording: Recording) -> list[float]:
    return recording.times("video", "000")


def test_sigterm_leaves_a_mix_that_goes_on_without_a_gap(fleet: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = mixed(fleet)
        pid = recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(1.5)
        os.kill(pid, signal.SIGTERM)
        wait(lambda: len(recording.lines(lines.Opened)) == 2)
        time.sleep(2)
        recording.stop()
        even(pictures(recording), 1 / FPS)
        even(recording.times("audio", "000"), 1024 / 48_000)
        assert len(recording.lines(lines.Opened)) == 2
        assert recording.lines(lines.Gap) == []
        recording.sound()
    finally:
        bus.close()


def test_a_mix_may_wait_for_somebody_and_then_begin_without(fleet: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), [])
    try:
        waits = Recording(fleet, mode=Mode.MIXED, mix=replace(MIX, wait_s=2))
        stays = mixed(fleet)
        waits.start(), stays.start()
        wait(lambda: waits.lines(lines.OutputOpened))
        (opened,) = waits.lines(lines.OutputOpened)
        assert opened.start_ns == waits.spec.requested_ns + 2_000_000_000
        assert stays.lines(lines.OutputOpened) == []
        waits.stop(), stays.stop()
        assert len(pictures(waits)) > 0 and stays.lines(lines.Segment) == []
        waits.sound(), stays.sound()
    finally:
        bus.close()


def test_seventeen_people_have_a_pane_each_and_their_voices_together_do_not_clip(fleet: Fleet) -> None:
    names = [f"p{number:02}" for number in range(17)]
    everybody = [pair(identity=name, first=2 * number + 1) for number, name in enumerate(names)]
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), [track for tracks in everybody for track in tracks])
    try:
        recording = mixed(fleet, formats=(Format.HLS, Format.MP4))
        recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(3)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        even(pictures(recording), 1 / FPS)
        assert recording.lines(lines.Gap) == []
        recording.sound()
        (file,) = recording.lines(lines.File)
        with av.open(str(recording.where.folder / file.path)) as container:
            picture = [luma(frame).copy() for frame in container.decode(video=0)][-1]
        with av.open(str(recording.where.folder / file.path)) as container:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    finally:
        bus.close()
    people = [Person(name, "camera", order, True) for order, name in enumerate(names)]
    shown = arrange(MIX.scene.layout, MIX.width, MIX.height, people, 0)
    assert {pane.identity for pane in shown} == set(names)
    for pane in shown:  # the placeholder is much darker
        assert picture[pane.y : pane.y + pane.height, pane.x : pane.x + pane.width].mean() > 100
    # Seventeen times the same tone at a quarter of full scale: what is cut off would be heard as its third harmonic.
    spectrum = np.abs(np.fft.rfft(sound[48_000:96_000] * np.hanning(48_000)))
    assert 0.7 < np.abs(sound[48_000:96_000]).max() <= 1
    assert spectrum[1300:1340].max() < spectrum[430:450].max() / 100


def test_a_short_stall_of_the_machine_is_caught_up(fleet: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = mixed(fleet)
        pid = recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(4)
        os.kill(pid, signal.SIGCONT)
        time.sleep(1)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        even(pictures(recording), 1 / FPS)
        assert recording.lines(lines.Gap) == []
        recording.sound()
    finally:
        bus.close()


def test_who_is_much_too_late_leaves_something_out_and_says_so(fleet: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = mixed(fleet)
        pid = recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(1)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(12)
        os.kill(pid, signal.SIGCONT)
        time.sleep(2)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        gaps = [gap for gap in recording.lines(lines.Gap) if not gap.identity]
        assert {(gap.kind, gap.reason) for gap in gaps} == {("video", "overload"), ("audio", "overload")}
        assert all(gap.to_ns - gap.from_ns > 5e9 for gap in gaps)
        ((before, after),) = uneven(pictures(recording), 1 / FPS)
        assert after - before == pytest.approx(max(gap.to_ns - gap.from_ns for gap in gaps) / 1e9, abs=0.1)
        recording.sound()
    finally:
        bus.close()


def test_what_the_ring_has_lost_is_a_gap_with_that_reason(fleet: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair(), ring_ns=3_000_000_000)
    try:
        recording = mixed(fleet)
        pid = recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(1)
        fleet.process.kill()
        fleet.process.wait()
        os.kill(pid, signal.SIGKILL)
        time.sleep(13)
        fleet.process = fleet.spawn()
        wait(lambda: len(recording.lines(lines.Opened)) == 2)
        time.sleep(2)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        gaps = [gap for gap in recording.lines(lines.Gap) if not gap.identity]
        assert {(gap.kind, gap.reason) for gap in gaps} == {("video", "ring"), ("audio", "ring")}
        assert len(uneven(pictures(recording), 1 / FPS)) == 1
        recording.sound()
    finally:
        bus.close()


@pytest.fixture
def small() -> Iterator[Fleet]:
    with small_disk() as fleet:
        yield fleet


def test_a_full_disk_ends_a_mix_in_good_order(small: Fleet) -> None:
    bus = FakeBus(paths.ingest_socket(small.run, 0), pair())
    try:
        recording = mixed(small)
        recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(1)
        fill(recording.where.folder.parent, 6 * 1024 * 1024)
        recording.finished()
        recording.sound()
        assert [line.reason for line in recording.lines(lines.Stopped)] == ["disk_full"]
        assert recording.segments("000")[-1].video_frames > 0
    finally:
        bus.close()


def test_configured_hardware_that_is_not_there_is_said_and_software_encodes() -> None:
    fleet = Fleet("--hardware", "nvenc,vaapi,qsv")
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = mixed(fleet)
        recording.start()
        wait(lambda: recording.lines(lines.OutputOpened))
        time.sleep(1)
        recording.stop()
        (notice,) = recording.lines(lines.Notice)
        assert (notice.code, notice.output) == ("encoder_hardware", "000")
        assert notice.code in NOTICES
        for name in ("h264_nvenc", "h264_vaapi", "h264_qsv"):
            assert f"{name}: " in notice.message
        assert notice.message.startswith("libx264 ")
        even(pictures(recording), 1 / FPS)
        recording.sound()
    finally:
        bus.close()
        fleet.close()
