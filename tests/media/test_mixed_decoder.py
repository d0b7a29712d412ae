"""Decoders of single tracks against real codecs: loss, rubbish, other sizes, hidden and late tracks.

Which picture came out is read from the bar code in it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from reelroom.demo import barcode
from reelroom.demo.clipfile import EncodedFrame
from reelroom.record.mixed import decoder as module
from reelroom.record.mixed.decoder import DECODERS, Picture, PictureDecoder
from tests.elsewhere import safe_clip

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
WAIT_S = 20
CODECS = sorted(DECODERS)


class Track:
    """A decoder with a clip, and how often it asked for a key frame."""

    def __init__(self, codec: str = "h264", on_progress: Callable[[], None] | None = None) -> None:
        self.asked = 0
        self.decoder = PictureDecoder(codec, self._ask, on_progress)

    def _ask(self) -> None:
        self.asked += 1

    def put(self, frames: Sequence[EncodedFrame], shift_ns: int = 0, gap_first: bool = False) -> None:
        for index, frame in enumerate(frames):
            gap = gap_first and index == 0
            self.decoder.put(frame.data, START_NS + shift_ns + frame.pts_ns, frame.key, gap)

    def at(self, ns: int) -> Picture | None:
        self.wait(ns)
        return self.decoder.at(START_NS + ns)

    def wait(self, ns: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while not self.decoder.ready(START_NS + ns):
            assert time.monotonic() < deadline, "never ready"
            time.sleep(0.001)

    def shown(self, ns: int) -> int | None:
        """The number in the picture of that time."""
        picture = self.at(ns)
        return None if picture is None else number(picture)


def number(picture: Picture) -> int:
    found = barcode.read(picture.frame.to_ndarray()[: picture.frame.height, : picture.frame.width])
    assert found is not None, "no bar code in the picture"
    return found.frame


@pytest.fixture
def tracks() -> Iterator[Callable[..., Track]]:
    made: list[Track] = []

    def make(codec: str = "h264", on_progress: Callable[[], None] | None = None) -> Track:
        made.append(Track(codec, on_progress))
        return made[-1]

    yield make
    for track in made:
        track.decoder.close()


def clip(codec: str = "h264", seconds: int = 2, size: tuple[int, int] = (640, 360)) -> tuple[EncodedFrame, ...]:
    return tuple(safe_clip(seconds, codec=codec, size=size, video_kbps=600).video)


@pytest.mark.parametrize("codec", CODECS)
def test_each_codec_shows_the_picture_of_the_time_asked_for(codec: str, tracks: Callable[..., Track]) -> None:
    track, frames = tracks(codec), clip(codec)
    track.put(frames)
    assert track.decoder.at(START_NS - 1) is None
    for index, frame in enumerate(frames):
        assert track.shown(frame.pts_ns + SECOND // 60) == index
    assert track.asked == 0


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_gap_the_last_picture_stays_until_a_key_frame_that_was_asked_for(
    codec: str, tracks: Callable[..., Track]
) -> None:
    track, frames = tracks(codec), clip(codec)
    track.put(frames[:20])
    track.put(frames[23:40], gap_first=True)
    assert track.shown(frames[39].pts_ns) == 19
    assert track.asked == 1
    track.put(frames[:10], shift_ns=2 * SECOND)
    assert track.shown(2 * SECOND + frames[9].pts_ns) == 9
    assert track.asked == 1
    assert not track.decoder.damages  # the ingest tells of what was lost


@pytest.mark.parametrize("codec", CODECS)
def test_rubbish_does_no_harm_beyond_the_next_key_frame(codec: str, tracks: Callable[..., Track]) -> None:
    rubbish = random.Random(3)
    track, frames = tracks(codec), clip(codec)
    for index, frame in enumerate(frames):
        data = frame.data if index < 10 else frame.data[:6] + rubbish.randbytes(len(frame.data))
        track.decoder.put(data, START_NS + frame.pts_ns, frame.key, False)
    track.put([EncodedFrame(0, b"", True), EncodedFrame(1, b"\x00", False)], shift_ns=int(1.9 * SECOND))
    track.wait(2 * SECOND)
    track.put(frames[:20], shift_ns=2 * SECOND)
    assert track.shown(2 * SECOND + frames[19].pts_ns) == 19


def test_broken_picture_is_not_shown_and_a_key_frame_is_asked_for(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip()
    half = replace(frames[10], data=frames[10].data[: len(frames[10].data) // 2])
    track.put([*frames[:10], half, *frames[11:30]])
    assert track.shown(frames[29].pts_ns) == 9
    assert track.asked == 1
    track.put(frames[:10], shift_ns=2 * SECOND)
    assert track.shown(2 * SECOND + frames[9].pts_ns) == 9
    assert list(track.decoder.damages) == [(START_NS + frames[9].pts_ns, START_NS + 2 * SECOND)]


def test_it_asks_again_each_second_while_no_key_frame_comes(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip(seconds=5)
    deltas = [frame for frame in frames if not frame.key]
    track.put(deltas)
    track.wait(5 * SECOND)
    assert 4 <= track.asked <= 5


@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9"])
def test_size_may_change_in_mid_stream(codec: str, tracks: Callable[..., Track]) -> None:
    track = tracks(codec)
    for n, size in enumerate([(640, 360), (320, 180), (642, 362), (640, 360)]):
        frames = clip(codec, size=size)[:15]
        track.put(frames, shift_ns=n * SECOND)
        picture = track.at(n * SECOND + frames[-1].pts_ns)
        assert picture is not None
        assert (picture.frame.width, picture.frame.height) == size
        assert number(picture) == 14


def test_frames_in_another_order_than_their_times_are_shown_in_order(tracks: Callable[..., Track]) -> None:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.max_b_frames = Fraction(1, 25), Fraction(25), 2
    encoder.options = {"x264-params": "b-adapt=0:bframes=2:scenecut=0:crf=10"}
    packets = []
    for n in range(30):
        picture = av.VideoFrame(64, 64, "yuv420p")
        for plane in picture.planes:
            np.frombuffer(memoryview(plane), np.uint8)[:] = 128
        np.frombuffer(memoryview(picture.planes[0]), np.uint8)[:] = 20 + 7 * n
        picture.pts = n
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    times = [packet.pts for packet in packets]
    assert times != sorted(times)  # else this would show nothing
    track = tracks()
    for packet in packets:
        track.decoder.put(bytes(packet), START_NS + packet.pts * SECOND // 25, packet.is_keyframe, False)
    seen = []
    for n in range(26):
        got = track.at(n * SECOND // 25)
        assert got is not None
        seen.append(round((int(got.frame.to_ndarray()[5, 5]) - 20) / 7))
    assert seen == sorted(seen)
    assert all(0 <= n - shown <= 2 for n, shown in enumerate(seen))


def test_hidden_track_is_not_decoded_and_is_up_to_date_when_it_is_shown_again(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip(seconds=4)
    track.put(frames[:30])
    assert track.shown(frames[29].pts_ns) == 29
    track.decoder.show(False)
    track.put(frames[30:55])
    assert track.shown(frames[50].pts_ns) is None
    assert len(track.decoder._queue) == 25  # as they came
    track.decoder.show(True)
    assert track.shown(frames[54].pts_ns) == 54  # it went on where it had stopped, without a key frame
    track.decoder.show(False)
    track.put(frames[55:90])
    assert len(track.decoder._queue) == 30  # those in front of the key frame are not needed any more
    track.decoder.show(True)
    assert track.shown(frames[89].pts_ns) == 89
    assert track.asked == 0
    track.put(frames[90:])
    assert track.shown(frames[-1].pts_ns) == len(frames) - 1


def test_track_that_was_hidden_for_long_asks_for_a_key_frame(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip()
    track.put(frames[:30])
    track.decoder.show(False)
    for n in range(1, 8):
        track.put([frame for frame in frames if not frame.key], shift_ns=2 * n * SECOND)
    track.decoder.show(True)
    assert track.asked == 1
    assert track.at(16 * SECOND) is None
    track.put(frames[:5], shift_ns=16 * SECOND)
    assert track.shown(16 * SECOND + frames[4].pts_ns) == 4


def test_only_a_little_is_decoded_ahead_of_the_time_asked_for(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip(seconds=5)
    track.put(frames)
    track.wait(0)
    time.sleep(0.5)
    assert len(track.decoder._pictures) <= 2 + module.AHEAD_NS * 30 // SECOND
    assert track.shown(frames[-1].pts_ns) == len(frames) - 1


def test_queue_that_runs_over_goes_on_at_a_key_frame(
    tracks: Callable[..., Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = clip(seconds=2)
    monkeypatch.setattr(module, "QUEUE_BYTES", sum(len(frame.data) for frame in frames) * 3 // 2)
    track = tracks()
    track.put(frames)  # nobody has asked for a picture: nothing is decoded
    track.put(frames, shift_ns=2 * SECOND)
    assert track.asked == 0
    assert track.shown(2 * SECOND + frames[7].pts_ns) == 7
    track.put([frame for frame in frames if not frame.key] * 3, shift_ns=4 * SECOND)
    assert track.asked == 1


def test_far_behind_it_leaves_out_what_a_later_key_frame_makes_needless(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip(seconds=2)
    for n in range(10):
        track.put(frames, shift_ns=n * 2 * SECOND)
    assert track.shown(18 * SECOND + frames[3].pts_ns) == 3
    assert track.asked == 0


def test_far_behind_without_a_later_key_frame_it_asks_for_one(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), safe_clip(5, size=(320, 180), video_kbps=300, gop=150).video
    track.put(frames)
    assert track.shown(frames[-1].pts_ns) == len(frames) - 1
    assert track.asked == 3  # at 0, 1 and 2 s, which are more than 2 s late


def test_rotation_belongs_to_the_picture_it_came_with(tracks: Callable[..., Track]) -> None:
    track, frames = tracks(), clip()
    for index, frame in enumerate(frames[:40]):
        track.decoder.put(frame.data, START_NS + frame.pts_ns, frame.key, False, 0 if index < 15 else 270)
    for index, rotation in ((14, 0), (15, 270), (39, 270)):
        picture = track.at(frames[index].pts_ns)
        assert picture is not None
        assert picture.rotation == rotation


def test_progress_is_told_and_close_ends_the_thread(tracks: Callable[..., Track]) -> None:
    told = threading.Event()
    track = tracks(on_progress=told.set)
    track.put(clip()[:5])
    track.decoder.at(START_NS)
    assert told.wait(WAIT_S)
    track.decoder.close()
    assert not any(thread is track.decoder._thread for thread in threading.enumerate())
    track.put(clip()[:5])
    assert track.decoder.ready(START_NS + SECOND)
    assert track.decoder.at(START_NS + SECOND) is None


def test_pictures_of_absurd_sizes_are_refused(tracks: Callable[..., Track], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 320 * 180)
    track = tracks()
    track.put(clip()[:10])
    track.put(clip(size=(320, 180))[:10], shift_ns=SECOND)
    assert track.at(SECOND // 2) is None
    assert track.shown(SECOND + SECOND // 2) == 9


def test_codec_that_shows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="opus"):
        PictureDecoder("opus", lambda: None)
