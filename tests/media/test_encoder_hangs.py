"""Encoders of segments and files that hang: left behind, told of, and no picture is missing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from muxkit import complaints, jobs, opus, pictures, probe, record, spec

from reelroom.domain import events, lines
from reelroom.domain.recording import Format
from reelroom.finish import make_files
from reelroom.record import paths
from reelroom.record.mux import Fill, Rendition
from reelroom.record.mux.model import Sample, video_ticks
from reelroom.record.mux.video import EncoderLost, VideoEncoder, ticks_ns
from tests.fakebus import FakeBus
from tests.hanging import hanging
from tests.media.recorderkit import Fleet, Recording, even, pair, wait

STEP = 3000  # 90 kHz ticks


def encoded(encoder: VideoEncoder, first: int, count: int) -> list[Sample]:
    """`count` pictures, each brighter than the one before, and a key frame asked for at the first."""
    out: list[Sample] = []
    for index in range(first, first + count):
        picture = av.VideoFrame.from_ndarray(np.full((96, 64), 40 + 6 * index, np.uint8), format="yuv420p")
        out += encoder.encode(picture, index * STEP, key=index == first)
    return out


def light(codec: str, samples: list[Sample]) -> list[float]:
    decoder = av.CodecContext.create({"h265": "hevc", "av1": "libdav1d"}.get(codec, codec), "r")
    packets = [av.Packet(bytes(sample.data)) for sample in samples]
    return [frame.to_ndarray()[:64].mean() for packet in [*packets, None] for frame in decoder.decode(packet)]


@pytest.mark.parametrize("at", [0, 7, None], ids=["first", "later", "flush"])
@pytest.mark.parametrize("codec", ["h264", "h265", "vp8", "vp9", "av1"])
def test_another_encoder_goes_on_where_one_hung(codec: str, at: int | None) -> None:
    hung: list[str] = []
    with hanging(at) as opened:
        encoder = VideoEncoder(codec, 64, 64, 100_000, hung)
        samples = encoded(encoder, 0, 12) + encoder.encode(None)
    assert len(opened) == 1 + len(hung)
    assert hung
    assert set(hung) == {opened[0]}
    assert [video_ticks(sample.media_ns) for sample in samples] == [index * STEP for index in range(12)]
    assert samples[0].key
    assert light(codec, samples) == pytest.approx([40 + 6 * index for index in range(12)], abs=6)


def test_one_that_comes_back_after_all_ends() -> None:
    before = set(threading.enumerate())
    with hanging(0):
        encoder = VideoEncoder("h264", 64, 64, 100_000, [])
        assert len(encoded(encoder, 0, 3)) == 3
        both = [thread for thread in threading.enumerate() if thread.name == "encoder" and thread not in before]
        assert len(both) == 2
    del encoder
    for thread in both:
        thread.join(30)
        assert not thread.is_alive()


def test_after_five_it_is_given_up_and_the_next_picture_is_encoded_as_ever() -> None:
    hung: list[str] = []
    with hanging(2, 0, 0, 0, 0) as opened:
        encoder = VideoEncoder("vp8", 64, 64, 100_000, hung)
        with pytest.raises(EncoderLost, match="libvpx hung 5 times"):
            encoded(encoder, 0, 3)
        samples = encoded(encoder, 10, 2)
    assert (len(opened), hung) == (6, ["libvpx"] * 5)
    assert [sample.media_ns for sample in samples] == [ticks_ns(10 * STEP), ticks_ns(11 * STEP)]


def test_a_hole_that_no_encoder_fills_is_left_and_what_was_sent_is_kept(tmp_path: Path) -> None:
    sent = [sample for sample in pictures("h264", 4) if not 1 <= sample.media_ns / 1e9 < 2]
    (job,) = jobs(sent, opus(4), segment_s=4)
    job.fill = [Fill("video", 1_000_000_000, 2_000_000_000, "black")]
    with hanging(0, 0, 0, 0, 0):
        muxed = Rendition("copy", "fmp4", spec()).write(job, tmp_path / "segment")
    assert muxed.unfilled == (job.fill[0],)
    assert muxed.hung == ("libx264",) * 5
    assert (muxed.video_frames, muxed.audio_frames) == (90, 200)


def test_a_hole_is_filled_although_an_encoder_hung_and_that_is_said_once(tmp_path: Path) -> None:
    sent = [sample for sample in pictures("h264", 6) if not 1 <= sample.media_ns / 1e9 < 2]
    first, *others = jobs(sent, opus(6))
    first.fill = [Fill("video", 1_000_000_000, 2_000_000_000, "black")]
    rendition = Rendition("copy", "fmp4", spec())
    with hanging(0):
        muxed = rendition.write(first, tmp_path / "segment")
    assert (muxed.unfilled, muxed.hung, muxed.video_frames) == ((), ("libx264",), 31)
    assert rendition.write(others[0], tmp_path / "segment").hung == ()


def test_what_hung_in_a_segment_that_failed_is_told_with_the_next(tmp_path: Path) -> None:
    first, second = jobs(pictures("vp8", 4), opus(4), "vp8")[:2]
    rendition = Rendition("hls", "ts", spec())
    with hanging(0, 0, 0, 0, 0), pytest.raises(EncoderLost):
        rendition.write(first, tmp_path / "segment")
    muxed = rendition.write(second, tmp_path / "segment")
    assert muxed.video_frames > 0
    assert muxed.hung == ("libx264",) * 5


def test_the_finisher_makes_the_whole_file_and_says_what_hung(tmp_path: Path) -> None:
    recorder = record(tmp_path, spec(formats=("mp4",)), jobs(pictures("h264", 4), opus(4)))
    recorder.spec = spec(formats=("webm",))
    with hanging(70):
        notice, made = make_files(tmp_path, recorder.spec, recorder.lines)
    assert isinstance(notice, lines.Notice)
    assert (notice.code, notice.output, notice.about) == ("encoder_hung", "001", "libvpx")
    assert isinstance(made, lines.File)
    assert int(probe(tmp_path / made.path)["video"]["nb_read_frames"]) == 120
    assert complaints(tmp_path / made.path) == ""


def test_a_recorder_goes_on_and_its_event_says_what_hung() -> None:
    fleet = Fleet(module="tests.faulty_fleet")
    bus = FakeBus(paths.ingest_socket(fleet.run, 0), pair())
    try:
        recording = Recording(fleet, formats=(Format.HLS, Format.WEBM))
        recording.start()
        wait(lambda: len(recording.segments()) > 1, 30)
        recording.say(lines.Stop(at_ns=time.time_ns()))
        recording.finished()
        (notice,) = recording.lines(lines.Notice)
        assert (notice.code, notice.output, notice.about) == ("encoder_hung", "001", "libvpx")
        event = events.of_line(1, 0, notice)
        assert event is not None
        assert (event.type, event.data["about"]) == ("encoder.hung", "libvpx")
        assert recording.lines(lines.Gap) == []
        times = recording.times("video")
        even(times, 1 / 30)
        (made,) = recording.lines(lines.File)
        assert int(probe(recording.where.folder / made.path)["video"]["nb_read_frames"]) == len(times)
        assert len(recording.lines(lines.Opened)) == 1
        recording.sound()
    finally:
        bus.close()
        fleet.close()
