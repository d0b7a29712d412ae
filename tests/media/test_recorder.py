"""A recorder against a bus: what is in its segments after stops, kills, restarts, pauses and mutes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator

import av
import pytest

from reelroom.domain import lines
from reelroom.domain.recording import Format, Gaps, Hls, Limits, Selection, Subscription
from reelroom.fleet import client
from reelroom.record import paths
from reelroom.record.verify import verify
from reelroom.record.wal import Contents
from reelroom.rooms import protocol
from tests.fakebus import MS, FakeBus, Track, camera, microphone, video_frames
from tests.media.recorderkit import Fleet, Recording, even, pair, uneven, wait


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.close()


@pytest.fixture
def serve(fleet: Fleet) -> Iterator[Callable[..., FakeBus]]:
    buses: list[FakeBus] = []

    def make(tracks: list[Track], ingest: str = "life1", **more: object) -> FakeBus:
        buses.append(FakeBus(paths.ingest_socket(fleet.run, 0), tracks, ingest, **more))  # type: ignore[arg-type]
        return buses[-1]

    yield make
    for bus in buses:
        bus.close()


def test_records_from_the_key_frame_before_the_start_to_the_stop(fleet: Fleet, serve) -> None:
    serve(pair(ago_s=3.5))
    recording = Recording(fleet, formats=(Format.HLS, Format.MP4))
    recording.start()
    time.sleep(3)
    stop_ns = time.time_ns()
    recording.stop()
    recording.sound()
    opened = recording.lines(lines.OutputOpened)[0]
    assert 0 <= recording.spec.requested_ns - opened.start_ns <= 1_000_000_000 + 20 * MS
    even(recording.times("video"), 1 / 30)
    even(recording.times("audio"), 0.02)
    assert abs(opened.start_ns + recording.times("video")[-1] * 1e9 - stop_ns) < 60 * MS
    assert [line.format for line in recording.lines(lines.File)] == ["mp4"]
    assert all(segment.key for segment in recording.segments())
    assert recording.lines(lines.Gap) == []


def test_sound_from_before_the_first_picture_that_comes_after_the_output_has_begun_is_left_out(
    fleet: Fleet, serve
) -> None:
    now = time.time_ns() + 500 * MS
    serve([camera(1, "alice", now), microphone(2, "alice", now - 300 * MS, delay_ns=1000 * MS)])
    recording = Recording(fleet, preroll_s=1)
    recording.start()
    time.sleep(3.5)
    recording.stop()
    recording.sound()
    even(recording.times("video"), 1 / 30)
    times = recording.times("audio")
    even(times, 0.02)
    assert 0 <= times[0] < 0.021


def test_kill_minus_nine_loses_and_repeats_no_frame(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet)
    pid = recording.start()
    for pause_s in (1.5, 0.33, 1.1):
        time.sleep(pause_s)
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: client.running(fleet.run).get(recording.id, pid) != pid)
        pid = client.running(fleet.run)[recording.id]
    time.sleep(1.0)
    recording.stop()
    recording.sound()
    even(recording.times("video"), 1 / 30)
    even(recording.times("audio"), 0.02)
    assert [line.reason for line in recording.lines(lines.Gap)] == []
    assert len(recording.lines(lines.Opened)) == 4
    assert len(recording.lines(lines.OutputOpened)) == 1


def test_a_terminated_recorder_goes_on_in_the_next_one(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(1.2)
    os.kill(pid, signal.SIGTERM)
    wait(lambda: client.running(fleet.run).get(recording.id, pid) != pid)
    assert not recording.lines(lines.Stopped)
    time.sleep(0.8)
    recording.stop()
    recording.sound()
    even(recording.times("video"), 1 / 30)
    assert all(segment.key for segment in recording.segments())


def test_a_ring_that_no_longer_reaches_back_is_a_gap(fleet: Fleet, serve) -> None:
    bus = serve(pair(), ring_ns=1_000 * MS)
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(1.0)
    os.kill(pid, signal.SIGSTOP)  # its connection stays, but what it missed is replaced by a dead one
    bus.close()
    time.sleep(2.5)
    serve(bus.tracks, ring_ns=1_000 * MS)
    os.kill(pid, signal.SIGCONT)
    time.sleep(1.0)
    recording.stop()
    recording.sound()
    gaps = recording.lines(lines.Gap)
    assert sorted((gap.kind, gap.reason) for gap in gaps) == [("audio", "ring"), ("video", "ring")]
    assert all(1_300 * MS < gap.to_ns - gap.from_ns < 2_600 * MS for gap in gaps)


@pytest.mark.parametrize("reason", ["ingest_stopped", "timeout"])
def test_an_end_that_only_the_journal_tells_explains_the_gap(fleet: Fleet, serve, reason: str) -> None:
    """The recorder is killed after its journal has the tracks' ends and before its log has."""
    bus = serve(pair())
    recording = Recording(fleet, hls=Hls(segment_s=6))
    pid = recording.start()
    time.sleep(1.5)
    for track in (1, 2):
        bus.say(protocol.TrackRemoved(track=track, room_ns=time.time_ns(), reason=reason))
    wait(lambda: len([t for t in recording.lines(lines.Track) if t.change == "removed"]) == 2)
    fleet.process.kill()
    os.kill(pid, signal.SIGKILL)
    fleet.process.wait()
    bus.close()
    for path in recording.where.wal.glob("*.wal"):
        contents, end = Contents(path), 0
        for record in contents.records():
            if isinstance(record, protocol.TrackRemoved):
                os.truncate(path, end)
                break
            end = contents.end
    time.sleep(0.5)
    same = reason == "timeout"  # they come back to the same ingest
    serve(pair(ago_s=0.0, first=3), ingest="life1" if same else "life2")
    fleet.process = fleet.spawn()
    wait(lambda: len([t for t in recording.lines(lines.Track) if t.change == "added"]) == 4)
    time.sleep(1)
    recording.stop()
    recording.sound()
    gaps = recording.lines(lines.Gap)
    wanted = "reconnect" if same else "ingest_restart"
    assert sorted((gap.kind, gap.reason) for gap in gaps) == [("audio", wanted), ("video", wanted)]


def test_a_restarted_ingest_is_a_gap_and_the_same_output(fleet: Fleet, serve) -> None:
    bus = serve(pair())
    recording = Recording(fleet)
    recording.start()
    time.sleep(1.5)
    bus.close()
    time.sleep(0.5)
    serve(pair(ago_s=0.0), ingest="life2")
    time.sleep(1.5)
    recording.stop()
    recording.sound()
    assert [line.ingest for line in recording.lines(lines.Opened)] == ["life1", "life2"]
    assert len(recording.lines(lines.OutputOpened)) == 1
    assert [gap.reason for gap in recording.lines(lines.Gap) if gap.kind == "audio"] == ["ingest_restart"]
    assert verify(recording.where.folder).epochs == 2


def test_everything_killed_salvages_what_was_written(fleet: Fleet, serve) -> None:
    bus = serve(pair())
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(1.5)
    bus.close()
    os.kill(pid, signal.SIGKILL)
    serve(pair(ago_s=0.0), ingest="life2")
    time.sleep(1.5)
    recording.stop()
    recording.sound()
    assert [segment.salvaged for segment in recording.segments()] == [True, False]
    assert recording.segments()[0].video_frames >= 40


def test_pause_and_resume_make_one_timeline_without_the_pause(fleet: Fleet, serve) -> None:
    bus = serve(pair())
    recording = Recording(fleet)
    recording.start()
    time.sleep(1.0)
    paused = time.time_ns()
    recording.say(lines.Pause(at_ns=paused))
    time.sleep(1.5)
    resumed = time.time_ns()
    recording.say(lines.Resume(at_ns=resumed))
    time.sleep(1.5)
    recording.stop()
    recording.sound()
    assert [line.at_ns for line in recording.lines(lines.Paused)] == [paused]
    assert [line.at_ns for line in recording.lines(lines.Resumed)] == [resumed]
    segments = recording.segments()
    assert segments[0].end_ns == paused and segments[1].start_ns == resumed
    assert segments[0].media_end_ns == segments[1].media_start_ns
    assert 1 in bus.keyframes
    audio = recording.times("audio")
    assert max(b - a for a, b in itertools.pairwise(audio)) < 0.045
    assert recording.lines(lines.Gap) == [] or {g.kind for g in recording.lines(lines.Gap)} == {"video"}


def test_a_muted_camera_is_one_gap_and_segments_are_cut_by_time(fleet: Fleet, serve) -> None:
    start = time.time_ns() - 3_000 * MS
    begin = time.time_ns() + 1_000 * MS
    bus = serve([camera(1, "alice", start, holes=[(begin, begin + 6_000 * MS)]), microphone(2, "alice", start)])
    recording = Recording(fleet, gaps=Gaps(video="last"))
    recording.start()
    time.sleep(1.5)
    bus.say(protocol.TrackState(track=1, room_ns=begin, muted=True))
    time.sleep(6.3)
    bus.say(protocol.TrackState(track=1, room_ns=time.time_ns(), muted=False))
    time.sleep(1.2)
    recording.stop()
    recording.sound()
    gaps = recording.lines(lines.Gap)
    assert [(gap.kind, gap.reason, gap.filled) for gap in gaps] == [("video", "mute", "last")]
    assert abs(gaps[0].to_ns - gaps[0].from_ns - 6_000 * MS) < 70 * MS
    assert max(s.end_ns - s.start_ns for s in recording.segments()) < 3_200 * MS
    even(recording.times("audio"), 0.02)


def test_who_leaves_and_comes_back_continues_the_same_output(fleet: Fleet, serve) -> None:
    tracks = pair()
    bus = serve(tracks)
    recording = Recording(fleet)
    recording.start()
    time.sleep(1.0)
    left = time.time_ns()
    for track in tracks:
        track.end_ns = left
    time.sleep(0.1)
    for track in tracks:
        bus.say(protocol.TrackRemoved(track=track.info.track, room_ns=left, reason="timeout"))
    bus.say(protocol.Participant(identity="alice", session="s1", room_ns=left, joined=True))
    bus.say(protocol.Participant(identity="alice", session="s1", room_ns=left, joined=False, reason="timeout"))
    time.sleep(1.2)
    bus.tracks += pair(ago_s=0.0, first=11)
    time.sleep(1.5)
    recording.stop()
    recording.sound()
    assert len(recording.lines(lines.OutputOpened)) == 1
    assert {(gap.kind, gap.reason) for gap in recording.lines(lines.Gap)} == {
        ("audio", "reconnect"),
        ("video", "reconnect"),
    }
    assert [p.joined for p in recording.lines(lines.Participant)] == [True, False]


def test_who_was_away_for_too_long_has_files_of_their_own(fleet: Fleet, serve) -> None:
    tracks = pair()
    bus = serve(tracks)
    recording = Recording(fleet, rejoin_s=1.0)
    pid = recording.start()
    time.sleep(0.6)
    for away_s, first in ((0.5, 11), (2.0, 21), (2.0, 31)):
        left = time.time_ns()
        for track in tracks:
            track.end_ns = left
        time.sleep(0.1)
        for track in tracks:
            bus.say(protocol.TrackRemoved(track=track.info.track, room_ns=left, reason="left"))
        time.sleep(away_s)
        if first == 31:
            os.kill(pid, signal.SIGKILL)
        tracks = pair(ago_s=0.0, first=first)
        bus.tracks += tracks
        time.sleep(1.2)
    recording.stop()
    recording.sound()
    first, second, third = recording.lines(lines.OutputOpened)
    reasons = [gap for gap in recording.lines(lines.Gap) if gap.reason == "left"]
    assert reasons and {gap.output for gap in reasons} == {first.output}
    assert second.start_ns - first.start_ns > 3 * 10**9 and third.start_ns - second.start_ns > 3 * 10**9
    assert len(recording.lines(lines.Opened)) == 2


def test_an_absence_is_cut_out_over_a_kill_of_the_recorder_too(fleet: Fleet, serve) -> None:
    tracks = pair()
    bus = serve(tracks)
    recording = Recording(fleet, cuts=("left",))
    pid = recording.start()
    time.sleep(1.0)
    for first in (11, 21):
        left = time.time_ns()
        for track in tracks:
            track.end_ns = left
        time.sleep(0.1)
        for track in tracks:
            bus.say(protocol.TrackRemoved(track=track.info.track, room_ns=left, reason="left"))
        time.sleep(0.5)
        if first == 21:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1.0)
        tracks = pair(ago_s=0.0, first=first)
        bus.tracks += tracks
        time.sleep(1.2)
    recording.stop()
    recording.sound()
    assert len(recording.lines(lines.OutputOpened)) == 1 and len(recording.lines(lines.Opened)) == 2
    gaps = sorted((gap.kind, gap.reason) for gap in recording.lines(lines.Gap) if gap.to_ns - gap.from_ns > 1e9)
    assert gaps == [("audio", "left")] * 2 + [("video", "left")] * 2
    segments = recording.segments()
    for before, after in itertools.pairwise(segments):
        assert after.media_start_ns - before.media_end_ns < 100 * MS
    opened_ns = segments[-1].end_ns - segments[0].start_ns
    assert opened_ns - segments[-1].media_end_ns > 2_500 * MS
    for kind in ("audio", "video"):
        assert max(b - a for a, b in itertools.pairwise(recording.times(kind))) < 0.15


@pytest.mark.parametrize(("split_s", "outputs"), [(-1, 1), (2, 2)])
def test_a_mute_is_cut_out_of_sound_and_may_begin_another_file(
    fleet: Fleet, serve, split_s: float, outputs: int
) -> None:
    (_, audio) = pair()
    begins = [time.time_ns() + at * MS for at in (700, 4_000)]
    spans = [(begins[0], begins[0] + 1_500 * MS), (begins[1], begins[1] + 3_000 * MS)]
    audio.holes = spans
    bus = serve([audio])
    sound = Subscription(video=None)
    recording = Recording(fleet, cuts=("mute",), mute_split_s=split_s, subscription=sound, formats=(Format.MP3,))
    recording.start()
    for begin, end in spans:
        time.sleep(max(0, begin / 1e9 + 0.5 - time.time()))
        bus.say(protocol.TrackState(track=2, room_ns=begin, muted=True))
        time.sleep(max(0, end / 1e9 - 0.1 - time.time()))
        bus.say(protocol.TrackState(track=2, room_ns=end, muted=False))
    time.sleep(1.5)
    recording.stop()
    recording.sound()
    opened = recording.lines(lines.OutputOpened)
    assert len(opened) == outputs
    last = {line.output: line for line in recording.lines(lines.Segment)}
    left_out = sum(last[one.output].end_ns - one.start_ns - last[one.output].media_end_ns for one in opened)
    assert abs(left_out - (1_500 if outputs == 2 else 4_500) * MS) < 100 * MS
    files = recording.lines(lines.File)
    assert [file.duration_ns for file in files] == pytest.approx([last[o.output].media_end_ns for o in opened], abs=1e8)
    for file in files:
        with av.open(str(recording.where.folder / file.path)) as container:
            length_ns = sum(1 for packet in container.demux(audio=0) if packet.size) * 1152 * 10**9 // 48_000
        assert abs(length_ns - file.duration_ns) < 150 * MS


def test_audio_and_video_apart_are_two_outputs(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet, tracks="apart")
    recording.start()
    time.sleep(1.0)
    recording.stop()
    recording.sound()
    kinds = {line.kind: line.output for line in recording.lines(lines.OutputOpened)}
    assert set(kinds) == {"audio", "video"}
    assert all(s.audio_frames == 0 for s in recording.segments(kinds["video"]))
    assert all(s.video_frames == 0 for s in recording.segments(kinds["audio"]))


def test_only_what_is_subscribed_is_recorded_and_a_change_is_told_to_the_room(fleet: Fleet, serve) -> None:
    bus = serve(pair() + pair(identity="bob", first=3))
    recording = Recording(fleet, subscription=Subscription(video=None, audio=Selection(include=("alice",))))
    recording.start()
    time.sleep(0.7)
    wanted = Subscription(video=None)
    change = lines.Change(at_ns=time.time_ns(), subscription=wanted)
    recording.say(change)
    wait(lambda: bus.updates)
    recording.stop()
    recording.sound()
    assert [(line.identity, line.kind) for line in recording.lines(lines.OutputOpened)] == [("alice", "audio")]
    assert bus.updates == [protocol.Update(subscription=wanted, at_ns=change.at_ns)]
    assert [line.subscription for line in recording.lines(lines.Subscribed)] == [wanted]


def test_who_is_left_out_is_recorded_until_the_call_though_that_comes_later(fleet: Fleet, serve) -> None:
    late = microphone(1, "alice", time.time_ns() - 3000 * MS, delay_ns=600 * MS)
    bus = serve([late, microphone(2, "bob", time.time_ns() - 3000 * MS)])
    recording = Recording(fleet, preroll_s=1, subscription=Subscription(video=None))
    recording.start()
    time.sleep(0.5)
    at_ns = time.time_ns()
    recording.say(lines.Change(at_ns=at_ns, subscription=Subscription(video=None, audio=Selection(exclude=("alice",)))))
    wait(lambda: bus.updates)
    time.sleep(0.9)  # frames from before the call and behind it
    bus.say(protocol.TrackRemoved(track=1, room_ns=at_ns, reason="unsubscribed"))
    wait(lambda: [line for line in recording.lines(lines.Track) if line.change == "removed"])
    recording.stop()
    recording.sound()
    ends_ns = {
        line.identity: recording.segments(line.output)[-1].end_ns for line in recording.lines(lines.OutputOpened)
    }
    assert at_ns <= ends_ns["alice"] < at_ns + 20 * MS  # the end of its last frame
    assert ends_ns["bob"] > at_ns + 500 * MS


def test_stopping_without_an_ingest_finishes_with_nothing(fleet: Fleet) -> None:
    recording = Recording(fleet)
    recording.start()
    recording.stop()
    recording.sound()
    assert recording.lines(lines.Finished) == [lines.Finished(files=0)]


def test_nobody_publishing_ends_it(fleet: Fleet, serve) -> None:
    serve([])
    recording = Recording(fleet, limits=Limits(idle_s=1))
    recording.start()
    recording.finished()
    stopped = recording.lines(lines.Stopped)[0]
    assert stopped.reason == "idle"
    assert abs(stopped.at_ns - recording.spec.requested_ns - 1_000 * MS) < 50 * MS


def test_the_longest_duration_ends_it_to_the_frame(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet, limits=Limits(duration_s=2))
    recording.start()
    recording.finished()
    recording.sound()
    stopped = recording.lines(lines.Stopped)[0]
    assert stopped.reason == "max_duration"
    assert recording.segments()[-1].end_ns <= stopped.at_ns


def test_a_stopped_recording_that_lost_its_recorder_is_finished(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(0.8)
    os.kill(pid, signal.SIGSTOP)
    recording.say(lines.Stop(at_ns=time.time_ns()))
    os.kill(pid, signal.SIGKILL)
    recording.finished()
    recording.sound()
    even(recording.times("video"), 1 / 30)


def test_recorders_outlive_the_fork_server_and_its_successor_looks_after_them(fleet: Fleet, serve) -> None:
    serve(pair())
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(0.5)
    fleet.process.kill()
    fleet.process.wait()
    fleet.process = fleet.spawn()
    os.kill(pid, 0)
    assert recording.id not in client.running(fleet.run)
    os.kill(pid, signal.SIGKILL)
    wait(lambda: recording.id in client.running(fleet.run))
    time.sleep(0.5)
    recording.stop()
    recording.sound()
    even(recording.times("video"), 1 / 30)


def test_a_recorder_that_is_killed_after_somebody_left_does_not_take_their_frames_again(fleet: Fleet, serve) -> None:
    tracks = pair()
    end_ns = time.time_ns() + 1_000 * MS
    for track in tracks:
        track.end_ns, track.removed = end_ns, "left"
    serve(tracks + pair(identity="bob", first=3))
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(1.6)
    for _ in range(2):
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: client.running(fleet.run).get(recording.id, pid) != pid)
        pid = client.running(fleet.run)[recording.id]
        time.sleep(0.5)
    recording.stop()
    recording.sound()
    outputs = {line.identity: line.output for line in recording.lines(lines.OutputOpened)}
    assert set(outputs) == {"alice", "bob"}
    for output in outputs.values():
        even(recording.times("video", output), 1 / 30)
        even(recording.times("audio", output), 0.02)
    removed = [line.info.track for line in recording.lines(lines.Track) if line.change == "removed"]
    assert sorted(removed) == [1, 2]
    assert recording.lines(lines.Gap) == []


def test_sound_that_overtakes_pictures_lands_in_the_segment_of_its_time(fleet: Fleet, serve) -> None:
    video, audio = pair()
    video.delay_ns = 350 * MS
    serve([video, audio])
    recording = Recording(fleet)
    recording.start()
    time.sleep(5)
    recording.stop()
    recording.sound()
    even(recording.times("video"), 1 / 30)
    even(recording.times("audio"), 0.02)
    first, second = recording.segments()[:2]
    assert abs(second.audio_frames * 20 * MS - (second.end_ns - second.start_ns)) <= 40 * MS
    assert first.audio_frames * 20 * MS <= first.end_ns - first.start_ns + 40 * MS


def test_another_picture_size_begins_another_segment(fleet: Fleet, serve) -> None:
    video, audio = pair(ago_s=0.1)
    large = video_frames(4, size=(320, 180))[:60]
    video.frames = video_frames(4, size=(160, 90))[:45] + large * 20  # they begin anew long after the stop
    serve([video, audio])
    recording = Recording(fleet, hls=Hls(segment_s=6), formats=(Format.HLS, Format.MP4))
    recording.start()
    time.sleep(3)
    recording.stop()
    recording.sound()
    assert [(s.width, s.height) for s in recording.segments()] == [(160, 90), (320, 180)]
    even(recording.times("video"), 1 / 30)
    even(recording.times("audio"), 0.02)


def test_a_turn_begins_another_segment_and_file_at_the_next_key_frame_and_is_told_where_it_cannot(
    fleet: Fleet, serve
) -> None:
    video, audio = pair(ago_s=0.1)
    video.turn = (45, 1)  # key frames are 30 and 60
    serve([video, audio])
    formats = (Format.HLS, Format.MP4, Format.FLV)
    recording = Recording(fleet, hls=Hls(segment_s=6, container="ts"), formats=formats)
    recording.start()
    time.sleep(3)
    recording.say(lines.Stop(at_ns=time.time_ns()))
    recording.finished(90)  # sound is encoded for two files
    recording.sound()
    copies = [s for s in recording.lines(lines.Segment) if s.rendition == "copy"]
    assert [(s.rotation, s.key, s.discontinuity) for s in copies] == [(0, True, False), (90, True, True)]
    assert copies[0].video_frames == 60
    assert [s.rotation for s in recording.segments()] == [0, 0]
    files = [(line.format, line.sequence, line.parts) for line in recording.lines(lines.File)]
    assert sorted(files) == [("flv", 1, 1), ("mp4", 1, 2), ("mp4", 2, 2)]
    notices = [line.message for line in recording.lines(lines.Notice) if line.code == "orientation"]
    assert sorted(message.partition(" ")[0] for message in notices) == ["FLV", "TS"]
    assert all("90 degrees" in message for message in notices)


def test_silence_fills_a_muted_microphone(fleet: Fleet, serve) -> None:
    video, audio = pair()
    begin = time.time_ns() + 700 * MS
    audio.holes = [(begin, begin + 3_000 * MS)]
    bus = serve([video, audio])
    recording = Recording(fleet, gaps=Gaps(audio="silence"))
    recording.start()
    time.sleep(1.2)
    bus.say(protocol.TrackState(track=2, room_ns=begin, muted=True))
    time.sleep(2.6)
    bus.say(protocol.TrackState(track=2, room_ns=begin + 3_000 * MS, muted=False))
    time.sleep(1.2)
    recording.stop()
    recording.sound()
    assert [(g.kind, g.reason, g.filled) for g in recording.lines(lines.Gap)] == [("audio", "mute", "silence")]
    times = recording.times("audio")
    assert max(b - a for a, b in itertools.pairwise(times)) < 0.25
    assert len(times) * 0.02 > times[-1] - 0.3


def test_a_mute_that_ended_while_the_recorder_was_away_is_over(fleet: Fleet, serve) -> None:
    tracks = pair()
    bus = serve(tracks)
    recording = Recording(fleet)
    pid = recording.start()
    time.sleep(0.5)
    bus.say(protocol.TrackState(track=1, room_ns=time.time_ns(), muted=True))
    wait(lambda: [t for t in recording.lines(lines.Track) if t.change == "muted"])
    os.kill(pid, signal.SIGKILL)
    wait(lambda: [t for t in recording.lines(lines.Track) if t.change == "unmuted"])
    recording.stop()
    recording.sound()


def test_who_left_before_the_start_is_not_recorded(fleet: Fleet, serve) -> None:
    tracks = pair()
    for track in tracks:
        track.end_ns, track.removed = time.time_ns() - 500 * MS, "left"
    serve(tracks + pair(identity="bob", first=3))
    recording = Recording(fleet)
    recording.start()
    time.sleep(0.7)
    recording.stop()
    recording.sound()
    assert [line.identity for line in recording.lines(lines.OutputOpened)] == ["bob"]


def test_an_ingest_that_does_not_come_back_is_nobody_publishing(fleet: Fleet, serve) -> None:
    bus = serve(pair())
    recording = Recording(fleet, limits=Limits(idle_s=1))
    recording.start()
    time.sleep(1.5)
    assert not recording.lines(lines.Stopped)
    bus.close()
    recording.finished()
    recording.sound()
    assert [line.reason for line in recording.lines(lines.Stopped)] == ["idle"]


def test_kills_at_any_moment_lose_nothing_of_anybody(fleet: Fleet, serve) -> None:
    """Sound ahead of pictures, so that kills hit cuts half way; the moments are random, the seed is said."""
    seed = int(time.time())
    dice = random.Random(seed)
    tracks = [track for i in range(6) for track in pair(identity=f"p{i}", first=2 * i + 1, ago_s=2 + i * 0.11)]
    for track in tracks[::2]:
        track.delay_ns = dice.randrange(200) * MS
    serve(tracks)
    recording = Recording(fleet)
    pid = recording.start()
    for _ in range(4):
        time.sleep(dice.uniform(0.05, 1.8))
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: client.running(fleet.run).get(recording.id, pid) != pid)
        pid = client.running(fleet.run)[recording.id]
    time.sleep(0.5)
    recording.stop()
    recording.sound()
    outputs = [line.output for line in recording.lines(lines.OutputOpened)]
    assert len(outputs) == 6, seed
    for output in outputs:
        assert uneven(recording.times("video", output), 1 / 30) == [], seed
        assert uneven(recording.times("audio", output), 0.02) == [], seed
    assert all(segment.key for segment in recording.lines(lines.Segment))
    assert recording.lines(lines.Gap) == []
