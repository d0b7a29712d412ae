"""File name patterns: what they become, and what they must never become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain import lines
from reelroom.domain.naming import MAX_KEY_BYTES, Names, check_naming, distinct, expand, safe
from reelroom.domain.recording import Format, Naming, RecordingSpec

AT = 1_785_226_400_123_456_789  # 2026-07-28T08:13:20.123456789Z


def spec(naming: Naming | None = None, **more: object) -> RecordingSpec:
    return RecordingSpec(
        id="ab" * 16,
        app="app",
        room="r/1",
        naming=naming or Naming(),
        requested_ns=AT,
        **more,  # type: ignore[arg-type]
    )


def output(identity: str = "alice", kind: str = "av", number: str = "001") -> lines.OutputOpened:
    return lines.OutputOpened(output=number, identity=identity, source="camera", kind=kind, start_ns=AT)


def segment(number: int = 7, container: str = "fmp4") -> lines.Segment:
    return lines.Segment(
        output="001", rendition="hls", container=container, number=number, path="x", bytes=1, sha256="",
        start_ns=AT, end_ns=AT + 10**9, media_start_ns=0, media_end_ns=10**9,
    )  # fmt: skip


def finished(sequence: int = 1, format_: str = "mp4") -> lines.File:
    return lines.File(
        output="001", identity="alice", source="camera", kind="av", format=format_, path="x", bytes=1,
        sha256="", start_ns=AT, end_ns=AT + 10**9, media_start_ns=0, duration_ns=10**9, sequence=sequence,
    )  # fmt: skip


def test_default_names_sit_in_a_folder_of_the_recording() -> None:
    names = Names(spec())
    folder = "ab" * 16
    assert names.playlist(output()) == f"{folder}/alice_camera.m3u8"
    assert names.segment(output(), segment()) == f"{folder}/alice_camera_00007.m4s"
    assert names.segment(output(), segment(container="ts")) == f"{folder}/alice_camera_00007.ts"
    init = lines.Init(output="001", rendition="hls", number=2, path="x", bytes=1, sha256="")
    assert names.init(output(), init) == f"{folder}/alice_camera_init2.mp4"
    assert names.file(finished()) == f"{folder}/alice_camera.mp4"
    assert names.file(finished(format_="opus")) == f"{folder}/alice_camera.ogg"


def test_parts_of_a_split_get_a_number_unless_the_pattern_has_one() -> None:
    assert Names(spec()).file(finished(3)).endswith("/alice_camera_3.mp4")
    assert Names(spec(Naming(prefix="", file="{identity}_{index}"))).file(finished(3)) == "alice_2.mp4"
    assert Names(spec(Naming(prefix="", file="{identity}_{start:s}"))).file(finished(3)) == f"alice_{AT // 10**9}.mp4"


def test_audio_and_video_apart_have_names_of_their_own() -> None:
    names = Names(spec())
    assert names.playlist(output(kind="audio")) != names.playlist(output(kind="video"))
    assert (
        Names(spec(Naming(prefix="", file="{identity}__{kind}"))).playlist(output(kind="audio")) == "alice__audio.m3u8"
    )


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", "20260728T081320Z"),
        (":digits", "20260728081320123"),
        (":iso", "2026-07-28T08-13-20.123Z"),
        (":s", "1785226400"),
        (":ms", "1785226400123"),
        (":%Y/%m", "2026/07"),
        (":%H.%M", "08.13"),
    ],
)
def test_times_have_several_forms(form: str, expected: str) -> None:
    assert expand("{start" + form + "}", {"start": AT}) == expected


def test_a_prefix_can_hold_the_start_of_the_recording_and_the_participant() -> None:
    names = Names(spec(Naming(prefix="{app}/{start:%Y}/{identity}/", file="{started:ms}")))
    assert names.playlist(output()) == "app/2026/alice/1785226400123.m3u8"


@pytest.mark.parametrize(
    ("naming", "said"),
    [
        (Naming(file="{uid}"), "unknown variable {uid}; there are app, room"),
        (Naming(file="{identity.__class__}"), "unknown variable"),
        (Naming(file="{identity[0]}"), "unknown variable"),
        (Naming(file="{0}"), "unknown variable"),
        (Naming(file="{}"), "unknown variable"),
        (Naming(file="{identity!r}"), "conversion"),
        (Naming(file="{identity:>9999999999}"), "takes no form"),
        (Naming(segment="{sequence:99999999d}"), "no form of a number"),
        (Naming(file="{start:{end}}"), "no form of a time"),
        (Naming(file="{identity"), "malformed"),
        (Naming(file="../{identity}"), "relative path"),
        (Naming(file="/etc/{identity}"), "relative path"),
        (Naming(file="a//{identity}"), "relative path"),
        (Naming(file="a\\{identity}"), "backslash"),
        (Naming(file="a\n{identity}"), "control"),
        (Naming(file="a/"), "must end with a file's name"),
        (Naming(file=""), "must not be empty"),
        (Naming(prefix="a"), "end with '/'"),
        (Naming(prefix="{sequence}/"), "unknown variable {sequence}"),
        (Naming(segment="{identity}"), "naming.segment must have"),
        (Naming(file="{end}"), "naming.file must not have {end}"),
        (Naming(file="x" * 600), "at most 512"),
    ],
)
def test_bad_patterns_are_refused_with_the_reason(naming: Naming, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_naming(naming, (Format.HLS,))
    assert said in str(caught.value)


def test_the_end_can_name_a_file_that_is_no_playlist() -> None:
    made = Names(spec(Naming(prefix="", file="{end:s}"), formats=(Format.MP4,))).file(finished())
    assert made == "1785226401.mp4"


@given(st.text(max_size=400))
def test_no_value_escapes_its_path_segment(value: str) -> None:
    made = safe(value)
    assert made not in ("", ".", "..")
    assert not set(made) & set("/\\\x00\n\r\x7f")
    assert len(made.encode()) <= 120
    assert safe(value) == made


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_different_values_stay_different(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)


@given(st.text(min_size=1, max_size=128), st.integers(1, 10**6))
def test_keys_are_bounded_relative_paths(identity: str, number: int) -> None:
    names = Names(spec(Naming(prefix="{identity}/{room}/{identity}/", segment="{identity}{identity}/{sequence}")))
    key = names.segment(output(identity), segment(number))
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in key.split("/"))


def test_agoras_individual_names_can_be_said() -> None:
    naming = Naming(
        prefix="dirA/",
        file="{recording}_{room}__uid_s_{identity}__uid_e_{kind}",
        segment="{recording}_{room}__uid_s_{identity}__uid_e_{kind}_{start:digits}",
    )
    made = Names(RecordingSpec(id="9f" * 16, app="a", room="room-7", naming=naming))
    who = output("41", "audio")
    assert made.playlist(who) == f"dirA/{'9f' * 16}_room-7__uid_s_41__uid_e_audio.m3u8"
    assert made.segment(who, segment(container="ts")) == (
        f"dirA/{'9f' * 16}_room-7__uid_s_41__uid_e_audio_20260728081320123.ts"
    )


def test_a_taken_name_gets_the_output_and_then_a_counter() -> None:
    taken = {"a/b.mp4", "a/b_002.mp4"}
    assert distinct("a/b.mp4", "002", taken.__contains__) == "a/b_002_2.mp4"
    assert distinct("a/c.mp4", "002", taken.__contains__) == "a/c.mp4"


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        ("camera", "av", "alice_alice_VA"),
        ("camera", "audio", "alice_alice_A"),
        ("screen", "video", "alice_alice~screen_V"),
    ],
)
def test_streams_and_letters(source: str, kind: str, name: str) -> None:
    names = Names(spec(Naming(prefix="", file="{identity}_{stream}_{letters}")))
    opened = lines.OutputOpened(output="001", identity="alice", source=source, kind=kind, start_ns=AT)
    assert names.playlist(opened) == name + ".m3u8"
