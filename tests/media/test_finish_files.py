"""Finished files of every format: silent in FFmpeg, every frame there, picture and sound in step."""

from __future__ import annotations

import pytest
from muxkit import complaints, flashes_and_beeps, jobs, opus, pcmu, pictures, probe, record, sha256, spec

from reelroom.domain.lines import File
from reelroom.finish import Failure, make_files


def made(recorder) -> dict[str, File]:
    out = {}
    for item in make_files(recorder.folder, recorder.spec, recorder.lines):
        assert isinstance(item, File), str(item)
        path = recorder.folder / item.path
        assert path.stat().st_size == item.bytes
        assert sha256(path) == item.sha256
        assert complaints(path) == ""
        out[item.format if item.sequence == 1 else f"{item.format}{item.sequence}"] = item
    left = [path.name for path in (recorder.folder / "files").iterdir() if path.suffix in (".part", ".scratch")]
    assert left == []
    return out


def check_sync(path, seconds: int, video: bool = True, within_s: float = 0.012) -> None:
    flashes, beeps = flashes_and_beeps(path)
    assert len(beeps) == seconds
    for second, beep in enumerate(beeps):
        # An encoder's first packet comes before time 0 and is left out: so is up to a packet's worth of sound.
        assert abs(beep - second) < (within_s if second else max(within_s, 0.022)), beeps
    if video:
        assert [round(flash, 2) for flash in flashes] == pytest.approx(list(range(seconds)), abs=0.003)


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_mp4_is_a_copy_with_every_frame_in_step(tmp_path, codec):
    recorder = record(tmp_path, spec(formats=("hls", "mp4")), jobs(pictures(codec, 5), opus(5), codec))
    files = made(recorder)
    assert set(recorder.renditions) == {"hls"}
    streams = probe(tmp_path / files["mp4"].path)
    assert int(streams["video"]["nb_read_frames"]) == 150
    assert float(streams["format"]["duration"]) == pytest.approx(5, abs=0.001)
    assert files["mp4"].transcoded == ()
    assert files["mp4"].duration_ns == 5_000_000_000
    assert (files["mp4"].width, files["mp4"].height) == (320, 180)
    check_sync(tmp_path / files["mp4"].path, 5)


def test_every_format_of_h264_and_opus(tmp_path):
    formats = ("mp4", "webm", "flv", "aac", "mp3", "opus", "m4a")
    recorder = record(tmp_path, spec(formats=formats), jobs(pictures("h264", 5), opus(5)))
    assert set(recorder.renditions) == {"copy", "aac", "mp3", "vp8"}
    files = made(recorder)
    assert set(files) == set(formats)
    expected = {"mp4": ("h264", "opus"), "webm": ("vp8", "opus"), "flv": ("h264", "aac"), "aac": ("", "aac"),
                "mp3": ("", "mp3"), "opus": ("", "opus"), "m4a": ("", "aac")}  # fmt: skip
    for name, (video, audio) in expected.items():
        path = tmp_path / files[name].path
        streams = probe(path)
        assert (files[name].video_codec, files[name].audio_codec) == (video, audio)
        assert streams["audio"]["codec_name"] == audio
        # ADTS has no duration: ffprobe guesses it from the bit rate.
        seconds = (
            int(streams["audio"]["nb_read_frames"]) * 1024 / 48_000
            if name == "aac"
            else float(streams["format"]["duration"])
        )
        assert seconds == pytest.approx(5, abs=0.06)
        if video:
            assert streams["video"]["codec_name"] == video
            assert int(streams["video"]["nb_read_frames"]) == 150
        # MP3 and ADTS have no times of their own: their decoders' delay is heard.
        check_sync(path, 5, bool(video), 0.012 if name not in ("aac", "mp3") else 0.055)


@pytest.mark.parametrize("asked", [("hls", "mp4"), ("mp4",), ("webm",), ("flv",)])
def test_vp8_is_copied_where_it_can_be(tmp_path, asked):
    recorder = record(tmp_path, spec(formats=asked), jobs(pictures("vp8", 4), opus(4), "vp8"))
    item = made(recorder)[asked[-1]]
    assert item.video_codec == ("vp8" if asked == ("webm",) else "h264")
    assert item.transcoded == {"webm": (), "mp4": ("video",), "flv": ("audio", "video")}[asked[-1]]
    assert int(probe(tmp_path / item.path)["video"]["nb_read_frames"]) == 120
    check_sync(tmp_path / item.path, 4)


def test_what_was_not_foreseen_is_transcoded_at_the_end(tmp_path):
    recorder = record(tmp_path, spec(formats=("mp4",)), jobs(pictures("h264", 4), opus(4)))
    recorder.spec = spec(formats=("webm", "flv", "aac", "mp3"))
    files = made(recorder)
    assert set(files) == {"webm", "flv", "aac", "mp3"}
    assert files["webm"].transcoded == ("video",)
    assert files["flv"].transcoded == ("audio",)
    check_sync(tmp_path / files["webm"].path, 4)
    check_sync(tmp_path / files["flv"].path, 4)


def test_g711_becomes_aac_and_opus(tmp_path):
    recorder = record(
        tmp_path,
        spec(formats=("hls", "mp4", "opus")),
        jobs(pictures("h264", 4), pcmu(4), audio_codec="pcmu", channels=1),
    )
    files = made(recorder)
    assert (files["mp4"].audio_codec, files["opus"].audio_codec) == ("aac", "opus")
    check_sync(tmp_path / files["mp4"].path, 4)
    check_sync(tmp_path / files["opus"].path, 4, video=False)


def test_aac_in_mp4_when_asked(tmp_path):
    recorder = record(tmp_path, spec(formats=("hls", "mp4"), audio_codec="aac"), jobs(pictures("h264", 4), opus(4)))
    assert set(recorder.renditions) == {"hls"}
    assert made(recorder)["mp4"].audio_codec == "aac"
    check_sync(tmp_path / "files/001.mp4", 4)


def test_mp4_beside_ts_reads_the_copy(tmp_path):
    from reelroom.domain.recording import Hls

    recorder = record(
        tmp_path, spec(formats=("hls", "mp4"), hls=Hls(container="ts")), jobs(pictures("h264", 4), opus(4))
    )
    assert set(recorder.renditions) == {"hls", "copy"}
    assert made(recorder)["mp4"].audio_codec == "opus"


def test_a_failing_format_stops_no_other(tmp_path):
    recorder = record(tmp_path, spec(formats=("aac", "mp4")), jobs(pictures("h264", 4), opus(4)))
    (tmp_path / "segments/001/aac/00002.m4s").write_bytes(b"\0\0\0\x10moofabc")
    results = list(make_files(tmp_path, recorder.spec, recorder.lines))
    assert [type(item) for item in results] == [Failure, File]
    assert str(results[0]).startswith("001/aac: segment segments/001/aac/00002.m4s")


def test_a_second_run_makes_nothing_again(tmp_path):
    recorder = record(tmp_path, spec(formats=("mp4",)), jobs(pictures("h264", 2), opus(2)))
    first = list(make_files(tmp_path, recorder.spec, recorder.lines))
    assert list(make_files(tmp_path, recorder.spec, [*recorder.lines, *first])) == []


def test_splits_are_cut_at_segments(tmp_path):
    recorder = record(
        tmp_path, spec(formats=("mp4", "flv", "aac"), split_s=10), jobs(pictures("h264", 24), opus(24), segment_s=4)
    )
    files = made(recorder)
    for name in ("mp4", "flv", "aac"):
        parts = [files[name], files[name + "2"], files[name + "3"]]
        assert [part.media_start_ns // 10**9 for part in parts] == [0, 8, 16]
        assert sum(part.duration_ns for part in parts) == 24 * 10**9
        for part in parts:
            flashes, beeps = flashes_and_beeps(tmp_path / part.path)
            assert len(beeps) == 8
            assert name == "aac" or len(flashes) == 8


def test_a_late_track_starts_late(tmp_path):
    recorder = record(
        tmp_path, spec(formats=("mp4", "webm", "flv")), jobs(pictures("h264", 6), opus(3, start_ns=3 * 10**9))
    )
    for item in made(recorder).values():
        flashes, beeps = flashes_and_beeps(tmp_path / item.path)
        assert len(flashes) == 6
        assert beeps == pytest.approx([3, 4, 5], abs=0.012)


def test_a_new_size_goes_on_in_the_same_file(tmp_path):
    recorder = record(tmp_path, spec(formats=("hls", "mp4", "flv")), [])
    small, large = pictures("h264", 2), pictures("h264", 2, 640, 360, start_ns=2 * 10**9)
    for job in jobs(small + large, opus(4)):
        recorder.write(job)
    assert [muxed.discontinuity for muxed in recorder.muxed["hls"]] == [False, True]
    assert complaints(recorder.playlist()) == ""
    for item in made(recorder).values():
        assert int(probe(tmp_path / item.path)["video"]["nb_read_frames"]) == 120
        flashes, _ = flashes_and_beeps(tmp_path / item.path)
        assert flashes == pytest.approx([0, 1, 2, 3], abs=0.003)


def test_a_new_codec_begins_the_next_file(tmp_path):
    recorder = record(tmp_path, spec(formats=("mp4",)), [])
    first, second = pictures("h264", 2), pictures("vp9", 2, start_ns=2 * 10**9)
    one, two = jobs(first + second, opus(4))
    two.video = two.video.__class__("vp9")
    recorder.write(one)
    recorder.write(two)
    files = made(recorder)
    assert [(item.sequence, item.video_codec) for item in files.values()] == [(1, "h264"), (2, "vp9")]
    assert files["mp42"].media_start_ns == 2 * 10**9
    assert files["mp42"].path == "files/001_2.mp4"


def _without(samples, begin, end):
    return [sample for sample in samples if not begin * 10**9 <= sample.media_ns < end * 10**9]


def test_holes_leave_every_format_in_step(tmp_path):
    video, audio = _without(pictures("h264", 10), 3, 5), _without(opus(10), 5.5, 7.5)
    recorder = record(tmp_path, spec(formats=("mp4", "webm", "flv", "aac", "mp3", "opus")), jobs(video, audio))
    for name, item in made(recorder).items():
        flashes, beeps = flashes_and_beeps(tmp_path / item.path)
        late = 0.055 if name in ("aac", "mp3") else 0.012
        assert beeps[1:] == pytest.approx([1, 2, 3, 4, 5, 8, 9], abs=late)
        if item.video_codec:
            assert flashes == pytest.approx([0, 1, 2, 5, 6, 7, 8, 9], abs=0.003)


def test_a_rendition_that_begins_later_is_matched_by_time(tmp_path):
    """The recorder numbers each rendition from 1 and writes none that has nothing to hold."""
    whole = jobs(pictures("h264", 8), opus(4, start_ns=4 * 10**9))
    recorder = record(tmp_path, spec(formats=("flv", "mp4"), audio_codec="aac"), [])
    for job in whole:
        if not job.audio_samples:
            job.audio = None
        recorder.write(job)
    assert set(recorder.renditions) == {"copy", "aac"}
    recorder.lines = [
        line if getattr(line, "rendition", "") != "aac" or not hasattr(line, "number") or not hasattr(line, "key")
        else type(line)(**{**{f: getattr(line, f) for f in line.__struct_fields__}, "number": line.number - 2})
        for line in recorder.lines
    ]  # fmt: skip
    for item in made(recorder).values():
        flashes, beeps = flashes_and_beeps(tmp_path / item.path)
        assert len(flashes) == 8
        assert beeps == pytest.approx([4, 5, 6, 7], abs=0.022)
        assert item.audio_codec == "aac"


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_webm_copies_its_codecs(tmp_path, codec):
    recorder = record(tmp_path, spec(formats=("webm",)), jobs(pictures(codec, 4), opus(4), codec))
    item = made(recorder)["webm"]
    assert (item.video_codec, item.transcoded) == (codec, ())
    assert int(probe(tmp_path / item.path)["video"]["nb_read_frames"]) == 120
    check_sync(tmp_path / item.path, 4)


def test_video_and_audio_apart(tmp_path):
    video = record(tmp_path, spec(formats=("mp4", "aac"), tracks="apart"), jobs(pictures("h264", 4), []), "video")
    assert {item.kind for item in made(video).values()} == {"video"}
    (tmp_path / "b").mkdir()
    audio = record(tmp_path / "b", spec(formats=("mp4", "webm"), tracks="apart"), jobs([], opus(4)), "audio")
    files = made(audio)
    assert {item.kind for item in files.values()} == {"audio"}
    check_sync(tmp_path / "b" / files["mp4"].path, 4, video=False)


def test_a_full_disk_is_not_a_failed_file(tmp_path, monkeypatch):
    import errno

    from reelroom.finish import part

    recorder = record(tmp_path, spec(formats=("mp4",)), jobs(pictures("h264", 2), opus(2)))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(part.os, "sendfile", full)
        with pytest.raises(OSError, match="No space"):
            list(make_files(tmp_path, recorder.spec, recorder.lines))
    assert list((tmp_path / "files").iterdir()) == []
    assert set(made(recorder)) == {"mp4"}
