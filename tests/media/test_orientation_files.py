"""Pictures that are to be turned: upright in every file that can say so, and seen by FFmpeg as a person would."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from muxkit import ENCODERS, FPS, SECOND, Recorder, complaints, jobs, opus, probe, record, spec

from reelroom.domain.lines import File
from reelroom.domain.recording import Hls
from reelroom.finish import make_files
from reelroom.record.mux import Sample
from reelroom.record.mux.boxes import BoxError, matrix, rotation_of
from reelroom.record.mux.video import turned
from reelroom.scheduling import same_priority
from tests.needs import need

WIDTH, HEIGHT = 320, 180
CORNERS = {0: "top left", 90: "top right", 180: "bottom right", 270: "bottom left"}  # of where the light one is seen


def marked() -> np.ndarray:
    """yuv420p: dark, with the upper left corner light."""
    picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    picture[:HEIGHT] = 30
    picture[: HEIGHT // 3, : WIDTH // 3] = 220
    return picture


def film(codec: str, turns: list[int]) -> list[Sample]:
    """A second of `marked` for each of `turns`, beginning with a key frame."""
    name, options = ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.gop_size, context.max_b_frames, context.bit_rate, context.thread_count = FPS, 0, 400_000, 1
    context.options = dict(options)
    with same_priority():
        context.open()
    packets = []
    for index in range(len(turns) * FPS):
        frame = av.VideoFrame.from_ndarray(marked(), format="yuv420p")
        frame.pts = index
        if index % FPS == 0:
            frame.pict_type = av.video.frame.PictureType.I
        packets += context.encode(frame)
    packets += context.encode(None)
    return [Sample(p.pts * SECOND // FPS, p.is_keyframe, bytes(p), turns[p.pts // FPS]) for p in packets]


def seen(path: Path, at_s: float = 0.5) -> tuple[tuple[int, int], str]:
    """Size of a picture as ffmpeg shows it, and the corner that is light."""
    need("ffmpeg")
    png = path.with_name(f"{path.name}.{at_s}.png")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), "-ss", str(at_s), "-frames:v", "1", str(png)]
    subprocess.run(command, check=True, timeout=60)
    with av.open(str(png)) as source:
        gray = next(source.decode(video=0)).to_ndarray(format="gray8")
    height, width = gray.shape
    spots = {
        f"{vertical} {horizontal}": gray[y, x]
        for vertical, y in (("top", height // 8), ("bottom", height * 7 // 8))
        for horizontal, x in (("left", width // 8), ("right", width * 7 // 8))
    }
    light = [name for name, value in spots.items() if value > 150]
    assert len(light) == 1, spots
    return (width, height), light[0]


def shown(turn: int) -> tuple[tuple[int, int], str]:
    return ((HEIGHT, WIDTH) if turn % 180 else (WIDTH, HEIGHT)), CORNERS[turn]


def files(recorder: Recorder) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for item in make_files(recorder.folder, recorder.spec, recorder.lines):
        assert isinstance(item, File), str(item)
        path = recorder.folder / item.path
        assert complaints(path) == ""
        found.setdefault(item.format, []).append(path)
    return found


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_segments_and_mp4_say_how_pictures_are_turned(tmp_path: Path, turn: int) -> None:
    whole = jobs(film("h264", [turn, turn]), opus(2), segment_s=1)
    recorder = record(tmp_path, spec(formats=("hls", "mp4")), whole)
    (path,) = files(recorder)["mp4"]
    for each in (path, recorder.playlist()):
        sides = probe(each)["video"].get("side_data_list", [])
        assert [side["rotation"] % 360 for side in sides if "rotation" in side] == ([(-turn) % 360] if turn else [])
        assert seen(each) == shown(turn)
    assert [muxed.init is not None for muxed in recorder.muxed["hls"]] == [True, False]


def test_a_turn_in_mid_recording_is_a_new_init_and_a_new_file(tmp_path: Path) -> None:
    whole = jobs(film("h264", [0, 90, 90, 270]), opus(4), segment_s=1)
    recorder = record(tmp_path, spec(formats=("hls", "mp4")), whole)
    hls = recorder.muxed["hls"]
    assert [muxed.init is not None for muxed in hls] == [True, True, False, True]
    assert [muxed.discontinuity for muxed in hls] == [False, True, False, True]
    made = files(recorder)["mp4"]
    assert [seen(path) for path in made] == [shown(0), shown(90), shown(270)]
    assert [round(float(probe(path)["format"]["duration"])) for path in made] == [1, 2, 1]


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
def test_webm_that_is_a_copy_says_it_too(tmp_path: Path, codec: str) -> None:
    recorder = record(tmp_path, spec(formats=("webm",)), jobs(film(codec, [90, 180]), opus(2), codec, segment_s=1))
    assert [seen(path) for path in files(recorder)["webm"]] == [shown(90), shown(180)]


def test_what_is_transcoded_is_turned_on_the_way(tmp_path: Path) -> None:
    whole = jobs(film("vp8", [270, 270]), opus(2), "vp8", segment_s=1)
    recorder = record(tmp_path, spec(formats=("hls", "mp4", "flv"), hls=Hls(container="ts")), whole)
    made = files(recorder)
    for path in (*made["mp4"], *made["flv"], recorder.playlist()):
        assert "side_data_list" not in probe(path)["video"]
        assert seen(path) == shown(270)
    assert all(muxed.unturned == 0 for each in recorder.muxed.values() for muxed in each)


def test_ts_cannot_say_it_and_that_is_known(tmp_path: Path) -> None:
    whole = jobs(film("h264", [90]), opus(1))
    recorder = record(tmp_path, spec(formats=("hls",), hls=Hls(container="ts")), whole)
    assert [(muxed.rotation, muxed.unturned) for muxed in recorder.muxed["hls"]] == [(0, 90)]
    assert seen(recorder.playlist()) == shown(0)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_matrix_is_read_as_it_was_written(turn: int) -> None:
    assert rotation_of(matrix(turn, WIDTH, HEIGHT)) == turn


def test_a_matrix_that_scales_is_refused() -> None:
    with pytest.raises(BoxError, match="more than turn"):
        rotation_of(bytes([0, 2]) + matrix(0, WIDTH, HEIGHT)[2:])


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_pixels_are_turned_with_their_colour(turn: int) -> None:
    rgb = np.zeros((64, 96, 3), np.uint8)
    rgb[:32, :48] = (250, 20, 20)
    picture = turned(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p"), turn)
    wanted = np.rot90(rgb, -turn // 90)
    assert np.abs(picture.to_ndarray(format="rgb24").astype(int) - wanted).mean() < 6
