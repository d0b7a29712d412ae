"""StartMCUMixTranscode and its stop: what they record, what changes while it goes on, what is refused. No sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reelroom.domain import lines
from reelroom.domain.recording import Source, State
from tests.unit.tencent_server import SDK_APP_ID, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        made.rooms.identities = ["somebody"]
        yield made


MARK = {"WaterMarkUrl": "http://x/a.png", "WaterMarkWidth": 100, "WaterMarkHeight": 50, "LocationX": 0, "LocationY": 0}


def start(**more: Any) -> dict[str, Any]:
    """The documentation's example, with `more` put in."""
    return {
        "SdkAppId": SDK_APP_ID,
        "RoomId": 1001,
        "OutputParams": {"StreamId": "mix", "RecordId": "mix_file", "PureAudioStream": 0, "RecordAudioOnly": 0},
        "EncodeParams": {
            "AudioSampleRate": 48000, "AudioBitrate": 64, "AudioChannels": 2, "VideoWidth": 1280, "VideoHeight": 720,
            "VideoBitrate": 1560, "VideoFramerate": 15, "VideoGop": 2, "BackgroundColor": 16711680,
        },
        "LayoutParams": {"Template": 2, "MainVideoUserId": "teacher", "MainVideoStreamType": 1},
        **more,
    }  # fmt: skip


async def test_a_mix_is_started_changed_and_stopped(server: Server) -> None:
    assert set(await server.ok("StartMCUMixTranscode", start())) == {"RequestId"}
    spec = server.recorders.specs[0]
    assert (spec.mix.width, spec.mix.video_bitrate, spec.mix.scene.background.color) == (1280, 1_560_000, "#ff0000")
    assert (spec.mix.scene.layout.focus, spec.mix.scene.layout.focus_source) == ("teacher", "screen")
    row = await server.row(spec.id)
    assert row.library is not None
    assert row.library["name"] == "mix_file_{start:%Y-%m-%d-%H-%M-%S}_{end:%Y-%m-%d-%H-%M-%S}"
    assert row.library["utc_offset_s"] == 28_800
    await server.ok("StartMCUMixTranscode", start(LayoutParams={"Template": 1}))
    assert isinstance(server.recorders.commands[-1], lines.ChangeScene)
    assert len(server.recorders.specs) == 1
    names = {"Template": 1, "MixVideoUids": ["a"]}
    await server.ok("StartMCUMixTranscode", start(LayoutParams=names))
    asked = [one.subscription for one in server.recorders.commands if isinstance(one, lines.Change)][-1]
    assert (asked.video.include, asked.audio.include) == (("a",), None)  # everybody is heard
    encode = start()["EncodeParams"]
    sound = start(EncodeParams={**encode, "AudioBitrate": 65})
    await server.refused("StartMCUMixTranscode", sound, "InvalidParameter.AudioEncodeParams", "during a mix")
    assert len(server.recorders.specs) == 1
    other = start(OutputParams={"StreamId": "mix", "RecordId": "another"})
    await server.ok("StartMCUMixTranscode", other)  # another file
    assert len(server.recorders.specs) == 2
    larger = {**other, "EncodeParams": {**encode, "VideoWidth": 1920, "VideoHeight": 1080}}
    await server.ok("StartMCUMixTranscode", larger)  # and this
    assert [each.mix.width for each in server.recorders.specs] == [1280, 1280, 1920]
    await server.ok("StopMCUMixTranscode", {"SdkAppId": SDK_APP_ID, "RoomId": 1001})
    assert (await server.row(server.recorders.specs[2].id)).state == State.FINISHED
    gone = {"SdkAppId": SDK_APP_ID, "RoomId": 1001}
    await server.refused("StopMCUMixTranscode", gone, "FailedOperation.MixSessionNotExist")


async def test_a_string_room_and_custom_places(server: Server) -> None:
    place = {"UserId": "a", "ImageWidth": 640, "ImageHeight": 720, "LocationX": 640, "RenderMode": 2, "ZOrder": 9}
    layout = {"Template": 4, "PresetLayoutConfig": [place, {"ImageWidth": 640, "ImageHeight": 720}]}
    request = {name: value for name, value in start(StrRoomId="a b", LayoutParams=layout).items() if name != "RoomId"}
    await server.ok("StartMCUMixTranscodeByStrRoomId", request)
    panes = server.recorders.specs[0].mix.scene.layout.panes
    assert [(pane.x, pane.width, pane.z, pane.identity) for pane in panes] == [(0.5, 0.5, 1, "a"), (0.0, 0.5, 0, None)]
    await server.ok("StopMCUMixTranscodeByStrRoomId", {"SdkAppId": SDK_APP_ID, "StrRoomId": "a b"})


async def test_every_sample_rate_with_as_many_bits_as_it_has_room_for(server: Server) -> None:
    encode = start()["EncodeParams"]
    for number, (rate, most) in enumerate(((8_000, 96_000), (24_000, 288_000), (48_000, 500_000))):
        asked = {**encode, "AudioSampleRate": rate, "AudioBitrate": 500, "VideoBitrate": 1}
        await server.ok("StartMCUMixTranscode", start(RoomId=number + 1, EncodeParams=asked))
        mix = server.recorders.specs[-1].mix
        assert (mix.sample_rate, mix.audio_bitrate, mix.video_bitrate) == (rate, most, 1000)


async def test_places_for_the_picture_or_the_sound_alone(server: Server) -> None:
    size = {"ImageWidth": 640, "ImageHeight": 720}
    seen = {**size, "UserId": "seen", "MixInputType": 1}
    heard = {**size, "UserId": "heard", "LocationX": 640, "MixInputType": 2, "StreamType": 1}
    await server.ok("StartMCUMixTranscode", start(LayoutParams={"Template": 4, "PresetLayoutConfig": [seen, heard]}))
    asked = server.recorders.specs[0].subscription
    wants = [
        asked.wants(who, source)
        for who in ("seen", "heard")
        for source in (Source.CAMERA, Source.MICROPHONE, Source.SCREEN, Source.SCREEN_AUDIO)
    ]
    assert wants == [True, False, True, True, True, True, False, True]
    assert not asked.wants("else", Source.MICROPHONE)  # all places are somebody's
    some = {**size, "UserId": "seen"}
    open_ = start(RoomId=2, LayoutParams={"Template": 4, "PresetLayoutConfig": [some, {**size, "LocationX": 640}]})
    await server.ok("StartMCUMixTranscode", open_)
    assert server.recorders.specs[-1].subscription.wants("else", Source.MICROPHONE)
    assert server.recorders.specs[-1].limits.idle_by == "people"
    anybody = start(LayoutParams={"Template": 4, "PresetLayoutConfig": [{**size, "MixInputType": 1}]})
    await server.refused("StartMCUMixTranscode", anybody, "UnsupportedOperation", "UserId")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"OutputParams": {}}, "MissingParameter.StreamId"),
        ({"EncodeParams.AudioBitrate": None}, "MissingParameter.AudioEncodeParams"),
        ({"RoomId": None}, "MissingParameter.RoomId"),
        ({"LayoutParams": {"WaterMarkParams": {**MARK, "LocationX": 1200}}}, "InvalidParameter.OutOfRange"),
        ({"LayoutParams": {"WaterMarkParams": {**MARK, "WaterMarkUrl": ""}}}, "UnsupportedOperation"),
        (
            {"LayoutParams": {"Template": 4, "PresetLayoutConfig": [{"MixInputType": 3}]}},
            "InvalidParameter.PresetLayoutConfig",
        ),
        ({"RoomId": "1001"}, "InvalidParameter"),
        ({"RoomId": 0}, "InvalidParameter.RoomId"),
        ({"SdkAppId": 5}, "UnauthorizedOperation.SdkAppId"),
        ({"OutputParams": None}, "MissingParameter.OutputParams"),
        ({"OutputParams": {"StreamId": "s"}}, "UnsupportedOperation"),
        ({"OutputParams": {"RecordId": "a b"}}, "InvalidParameter.RecordId"),
        ({"EncodeParams.AudioSampleRate": 47999}, "InvalidParameter.AudioEncodeParams"),
        ({"EncodeParams.AudioChannels": 3}, "InvalidParameter.AudioEncodeParams"),
        ({"EncodeParams.VideoGop": 6}, "InvalidParameter.EncodeParams"),
        ({"EncodeParams.VideoGop": None}, "MissingParameter.VideoEncodeParams"),
        ({"EncodeParams.VideoWidth": 8}, "InvalidParameter.VideoResolution"),
        ({"EncodeParams.AudioCodec": 1}, "UnsupportedOperation"),
        ({"LayoutParams": {"Template": 4}}, "MissingParameter.PresetLayoutConfig"),
        ({"LayoutParams": {"Template": 3}}, "InvalidParameter.SmallVideoLayoutParams"),
        ({"LayoutParams": {"MainVideoStreamType": 2}}, "InvalidParameter.MainVideoStreamType"),
        ({"PublishCdnParams": {"BizId": -1, "PublishCdnUrls": ["rtmp://x/y"]}}, "InvalidParameter.BizId"),
        ({"PublishCdnParams": {"BizId": 1, "PublishCdnUrls": []}}, "MissingParameter.PublishCdnUrls"),
        ({"PublishCdnParams": {"BizId": 1, "PublishCdnUrls": ["http://x"]}}, "InvalidParameter.PublishCdnUrls"),
    ],
)
async def test_what_a_mix_cannot_be(server: Server, change: dict[str, Any], code: str) -> None:
    request: dict[str, Any] = json.loads(json.dumps(start()))
    for path, value in change.items():
        *outer, name = path.split(".")
        target = request[outer[0]] if outer else request
        target.pop(name, None)
        if value is not None:
            target[name] = value
    await server.refused("StartMCUMixTranscode", request, code)
    assert not server.recorders.specs


async def test_nobody_is_there() -> None:
    async with serving() as server:
        await server.refused("StartMCUMixTranscode", start(), "FailedOperation.RoomNotExist")
    async with serving(generation="new") as server:
        await server.refused("StartMCUMixTranscode", start(), "FailedOperation.RequestRejection", "push switch")
