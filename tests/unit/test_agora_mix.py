"""Agora's mode mix: what start and updateLayout become, what query and stop answer. No processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reelroom.dialects.agora import layouts, mixing, translate
from reelroom.dialects.agora.errors import ServiceError
from reelroom.dialects.agora.notices import notices
from reelroom.dialects.agora.wire import StartRequest, parse
from reelroom.domain import events, lines
from reelroom.domain.layout import Person, arrange
from reelroom.domain.mix import Mix
from reelroom.domain.naming import Names
from reelroom.domain.recording import Format, Mode, RecordingSpec, Selection
from reelroom.domain.scene import Fit, Scene, Surface
from reelroom.store import tables
from tests.unit.agora_server import STORAGE, Server, refused, serving

SID = "9f0c6a1e2b7d4835a1c0de55f0e4b621"
WHOLE = {"x_axis": 0, "y_axis": 0, "width": 1, "height": 1}
START_NS = 1_785_226_400_390 * 10**6


def spec(recording: dict[str, Any] | None = None, prefix: str = "", **more: Any) -> RecordingSpec:
    request = parse(StartRequest, {"storageConfig": STORAGE, "recordingConfig": recording, **more}, "clientRequest")
    names = {"sid": SID, "app": "dev", "cname": "room-7"}
    return translate.spec(request, **names, prefix=prefix, requested_ns=1, mode="mix")[0]


def mixed(transcoding: dict[str, Any] | None = None, **recording: Any) -> Mix:
    made = spec({**recording, **({} if transcoding is None else {"transcodingConfig": transcoding})}).mix
    assert made is not None
    return made


def wrong(recording: dict[str, Any] | None = None, **more: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        spec(recording, **more)
    assert (caught.value.status, caught.value.code) == (400, 2)
    return caught.value.reason


def test_a_bare_start_is_agoras_defaults() -> None:
    made = spec()
    assert made.mode is Mode.MIXED and made.mix is not None
    mix = made.mix
    assert (mix.width, mix.height, mix.fps, mix.video_bitrate) == (360, 640, 15, 500_000)
    assert (mix.video_codec, mix.audio_codec, mix.sample_rate, mix.channels, mix.audio_bitrate) == (
        "h264", "aac", 48_000, 1, 48_000,
    )  # fmt: skip
    assert mix.scene.layout == layouts.preset(0)
    assert (mix.scene.background, mix.scene.hold_s, mix.scene.hold_bare) == (Surface(color="#000000"), 3.5, True)
    assert mix.scene.placeholder == Surface(color="")
    assert made.formats == (Format.HLS,)
    assert (made.hls.container, made.hls.segment_s, made.tracks, made.split_s) == ("ts", 15.0, "together", 7200.0)
    assert made.split_bytes == 2_000_000_000
    assert made.hls.segment_s % mix.gop_s == 0
    assert made.subscription.audio == Selection() and made.subscription.video == Selection()


@pytest.mark.parametrize(("profile", "channels", "bitrate"), [(0, 1, 48_000), (1, 1, 128_000), (2, 2, 192_000)])
def test_audio_profiles(profile: int, channels: int, bitrate: int) -> None:
    made = mixed(audioProfile=profile)
    assert (made.channels, made.audio_bitrate, made.sample_rate) == (channels, bitrate, 48_000)


@pytest.mark.parametrize(("asked", "got"), [(1, 1), (7, 7), (24, 24), (60, 60), (20, 15), (61, 15), (30.0, 30)])
def test_frame_rates_that_agora_does_not_have_behave_as_15(asked: float, got: int) -> None:
    assert mixed({"fps": asked}).fps == got


def test_size_and_bitrate() -> None:
    made = mixed({"width": 1280, "height": 720, "bitrate": 2260, "fps": 30})
    assert (made.width, made.height, made.video_bitrate) == (1280, 720, 2_260_000)
    assert (mixed({"width": 361, "height": 639}).width, mixed({"width": 361, "height": 639}).height) == (360, 638)
    assert mixed({"width": 1080, "height": 1920}).height == 1920


@pytest.mark.parametrize(
    ("transcoding", "what"),
    [
        ({"width": 1922}, "width"),
        ({"width": 1920, "height": 1920}, "1920 x 1080"),
        ({"bitrate": 6501}, "bitrate"),
        ({"width": "1280"}, "width"),
        ({"mixedVideoLayout": 4}, "mixedVideoLayout"),
        ({"mixedVideoLayout": 3}, "layoutConfig"),
        ({"mixedVideoLayout": 1, "layoutConfig": [WHOLE]}, "layoutConfig"),
        ({"mixedVideoLayout": 3, "layoutConfig": [{**WHOLE, "x_axis": 0.5, "width": 0.6}]}, "at most 1"),
        ({"mixedVideoLayout": 3, "layoutConfig": [{"x_axis": 0, "y_axis": 0, "width": 1}]}, "height"),
        ({"mixedVideoLayout": 3, "layoutConfig": [WHOLE] * 18}, "17"),
        ({"mixedVideoLayout": 3, "layoutConfig": [{**WHOLE, "uid": "41"}] * 2}, "one region"),
        ({"backgroundColor": "red"}, "backgroundColor"),
        ({"backgroundImage": "ftp://x/y.jpg"}, "backgroundImage"),
        ({"backgroundConfig": [{"uid": "41"}]}, "image_url"),
        ({"backgroundConfig": [{"uid": "0", "image_url": "http://x/y"}]}, "uid"),
        ({"maxResolutionUid": "bob", "mixedVideoLayout": 2}, "uid"),
        ("no object", "transcodingConfig"),
    ],
)  # fmt: skip
def test_wrong_transcoding_configs_are_said_to_be(transcoding: Any, what: str) -> None:
    assert what in wrong({"transcodingConfig": transcoding})


def test_file_types_of_mode_mix() -> None:
    assert spec(recordingFileConfig={"avFileType": ["mp4", "hls"]}).formats == (Format.HLS, Format.MP4)
    for refused_types in (["mp4"], ["hls", "mp3"], ["hls", "webm"]):
        assert "avFileType" in wrong(recordingFileConfig={"avFileType": refused_types})


def test_what_mode_mix_does_not_have_is_refused() -> None:
    assert "streamMode" in wrong({"streamMode": "standard"})
    assert "audioProfile" in wrong({"audioProfile": 3})
    assert spec({"videoStreamType": 1}).subscription.layer == "low"
    assert "snapshotConfig" in wrong(snapshotConfig={"fileType": ["jpg"]})


def test_sound_only_and_picture_only() -> None:
    assert spec({"streamTypes": 0}).subscription.video is None
    assert spec({"streamTypes": 1}).subscription.audio is None
    assert spec({"subscribeAudioUids": ["#allstream#"]}).subscription.video is None
    only = spec({"subscribeAudioUids": ["#allstream#"], "unSubscribeVideoUids": ["41"]}).subscription
    assert only.video == Selection(exclude=("41",))


def test_names_of_a_mix_are_agoras() -> None:
    names = Names(spec(prefix="dirA/"))
    for kind in ("av", "audio", "video"):
        output = lines.OutputOpened(output="001", identity="", source="mixed", kind=kind, start_ns=START_NS)
        assert names.playlist(output) == f"dirA/{SID}_room-7.m3u8"
        segment = lines.Segment(
            output="001", rendition="hls", container="ts", number=1, path="x", bytes=1, sha256="",
            start_ns=START_NS, end_ns=0, media_start_ns=0, media_end_ns=0,
        )  # fmt: skip
        assert names.segment(output, segment) == f"dirA/{SID}_room-7_20260728081320390.ts"
        for sequence in (1, 2):
            file = lines.File(
                output="001", identity="", source="mixed", kind=kind, format="mp4", path="x", bytes=1, sha256="",
                start_ns=START_NS, end_ns=0, media_start_ns=0, duration_ns=0, sequence=sequence,
            )  # fmt: skip
            assert names.file(file) == f"dirA/{SID}_room-7_{sequence - 1}.mp4"


def test_images_of_users_go_before_the_default_and_both_before_the_background() -> None:
    keys = {
        "backgroundColor": "#102030",
        "backgroundImage": "https://x/b.jpg",
        "defaultUserBackgroundImage": "https://x/d.jpg",
        "backgroundConfig": [{"uid": "41", "image_url": "https://x/41.jpg", "render_mode": 1}],
    }
    made = mixing.update_layout(keys)
    by_url = {source.url: name for name, source in made.images.items()}
    scene = made.scene
    assert scene.background == Surface(color="#102030", image=by_url["https://x/b.jpg"])
    assert scene.placeholder == Surface(color="", image=by_url["https://x/d.jpg"])
    assert scene.placeholders == {"41": Surface(color="", image=by_url["https://x/41.jpg"], fit=Fit.FIT)}
    assert all(source.optional for source in made.images.values())
    # one that cannot be had leaves the next in order
    left = scene.with_images({name: "" if "41" in source.url else "0" * 64 for name, source in made.images.items()})
    assert left.placeholders == {} and left.placeholder.image == "0" * 64


def test_regions_of_32_bit_floats_reach_the_edge() -> None:
    for x, width in ((0.6666667, 0.33333334), (0.16666667, 0.8333334), (0.5000004, 0.5000004)):
        region = {"x_axis": x, "y_axis": x, "width": width, "height": width}
        scene = mixing.update_layout({"mixedVideoLayout": 3, "layoutConfig": [region]}).scene
        (place,) = scene.layout.panes
        assert place.x + place.width == pytest.approx(1, abs=2e-6) and place.x + place.width <= 1


def test_a_region_of_no_size_is_somebodys_and_not_seen() -> None:
    regions = [
        {"x_axis": 1, "y_axis": 0, "width": 0, "height": 1},
        {"x_axis": 0, "y_axis": 0, "width": 1, "height": 1, "uid": ""},
    ]
    scene = mixing.update_layout({"mixedVideoLayout": 3, "layoutConfig": regions}).scene
    people = [Person("41", "camera", 0, True), Person("57", "camera", 1, True)]
    assert [pane.identity for pane in arrange(scene.layout, 640, 360, people, 0)] == ["57"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as made:
        yield made


async def started(server: Server, **request: Any) -> tuple[str, str]:
    resource_id = await server.acquire()
    answer = await server.start(resource_id, mode="mix", **request)
    assert answer.status_code == 200, answer.text
    return resource_id, answer.json()["sid"]


async def sliced(server: Server, sid: str, mp4: bool = False) -> None:
    opened = {"output": "001", "identity": "", "source": "mixed", "kind": "av", "start_ns": START_NS}
    common: dict[str, Any] = {"recording": sid, "output": "001", "path": "", "state": "uploaded"}
    async with server.database.transaction() as session:
        stem = f"dirA/{sid}_room-7"
        session.add(tables.File(role="playlist", key=f"{stem}.m3u8", line=opened, format="hls", **common))
        session.add(tables.File(role="segment", key=f"{stem}_1.ts", line={}, number=1, format="hls", **common))
        if mp4:
            session.add(tables.File(role="file", key=f"{stem}_0.mp4", line=opened, format="mp4", **common))


def entry(name: str) -> dict[str, Any]:
    return {
        "fileName": name,
        "trackType": "audio_and_video",
        "uid": "0",
        "mixedAllUser": True,
        "isPlayable": True,
        "sliceStartTime": START_NS // 10**6,
    }


async def test_query_and_stop_of_a_mix_with_hls_name_one_playlist_as_a_string(server: Server) -> None:
    resource_id, sid = await started(server)
    name = f"dirA/{sid}_room-7.m3u8"
    answer = (await server.call("query", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert answer == {"status": 4, "fileListMode": "string", "fileList": name, "sliceStartTime": 0}
    await sliced(server, sid)
    answer = (await server.call("query", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert answer == {"status": 5, "fileListMode": "string", "fileList": name, "sliceStartTime": START_NS // 10**6}
    stopped = (await server.call("stop", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert stopped == {"fileListMode": "string", "fileList": name, "uploadingStatus": "uploaded"}


async def test_query_and_stop_of_a_mix_with_mp4_list_both(server: Server) -> None:
    resource_id, sid = await started(server, recordingFileConfig={"avFileType": ["hls", "mp4"]})
    answer = (await server.call("query", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert answer == {"status": 4, "fileListMode": "json", "fileList": [], "sliceStartTime": 0}
    await sliced(server, sid, mp4=True)
    both = [entry(f"dirA/{sid}_room-7.m3u8"), entry(f"dirA/{sid}_room-7_0.mp4")]
    answer = (await server.call("query", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert (answer["fileListMode"], answer["fileList"]) == ("json", both)
    stopped = (await server.call("stop", resource_id, sid, mode="mix")).json()["serverResponse"]
    assert stopped == {"fileListMode": "json", "fileList": both, "uploadingStatus": "uploaded"}


async def test_a_mix_in_which_nobody_published_has_no_data(server: Server) -> None:
    resource_id, sid = await started(server)
    refused(await server.call("stop", resource_id, sid, mode="mix"), 206, 435)


def told(server: Server) -> list[Scene]:
    return [command.scene for command in server.recorders.commands if isinstance(command, lines.ChangeScene)]


async def test_update_layout_replaces_the_whole_layout(server: Server) -> None:
    config = {"transcodingConfig": {"mixedVideoLayout": 1, "backgroundColor": "#aabbcc", "width": 640, "height": 360}}
    resource_id, sid = await started(server, recordingConfig=config)
    request = {"mixedVideoLayout": 2, "maxResolutionUid": "41"}
    answer = await server.call("updateLayout", resource_id, sid, request, mode="mix")
    names = {"cname": "room-7", "uid": "900001", "resourceId": resource_id, "sid": sid}
    assert (answer.status_code, answer.json()) == (200, names)
    assert (await server.call("updateLayout", resource_id, sid, {}, mode="mix")).status_code == 200
    first, second = told(server)
    assert (first.layout, first.background.color) == (layouts.preset(2, "41"), "#000000")
    assert second.layout == layouts.preset(0)
    async with server.database.reading() as session:
        row = await session.get_one(tables.Recording, sid)
    assert msgspec.convert(row.spec, RecordingSpec).mix.scene == second  # type: ignore[union-attr]


async def test_a_wrong_update_layout_is_1028_and_changes_nothing(server: Server) -> None:
    resource_id, sid = await started(server)
    for request in ({"mixedVideoLayout": 3}, {"mixedVideoLayout": 7}, {"backgroundColor": 5}, {"layoutConfig": [{}]}):
        refused(await server.call("updateLayout", resource_id, sid, request, mode="mix"), 400, 1028)
    assert told(server) == []


async def test_images_that_cannot_be_had_are_left_out(server: Server) -> None:
    gone = "http://127.0.0.1:1/gone.jpg"
    config = {"transcodingConfig": {"backgroundImage": gone, "backgroundConfig": [{"uid": "41", "image_url": gone}]}}
    resource_id, sid = await started(server, recordingConfig=config)
    scene = server.recorders.specs[-1].mix.scene
    assert scene.images() == frozenset() and scene.placeholders == {}
    request = {"defaultUserBackgroundImage": "http://169.254.169.254/x.jpg"}
    assert (await server.call("updateLayout", resource_id, sid, request, mode="mix")).status_code == 200
    assert told(server)[-1].placeholder == Surface(color="")


async def test_update_changes_the_subscription_of_a_mix(server: Server) -> None:
    resource_id, sid = await started(server)
    request = {"streamSubscribe": {"audioUidList": {"subscribeAudioUids": ["#allstream#"]}}}
    assert (await server.call("update", resource_id, sid, request, mode="mix")).status_code == 200
    change = server.recorders.commands[-1]
    assert isinstance(change, lines.Change) and change.subscription.video is None


async def test_a_mix_that_was_started_with_sound_alone_stays_so(server: Server) -> None:
    config = {"subscribeAudioUids": ["#allstream#"]}
    resource_id, sid = await started(server, recordingConfig=config)
    request = {"streamSubscribe": {"videoUidList": {"subscribeVideoUids": ["41"]}}}
    refused(await server.call("update", resource_id, sid, request, mode="mix"), 400, 2, "without video")


async def test_a_session_answers_in_its_own_mode_only(server: Server) -> None:
    resource_id, sid = await started(server)
    for call in ("query", "update", "stop"):
        refused(await server.call(call, resource_id, sid, mode="individual"), 404, 404)
    single, other = await server.started(uid="900002")
    refused(await server.call("query", single, other, mode="mix"), 404, 404)
    refused(await server.call("updateLayout", single, other, {}, mode="mix", uid="900002"), 404, 404)


async def test_after_stop_a_layout_cannot_be_updated(server: Server) -> None:
    resource_id, sid = await started(server)
    await sliced(server, sid)
    await server.call("stop", resource_id, sid, mode="mix")
    refused(await server.call("updateLayout", resource_id, sid, {}, mode="mix"), 404, 404)


def test_notices_of_a_mix_say_that_it_is_everybodys() -> None:
    name = f"dirA/{SID}_room-7"
    file = {
        "role": "playlist",
        "key": f"{name}.m3u8",
        "identity": "",
        "kind": "av",
        "output": "000",
        "start_ns": START_NS,
    }
    first = events.event_id(SID, f"uploaded {name}.m3u8")
    slice_start, infos = notices(events.FILE_UPLOADED, first, START_NS, file, SID)
    details = slice_start.details
    assert (details["streamUid"], details["mixedAllUser"], details["trackType"]) == ("0", True, "audio_and_video")
    assert infos.details["fileList"] == f"{name}.m3u8"
    mp4 = file | {"role": "file", "key": f"{name}_0.mp4"}
    ended = notices(events.FINISHED, "x", START_NS, {"files": [file, mp4]}, SID)
    assert ended[1].details["fileList"] == [entry(f"{name}.m3u8"), entry(f"{name}_0.mp4")]
