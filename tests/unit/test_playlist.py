"""HLS playlists: RFC 8216's rules for ones that grow, end, have holes and change codec."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain.lines import Init, Segment
from reelroom.domain.recording import PlaylistTags
from reelroom.finish.playlist import (
    Growing,
    Tags,
    Variant,
    multivariant,
    playlist,
    relative_uri,
    target_duration,
)

T0 = 1_785_226_400_000_000_000
S = 1_000_000_000


def seg(number: int, start: float, end: float, *, init: int = 1, room: float | None = None, **more: object) -> Segment:
    began = T0 + int((start if room is None else room) * S)
    return Segment(
        output="001", rendition="hls", container="fmp4" if init else "ts", number=number,
        path=f"{number}.m4s", bytes=1, sha256="", start_ns=began, end_ns=began + int((end - start) * S),
        media_start_ns=int(start * S), media_end_ns=int(end * S), init=init, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def ini(number: int) -> Init:
    return Init(output="001", rendition="hls", number=number, path=f"init{number}.mp4", bytes=1, sha256="")


def name(line: Segment | Init) -> str:
    return line.path


def test_fmp4_playlist_that_grows() -> None:
    text = playlist([seg(1, 0, 6), seg(2, 6, 12.5)], [ini(1)], name, ended=False, target_s=target_duration(6))
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init1.mp4"\n#EXT-X-PROGRAM-DATE-TIME:2026-07-28T08:13:20.000Z\n'
        "#EXTINF:6.000000,\n1.m4s\n#EXTINF:6.500000,\n2.m4s\n"
    )


def test_ts_playlist_that_ended() -> None:
    text = playlist([seg(1, 0, 6, init=0)], [], name, ended=True, target_s=10)
    assert "#EXT-X-VERSION:3\n" in text
    assert "EXT-X-MAP" not in text
    assert text.endswith("#EXT-X-ENDLIST\n")


def test_an_empty_playlist_is_one() -> None:
    assert playlist([], [], name, ended=False, target_s=4).startswith(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4"
    )


def test_a_new_init_segment_is_a_discontinuity_with_its_map_and_time() -> None:
    text = playlist([seg(1, 0, 6), seg(2, 6, 12, init=2, discontinuity=True)], [ini(1), ini(2)], name, True, 10)
    assert (
        '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init2.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-07-28T08:13:26.000Z\n#EXTINF:6.000000,\n2.m4s\n"
    ) in text


def test_a_pause_is_no_discontinuity_but_another_wall_clock() -> None:
    text = playlist([seg(1, 0, 6), seg(2, 6, 12, room=66)], [ini(1)], name, True, 10)
    assert "DISCONTINUITY" not in text
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-07-28T08:14:26.000Z\n#EXTINF:6.000000,\n2.m4s" in text


def test_a_hole_in_media_time_is_a_discontinuity() -> None:
    assert "#EXT-X-DISCONTINUITY" in playlist([seg(1, 0, 6), seg(2, 16, 22)], [ini(1)], name, True, 10)


def test_segments_without_a_key_frame_are_not_called_independent() -> None:
    text = playlist([seg(1, 0, 6), seg(2, 6, 12, key=False)], [ini(1)], name, True, 10)
    assert "INDEPENDENT" not in text


def test_a_segment_beyond_the_target_raises_it() -> None:
    assert "#EXT-X-TARGETDURATION:21\n" in playlist([seg(1, 0, 20.6)], [ini(1)], name, True, 10)


def test_a_missing_segment_is_said_to_be_one() -> None:
    growing = Growing(10)
    growing.add(seg(1, 0, 6), {1: ini(1)}, name, missing=True)
    assert "#EXT-X-VERSION:8\n" in growing.text(True)
    assert "#EXT-X-GAP\n#EXTINF:6.000000,\n1.m4s" in growing.text(True)


def test_segments_out_of_turn_are_refused() -> None:
    with pytest.raises(ValueError, match="segment 3"):
        playlist([seg(1, 0, 6), seg(3, 12, 18)], [ini(1)], name, False)
    with pytest.raises(ValueError, match="needs init 1"):
        playlist([seg(1, 0, 6)], [], name, False)


@given(st.lists(st.tuples(st.floats(0.1, 9.4), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_growing_only_appends_and_keeps_its_target(parts: list[tuple[float, bool, bool]]) -> None:
    growing = Growing(target_duration(6))
    at, before = 0.0, ""
    for number, (length, discontinuity, new_init) in enumerate(parts, 1):
        init = 2 if new_init else 1
        growing.add(seg(number, at, at + length, init=init, discontinuity=discontinuity), {1: ini(1), 2: ini(2)}, name)
        at += length
        text = growing.text(False)
        assert text.startswith(before)
        assert "#EXT-X-TARGETDURATION:10\n" in text
        assert all(round(float(each)) <= 10 for each in re.findall(r"#EXTINF:([\d.]+),", text))
        before = text
    assert growing.text(True) == before + "#EXT-X-ENDLIST\n"
    assert growing.segments == len(parts)


def test_a_multivariant_playlist_joins_video_with_the_audio_apart() -> None:
    text = multivariant(Variant("v.m3u8", "alice", 1_500_000, 1280, 720), [Variant("a.m3u8", 'al"ice', 64_000)])
    assert 'TYPE=AUDIO,GROUP-ID="audio",NAME="al\'ice",DEFAULT=YES,AUTOSELECT=YES,URI="a.m3u8"' in text
    assert text.endswith('#EXT-X-STREAM-INF:BANDWIDTH=1564000,RESOLUTION=1280x720,AUDIO="audio"\nv.m3u8\n')


@pytest.mark.parametrize(
    ("key", "beside", "uri"),
    [
        ("a/b/1.m4s", "a/b/p.m3u8", "1.m4s"),
        ("a/s/1.m4s", "a/p.m3u8", "s/1.m4s"),
        ("a/s/1.m4s", "b/c/p.m3u8", "../../a/s/1.m4s"),
        ("1.m4s", "p.m3u8", "1.m4s"),
        ("a/x:y z#%é?.ts", "a/p.m3u8", "./x:y%20z%23%25%C3%A9%3F.ts"),
        ('a/"q".ts', "a/p.m3u8", "%22q%22.ts"),
        ("a/x+y.ts", "a/p.m3u8", "x%2By.ts"),
    ],
)
def test_uris_are_relative_and_encoded(key: str, beside: str, uri: str) -> None:
    assert relative_uri(key, beside) == uri


def test_a_dialects_own_tags() -> None:
    own = PlaylistTags(
        head={"audio": ("#EXT-X-A:{identity} {source} {start_ms} {channels}",), "av": ("#EXT-X-B:{kind}",)},
        each=("#EXT-X-C:{start_ms},{bytes}",),
        sources={"camera": "main"},
    )
    growing = Growing(10, tags=Tags(own, "a\n{b}", "camera", "audio"))
    assert "EXT-X-A" not in growing.text(ended=False)  # nothing has come yet
    growing.add(seg(1, 0, 6, init=0, channels=2), {}, name)
    growing.add(seg(2, 6, 12, init=0, channels=1), {}, name)
    ms = T0 // 1_000_000
    text = growing.text(ended=True)
    assert text.count("#EXT-X-A:") == 1
    assert f"#EXT-X-A:a?{{b}} main {ms} 2\n" in text
    assert f"#EXT-X-C:{ms},1\n#EXTINF:6.000000,\n1.m4s\n#EXT-X-C:{ms + 6000},1\n#EXTINF" in text
    assert "EXT-X-B" not in text


def test_tags_where_a_stream_starts_and_where_its_pictures_change() -> None:
    own = PlaylistTags(starts={"video": ("#EXT-X-S:{start_digits}",)}, sizes={"video": ("#EXT-X-W:{width}",)})
    growing = Growing(10, tags=Tags(own, "a", "camera", "video"))
    growing.add(seg(1, 0, 6, init=0, width=640), {}, name)
    growing.add(seg(2, 6, 12, init=0, width=640), {}, name)
    growing.add(seg(3, 12, 18, init=0, width=320, discontinuity=True), {}, name)
    growing.add(seg(4, 30, 36, init=0, width=320), {}, name)
    lines = [line for line in growing.text(ended=True).splitlines() if line[:8] in ("#EXT-X-S", "#EXT-X-W", "#EXT-X-D")]
    first, last = lines[1], lines[-1]
    assert lines == ["#EXT-X-W:640", first, "#EXT-X-DISCONTINUITY", "#EXT-X-W:320", "#EXT-X-DISCONTINUITY", last]
    assert len(first) == len("#EXT-X-S:") + 17 and int(last[9:]) - int(first[9:]) == 30_000


@pytest.mark.parametrize("line", ["#EXTINF:1", "#EXT-X-A:{nobody}", "#EXT-X-A:{", "#EXT-X-A\n#EXT-X-B"])
def test_tags_that_cannot_be(line: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        PlaylistTags(each=(line,))
