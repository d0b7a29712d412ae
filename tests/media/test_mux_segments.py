"""Segments as a player meets them: playlists over fMP4 and TS, times, new inits, holes and what fills them."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from muxkit import SECOND, complaints, flashes_and_beeps, jobs, opus, pcmu, pictures, probe, record, spec

from reelroom.domain.recording import Hls
from reelroom.finish.read import read_init, read_segment
from reelroom.record.mux import Fill, MuxError, Rendition, Sample, SegmentJob, TrackConfig
from reelroom.record.mux.audio import AudioEncoder
from reelroom.record.mux.timing import opus_ticks

TS = Hls(container="ts")


@pytest.mark.parametrize("codec", ["h264", "h265", "vp8", "vp9", "av1"])
def test_fmp4_playlist_plays_silently(tmp_path, codec):
    recorder = record(tmp_path, spec(), jobs(pictures(codec, 6), opus(6), codec))
    playlist = recorder.playlist()
    assert complaints(playlist) == ""
    streams = probe(playlist)
    assert int(streams["video"]["nb_read_frames"]) == 180
    assert int(streams["audio"]["nb_read_frames"]) == 300
    assert [muxed.transcoded for muxed in recorder.muxed["hls"]] == [("video",) if codec == "vp8" else ()] * 3
    assert [muxed.init is not None for muxed in recorder.muxed["hls"]] == [True, False, False]


@pytest.mark.parametrize(("codec", "sound"), [("h264", "opus"), ("h265", "opus"), ("vp9", "opus"), ("h264", "pcmu")])
def test_ts_playlist_plays_silently_and_in_step(tmp_path, codec, sound):
    audio = opus(6) if sound == "opus" else pcmu(6)
    recorder = record(tmp_path, spec(hls=TS), jobs(pictures(codec, 6), audio, codec, sound, channels=1))
    playlist = recorder.playlist()
    assert complaints(playlist, "warning") == ""
    assert int(probe(playlist)["video"]["nb_read_frames"]) == 180
    flashes, beeps = flashes_and_beeps(playlist)
    assert len(flashes) == len(beeps) == 6
    for flash, beep in zip(flashes[1:], beeps[1:], strict=True):
        assert abs(flash - beep) < 0.012


def test_opus_takes_as_many_bits_as_it_has_room_for():
    encoder = AudioEncoder("opus", 1, 320_000)  # a recording may ask for so many, whatever its sound becomes
    encoder.feed(TrackConfig("pcmu", 1), pcmu(1))
    encoder.flush()
    assert len(encoder.take()) >= 50


def test_ts_segments_stand_alone_and_count_on(tmp_path):
    recorder = record(tmp_path, spec(hls=TS), jobs(pictures("h264", 6), opus(6)))
    last: dict[int, int] = {}
    for path in sorted((tmp_path / "segments/001/hls").iterdir()):
        packets = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 188)
        assert (packets[:, 0] == 0x47).all()
        pids = (packets[:, 1].astype(int) & 31) << 8 | packets[:, 2]
        assert 0 in pids[:3]  # a PAT at the beginning
        for pid, third in zip(pids.tolist(), packets[:, 3].tolist(), strict=True):
            if third & 0x10:
                assert pid not in last or (last[pid] + 1) & 15 == third & 15
                last[pid] = third & 15
        assert complaints(path) == ""
    assert len(recorder.muxed["hls"]) == 3


def test_times_are_exact_and_go_on(tmp_path):
    """Irregular times, one repeated, one backwards: what can be kept is kept, and DTS strictly increase."""
    video = pictures("h264", 4)
    steps = [0, 3_000_000, 3_000_000, -1_000_000]
    video = [sample._replace(media_ns=sample.media_ns + steps[i % 4] * (i % 60 > 0)) for i, sample in enumerate(video)]
    video[11] = video[11]._replace(media_ns=video[10].media_ns)
    recorder = record(tmp_path, spec(), jobs(video, opus(4)))
    tables = [read_segment(tmp_path / line.path) for line in recorder.lines if hasattr(line, "media_end_ns")]
    dts = np.concatenate([table[1].dts for table in tables])
    wanted = [(sample.media_ns * 9 + 50_000) // 100_000 for sample in video]
    assert (np.diff(dts) > 0).all()
    assert [a for a, b in zip(dts.tolist(), wanted, strict=True) if a != b] == [wanted[10] + 1]
    assert int(tables[0][1].dts[-1] + tables[0][1].durations[-1]) == 180_000 == int(tables[1][1].dts[0])
    sound = np.concatenate([table[2].dts for table in tables])
    assert sound.tolist() == list(range(0, 192_000, 960))


def test_sound_that_jitters_less_than_its_tolerance_is_seamless(tmp_path):
    audio = [s._replace(media_ns=s.media_ns + (i % 5) * 300_000) for i, s in enumerate(opus(4))]
    recorder = record(tmp_path, spec(), jobs([], audio, end_ns=4 * SECOND), "audio")
    tables = [read_segment(tmp_path / line.path) for line in recorder.lines if hasattr(line, "media_end_ns")]
    assert set(np.diff(np.concatenate([table[2].dts for table in tables])).tolist()) == {960}


def test_sound_coming_and_going_makes_new_inits(tmp_path):
    whole = jobs(pictures("h264", 6), opus(6))
    whole[1].audio, whole[1].audio_samples = None, []
    recorder = record(tmp_path, spec(), whole)
    assert [muxed.discontinuity for muxed in recorder.muxed["hls"]] == [False, True, True]
    assert [len(read_init(muxed.init)) for muxed in recorder.muxed["hls"]] == [2, 1, 2]
    assert complaints(recorder.playlist()) == ""


def test_a_muted_camera_keeps_the_init(tmp_path):
    whole = jobs(pictures("h264", 6), opus(6))
    whole[1].video_samples = []
    recorder = record(tmp_path, spec(), whole)
    assert [muxed.init is not None for muxed in recorder.muxed["hls"]] == [True, False, False]
    assert [muxed.video_frames for muxed in recorder.muxed["hls"]] == [60, 0, 60]


def _hole(samples: list[Sample], begin: float, end: float) -> list[Sample]:
    return [sample for sample in samples if not begin * SECOND <= sample.media_ns < end * SECOND]


@pytest.mark.parametrize("container", ["fmp4", "ts"])
@pytest.mark.parametrize("filled", [True, False])
def test_sound_after_a_hole_is_in_step(tmp_path, container, filled):
    audio = _hole(opus(8), 2.5, 4.5)
    whole = jobs(pictures("h264", 8), audio)
    if filled:
        for job in whole:
            begin, end = max(job.start_ns, 2_500_000_000), min(job.end_ns, 4_500_000_000)
            if begin < end:
                job.fill = [Fill("audio", begin, end, "silence")]
    recorder = record(tmp_path, spec(hls=Hls(container=container)), whole)
    playlist = recorder.playlist()
    assert complaints(playlist) == ""
    flashes, beeps = flashes_and_beeps(playlist)
    first = flashes[0]
    assert beeps[1:] == pytest.approx([first + second for second in (1, 2, 5, 6, 7)], abs=0.012)
    packets = sum(muxed.audio_frames for muxed in recorder.muxed["hls"])
    seconds = packets * (960 if container == "fmp4" else 1024) / 48_000
    assert seconds == pytest.approx(8 if filled else 6, abs=0.09)


@pytest.mark.parametrize("late_ms", [-1.9, 0.0, 1.3, 4.0, 9.9, 17.4, 19.9])
@pytest.mark.parametrize("cut_ms", [0.0, 3.1, 19.0])
def test_silence_fills_a_hole_over_segments_to_the_last_millisecond(tmp_path, late_ms, cut_ms):
    """As room time goes: what comes after a hole stands on no grid with what was before it, nor do the cuts."""
    sound = opus(8)
    last, begin = 123, 2_480_000_000  # of the packets before the hole
    after = [Sample(s.media_ns + round(late_ms * 1e6), True, s.data) for s in sound[226:]]
    end = after[0].media_ns
    whole = jobs(pictures("h264", 9), [*sound[: last + 1], *after])
    for job, following in itertools.pairwise(whole):
        job.end_ns = following.start_ns = following.start_ns + round(cut_ms * 1e6)
    for job in whole:
        job.audio_samples = [s for s in [*sound[: last + 1], *after] if job.start_ns <= s.media_ns < job.end_ns]
        if job.start_ns < end and job.end_ns > begin:
            job.fill = [Fill("audio", max(job.start_ns, begin), min(job.end_ns, end), "silence")]
    recorder = record(tmp_path, spec(), whole)
    assert len(recorder.muxed["hls"]) == 5
    with av.open(str(recorder.playlist())) as source:
        packets = [(p.pts, opus_ticks(bytes(p))) for p in source.demux(source.streams.audio[0]) if p.size]
    holes = [after - at - length for (at, length), (after, _) in itertools.pairwise(packets)]
    assert max(map(abs, holes)) <= 3.3 * 48  # what is snapped (2 ms) and half a packet of 2.5 ms
    assert complaints(recorder.playlist()) == ""


@pytest.mark.parametrize("codec", ["h264", "h265", "vp8", "vp9", "av1"])
def test_black_stands_in_a_hole(tmp_path, codec):
    whole = jobs(_hole(pictures(codec, 6), 1.5, 4), opus(6), codec)
    whole[0].fill = [Fill("video", 1_500_000_000, 2_000_000_000, "black")]
    whole[1].fill = [Fill("video", 2_000_000_000, 4_000_000_000, "black")]
    rendition = Rendition("copy", "fmp4", spec(formats=("mp4",)))
    data = b""
    for job in whole:
        muxed = rendition.write(job, tmp_path / "segment")
        assert muxed.unfilled == ()
        data += (muxed.init or b"") + (tmp_path / "segment").read_bytes()
    (tmp_path / "all.mp4").write_bytes(data)
    assert complaints(tmp_path / "all.mp4") == ""
    with av.open(str(tmp_path / "all.mp4")) as source:
        light = {
            round(float(frame.pts * frame.time_base), 2): float(frame.to_ndarray(format="gray8").mean())
            for frame in source.decode(video=0)
        }
    assert len(light) == 45 + 1 + 2 + 60
    assert [at for at, value in light.items() if value < 8 and 1.5 <= at < 4] == pytest.approx([1.5, 2.0, 3.0])


def test_black_is_left_out_where_it_would_break_what_follows(tmp_path):
    whole = jobs(_hole(pictures("h264", 4), 0.5, 0.7), [])
    whole[0].fill = [Fill("video", 500_000_000, 700_000_000, "black")]
    muxed = Rendition("hls", "fmp4", spec()).write(whole[0], tmp_path / "segment")
    assert muxed.unfilled == (whole[0].fill[0],)
    assert muxed.video_frames == 54


def test_mono_turns_stereo_without_a_hole(tmp_path):
    audio = opus(4) + opus(4, start_ns=4 * SECOND, channels=2)
    recorder = record(tmp_path, spec(hls=TS), jobs(pictures("h264", 8), audio))
    _, beeps = flashes_and_beeps(recorder.playlist())
    assert np.diff(beeps[1:]).tolist() == pytest.approx([1] * 6, abs=0.003)
    recorder = record(tmp_path / "x", spec(formats=("aac",)), []) if (tmp_path / "x").mkdir() is None else recorder
    for job in jobs([], audio, end_ns=8 * SECOND):
        recorder.write(job)
    assert [muxed.discontinuity for muxed in recorder.muxed["aac"]] == [False, False, True, False]
    tables = [read_segment(tmp_path / "x" / f"segments/001/aac/{n:05d}.m4s")[2] for n in (1, 2, 3, 4)]
    assert set(np.diff(np.concatenate([table.dts for table in tables])).tolist()) == {1024}


def test_a_segment_without_key_frame_or_sound_is_empty(tmp_path):
    frames = [sample for sample in pictures("h264", 1) if not sample.key]
    muxed = Rendition("hls", "fmp4", spec()).write(
        SegmentJob(1, 0, SECOND, TrackConfig("h264"), frames), tmp_path / "segment"
    )
    assert (muxed.video_frames, muxed.audio_frames, muxed.init) == (0, 0, None)


def test_a_key_frame_that_is_none_is_refused_and_the_next_segment_works(tmp_path):
    rendition = Rendition("hls", "fmp4", spec())
    bad = SegmentJob(1, 0, SECOND, TrackConfig("h264"), [Sample(0, True, b"\0\0\0\1\x65abc")])
    with pytest.raises(MuxError, match="SPS and PPS"):
        rendition.write(bad, tmp_path / "segment")
    good = jobs(pictures("h264", 2), [])[0]
    assert rendition.write(good, tmp_path / "segment").video_frames == 60


def test_broken_frames_do_not_stop_a_transcode(tmp_path):
    video = pictures("vp8", 4)
    video[10] = video[10]._replace(data=b"\xff" * 50)
    audio = opus(4)
    audio[20] = audio[20]._replace(data=b"\xff\xff")
    recorder = record(tmp_path, spec(hls=TS), jobs(video, audio, "vp8"))
    assert recorder.renditions["hls"].damaged >= 1
    assert complaints(recorder.playlist()) == ""


def test_transcoded_segments_start_with_key_frames_and_keep_every_time(tmp_path):
    recorder = record(tmp_path, spec(), jobs(pictures("vp8", 6, gop=60), opus(6), "vp8"))
    tables = [read_segment(tmp_path / f"segments/001/hls/{n:05d}.m4s")[1] for n in (1, 2, 3)]
    assert [bool(table.keys[0]) for table in tables] == [True] * 3
    assert [len(table.dts) for table in tables] == [60] * 3
    assert list(itertools.chain(*(table.dts.tolist() for table in tables))) == [n * 3000 for n in range(180)]
    assert recorder.muxed["hls"][0].video_codec == "h264"
