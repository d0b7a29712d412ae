"""Where files are cut: by length and by size. Reads and writes no file."""

from __future__ import annotations

from reelroom.domain.lines import OutputOpened, Segment
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.finish.choose import Output, plans

S = 1_000_000_000


def output(count: int, size: int, video: str = "h264", audio: str = "aac") -> Output:
    opened = OutputOpened(output="001", identity="a", source="camera", kind="av", start_ns=0)
    lines = {
        number: Segment(
            output="001", rendition="copy", container="fmp4", number=number, path="", bytes=size, sha256="",
            start_ns=0, end_ns=1, media_start_ns=(number - 1) * 10 * S, media_end_ns=number * 10 * S, video_codec=video,
            audio_codec=audio, video_frames=1 if video else 0, audio_frames=1 if audio else 0, init=1,
        )
        for number in range(1, count + 1)
    }  # fmt: skip
    return Output(opened, segments={"copy": lines})


def spec(**more: object) -> RecordingSpec:
    return RecordingSpec(id="0" * 32, app="a", room="r", **more)  # type: ignore[arg-type]


def parts(made: Output, format_: Format, **more: object) -> list[int]:
    return [len(plan.picks) for plan in plans(made, format_, spec(**more))]


def test_files_are_cut_before_they_are_too_large() -> None:
    assert parts(output(7, 1_000_000), Format.MP4) == [7]
    assert parts(output(7, 1_000_000), Format.MP4, split_bytes=3_500_000) == [3, 3, 1]
    assert parts(output(7, 1_000_000), Format.MP4, split_bytes=3_000_000) == [3, 3, 1]
    assert parts(output(3, 5_000_000), Format.MP4, split_bytes=3_000_000) == [1, 1, 1]  # no smaller than a segment
    assert parts(output(7, 1_000_000), Format.MP4, split_bytes=5_000_000, split_s=40) == [4, 3]


def test_what_is_transcoded_counts_as_large_as_it_becomes() -> None:
    small = output(6, 1_000, video="vp8")  # 10 s at 1.5 Mbit/s are 1 875 000 bytes
    assert parts(small, Format.MP4, split_bytes=4_000_000) == [2, 2, 2]


def test_a_picture_that_is_left_out_does_not_count() -> None:
    large = output(6, 5_000_000)  # 10 s at 64 kbit/s are 80 000 bytes
    assert parts(large, Format.AAC, split_bytes=1_000_000) == [6]
