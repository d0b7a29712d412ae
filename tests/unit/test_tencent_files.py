"""Names of Tencent's files as documented and captured, whom its lists mean, and where its time stamps stand."""

from __future__ import annotations

import re

import msgspec
import pytest

from reelroom.dialects.tencent import mixing, naming
from reelroom.dialects.tencent.translate import wanted
from reelroom.dialects.tencent.wire_cloud import CreateCloudRecording, LayoutBody
from reelroom.domain import lines
from reelroom.domain.naming import Names, base64_name
from reelroom.domain.recording import Format, RecordingSpec, Selection
from reelroom.finish.playlist import Growing, Tags
from reelroom.record.mixed.images import Images
from reelroom.record.mixed.watermark import drawn
from tests.unit.tencent_server import create, mixed

BEGIN = 1_768_908_622_495_000_000  # of a captured recording
#: The vendor's merge script.
SCRIPT = re.compile(r"(.*)__UserId_s_(.*)__UserId_e_([a-zA-Z]+)_([a-zA-Z]+).m3u8")


def names(room: str = "1001", room_type: int = 1, prefix: list[str] | None = None, defined: str = "") -> Names:
    made = naming.recording(1_400_000_123, room, room_type, prefix or [], defined)
    return Names(RecordingSpec(id="task", app="dev", room=room, formats=(Format.HLS,), tracks="apart", naming=made))


def opened(identity: str = "teacher", source: str = "camera", kind: str = "audio") -> lines.OutputOpened:
    return lines.OutputOpened(output="001", identity=identity, source=source, kind=kind, start_ns=BEGIN)


def segment() -> lines.Segment:
    return lines.Segment(
        output="001", rendition="hls", container="ts", number=1, path="", bytes=1, sha256="", start_ns=BEGIN,
        end_ns=BEGIN + 10, media_start_ns=0, media_end_ns=10,
    )  # fmt: skip


def finished(identity: str = "teacher", source: str = "camera", **more: object) -> lines.File:
    return lines.File(
        output="001", identity=identity, source=source, kind="av", format="mp4", path="", bytes=1, sha256="",
        start_ns=BEGIN, end_ns=BEGIN + 10, media_start_ns=0, duration_ns=10, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_single_streams() -> None:
    stem = "school/math/task/1400000123_1001__UserId_s_dGVhY2hlcg..__UserId_e_main"
    made = names(prefix=["school", "math"])
    playlist = made.playlist(opened())
    assert playlist == f"{stem}_audio.m3u8"
    found = SCRIPT.fullmatch(playlist)
    assert found is not None
    assert found.groups()[2:] == ("main", "audio")
    assert made.segment(opened(kind="video"), segment()) == f"{stem}_video_20260120113022495.ts"
    assert made.playlist(opened(kind="av")) == f"{stem}_audio_video.m3u8"
    assert made.file(finished()) == f"{stem}.mp4"
    assert [made.file(finished(sequence=n, parts=2)) for n in (1, 2)] == [f"{stem}_1.mp4", f"{stem}_2.mp4"]
    assert made.file(finished(source="screen")).endswith("__UserId_e_aux.mp4")


def test_mixes_string_rooms_and_vod() -> None:
    assert names().playlist(opened("", "mixed", "av")) == "task/1400000123_1001.m3u8"
    assert names().segment(opened("", "mixed", "av"), segment()) == "task/1400000123_1001_20260120113022495.ts"
    room = names("room_366", 0, defined="lesson")
    assert room.file(finished("", "mixed")) == "task/lesson__UserDefine_u_1400000123_cm9vbV8zNjY..mp4"
    assert room.file(finished("", "mixed", sequence=2, parts=3)).endswith("_cm9vbV8zNjY._2.mp4")


def test_a_playlist_has_the_vendors_own_tags() -> None:
    spec = wanted(
        CreateCloudRecording.model_validate(create(RecordParams={"RecordMode": 1, "AvMerge": 1})), "0" * 32, "dev", 1
    ).spec
    assert spec.hls.tags is not None
    assert spec.hls.split_s == 14 * 86_400
    cut = {
        "video_codec": "h264",
        "audio_codec": "aac",
        "width": 640,
        "height": 480,
        "channels": 2,
        "sample_rate": 48000,
    }
    line = msgspec.structs.replace(segment(), bytes=684_508, **cut)

    def said(kind: str, source: str = "camera", spec: RecordingSpec = spec) -> list[str]:
        growing = Growing(16, tags=Tags(spec.hls.tags, "teacher", source, kind))  # type: ignore[arg-type]
        growing.add(line, {}, lambda _: "x.ts")
        lines = growing.text(ended=False).splitlines()
        return [text.removeprefix("#EXT-X-TRTC-") for text in lines if text.startswith("#EXT-X-TRTC-")]

    times = ["START-REC-TIME:1768908622495", "FILE-ATTR:1768908622495,684508"]
    video, audio = (
        "VIDEO-METADATA:WIDTH:640 HEIGHT:480 Codec:27",
        "Channel:2 SampleRate:48000 SampleFormat:1 Codec:86018",
    )
    assert said("video")[1:] == [
        times[0], "MEDIA-ID:main", "USER-ID:teacher", "MIX-STREAM:0", "STREAM-TYPE:1", video, times[1],
    ]  # fmt: skip
    assert said("audio", "screen")[2:-1] == [
        "MEDIA-ID:aux", "USER-ID:teacher", "MIX-STREAM:0", "STREAM-TYPE:0", f"AUDIO-METADATA:{audio}",
    ]  # fmt: skip
    mixed_spec = wanted(CreateCloudRecording.model_validate(mixed()), "0" * 32, "dev", 1).spec
    assert said("av", "mixed", mixed_spec)[2:-1] == [
        "MEDIA-ID:mix", "MIX-STREAM:1", "STREAM-TYPE:2", video, f"AUDIO-METADATA:{audio}",
    ]  # fmt: skip
    vod = create(StorageParams={"CloudVod": {"TencentVod": {"MediaType": 1}}})
    assert wanted(CreateCloudRecording.model_validate(vod), "0" * 32, "dev", 1).spec.hls.tags is None


@pytest.mark.parametrize(("name", "said"), [("1686119", "MTY4NjExOQ.."), ("room_366", "cm9vbV8zNjY."), ("a1?", "YTE-")])
def test_base64_as_in_the_document(name: str, said: str) -> None:
    assert base64_name(name) == said


def test_the_longest_names_still_fit() -> None:
    room, user = "x" * 64, "u" * 32
    made = names(room, 0).segment(opened(user), segment())
    assert base64_name(room) in made
    assert base64_name(user) in made


def test_whom_lists_mean() -> None:
    assert Selection(include=(), include_prefixes=("",), exclude_prefixes=("bot",)).wants("a")
    assert not Selection(include=(), include_prefixes=("",), exclude_prefixes=("bot",)).wants("bot1")
    assert not Selection(include=()).wants("a")
    assert not Selection(exclude=("a",)).wants("a")
    with pytest.raises(ValueError, match="include_prefixes"):
        Selection(include_prefixes=("a",))


@pytest.mark.parametrize("position", range(7))
def test_a_time_stamp_lies_where_its_position_says(position: int, tmp_path: object) -> None:
    mark = {"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": position}}
    given = LayoutBody.model_validate({"MixLayoutMode": 3, "WaterMarkList": [mark]})
    (made,) = mixing.shown(given, 1280, 720, 0).scene.watermarks
    found = drawn(made, "2026-01-20 19:30:22", 1280, 720, Images(tmp_path))  # type: ignore[arg-type]
    assert found is not None
    left = {0: 0, 2: 0, 1: 2, 3: 2, 4: 1, 5: 1, 6: 1}[position]
    top = {0: 0, 1: 0, 4: 0, 2: 2, 3: 2, 5: 2, 6: 1}[position]
    assert (found.x < 300) == (left == 0)
    assert (found.x > 900) == (left == 2)
    assert (found.y < 200) == (top == 0)
    assert (found.y > 500) == (top == 2)
