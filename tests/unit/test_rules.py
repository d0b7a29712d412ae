"""Which streams a rule means, what they have in common, and what a file is called in the library."""

from __future__ import annotations

from typing import Any

import pytest

from reelroom.domain.library import LibrarySpec, media_id
from reelroom.domain.recording import Source
from reelroom.domain.rules import Match, Per, Rule, Stream, match_of

S = 1_000_000_000


def stream(room: str = "r", identity: str = "ann", output: str = "camera") -> Stream:
    return Stream(app="a", room=room, identity=identity, output=output)


@pytest.mark.parametrize(
    ("fields", "there", "wanted"),
    [
        ({}, stream(), True),
        ({"enabled": False}, stream(), False),
        ({"room": "class-*"}, stream("class-"), True),
        ({"room": "class-*"}, stream("myclass-1"), False),
        ({"room": "class-*"}, stream("class-1\nx"), True),
        ({"room": "CLASS"}, stream("class"), False),
        ({"room": "[!a]?"}, stream("ab"), False),
        ({"room": "[!a]?"}, stream("bb"), True),
        ({"identity": "a.n"}, stream(identity="axn"), False),
        ({"outputs": ("screen",)}, stream(), False),
        ({"outputs": ("screen",)}, stream(output="screen"), True),
    ],
)
def test_which_streams_a_rule_means(fields: dict[str, Any], there: Stream, wanted: bool) -> None:
    assert Rule(template="t", **fields).matches(there) is wanted


def test_streams_of_one_match_have_one_key_and_others_another() -> None:
    per_stream, per_room = Rule(template="t"), Rule(template="t", per=Per.ROOM)
    streams = [stream(), stream(identity="bob"), stream(output="screen"), stream(room="r2"), stream("ra", "nn")]
    assert len({match_of("1", per_stream, one).key for one in streams}) == 5
    assert len({match_of("1", per_room, one).key for one in streams[:3]}) == 1
    assert match_of("1", per_room, streams[0]).key != match_of("2", per_room, streams[0]).key
    assert len(match_of("0" * 32, per_room, streams[0]).key) == 65
    assert match_of("1", per_stream, streams[2]).sources == (Source.SCREEN, Source.SCREEN_AUDIO)
    assert Match(rule="1", app="a", room="r").sources == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"room": ""}, {"room": "x" * 257}, {"identity": "\0"}, {"outputs": ()}, {"outputs": ("mixed",)},
        {"outputs": ("camera", "camera")}, {"resume_s": 0}, {"resume_s": 86_401},
    ],
)  # fmt: skip
def test_rules_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Rule(template="t", **wrong)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not Rule(template="t", room="*a" * 100 + "b").matches(stream("a" * 128))


VALUES: dict[str, str | int] = {
    "app": "a", "room": "1001", "recording": "f" * 32, "identity": "anchor01", "source": "camera", "kind": "av",
    "output": "001", "format": "hls", "started": 1_600_000_000 * S, "start": 1_700_000_000 * S,
    "end": 1_700_000_600 * S, "sequence": 1, "index": 0,
}  # fmt: skip


def test_tencents_names_and_streams() -> None:
    spec = LibrarySpec(
        name="140_{room}_{identity}_{source}_{start:%Y-%m-%d-%H-%M-%S}_{end:%Y-%m-%d-%H-%M-%S}",
        stream="140_{room}_{identity}_{source}",
        sources=(("camera", "main"), ("screen", "aux")),
        utc_offset_s=28_800,
    )
    name, stream_ = spec.names(VALUES, "p/f.m3u8")
    assert name == "140_1001_anchor01_main_2023-11-15-06-13-20_2023-11-15-06-23-20"
    assert stream_ == "140_1001_anchor01_main"
    assert spec.names(VALUES | {"source": "screen"}, "k.mp4")[1] == "140_1001_anchor01_aux"


def test_names_by_default() -> None:
    assert LibrarySpec().names(VALUES, "p/q/ann_camera.m3u8") == ("ann_camera", "1001_anchor01_camera")
    assert LibrarySpec().names(VALUES | {"identity": "", "source": "mixed"}, "m.mp4") == ("m", "1001_mixed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": ("a", "a")}, {"tags": ("",)}, {"tags": ("x" * 65,)}, {"tags": tuple(map(str, range(17)))},
        {"expire_s": -1}, {"name": "{mode}"}, {"name": "{"}, {"stream": "{x}"}, {"utc_offset_s": 50_401},
    ],
)  # fmt: skip
def test_library_specs_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        LibrarySpec(**wrong)


def test_ids_are_nineteen_digits_and_stay() -> None:
    assert media_id("r", "k") == media_id("r", "k") != media_id("r", "l")
    ids = {media_id("r", str(number)) for number in range(1000)}
    assert len(ids) == 1000 and all(len(one) == 19 and 0 < int(one) < 1 << 63 for one in ids)
