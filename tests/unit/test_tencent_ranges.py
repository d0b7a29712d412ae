"""The range of every bounded parameter of Tencent's: its ends are taken, what is beyond is refused."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.tencent_server import COS, SDK_APP_ID, Server, create, serving

MCU: dict[str, Any] = {
    "SdkAppId": SDK_APP_ID,
    "RoomId": 1001,
    "OutputParams": {"StreamId": "mix", "RecordId": "file"},
    "EncodeParams": {
        "AudioSampleRate": 48_000, "AudioBitrate": 64, "AudioChannels": 2, "VideoWidth": 1280, "VideoHeight": 720,
        "VideoBitrate": 1560, "VideoFramerate": 15, "VideoGop": 2,
    },
    "LayoutParams": {"Template": 1},
}  # fmt: skip
VIDEO = {"Width": 640, "Height": 360, "Fps": 15, "BitRate": 550_000, "Gop": 10}
AUDIO = {"SampleRate": 1, "Channel": 2, "BitRate": 64_000}
CREATE = create(
    RecordParams={"RecordMode": 2},
    MixTranscodeParams={"VideoParams": VIDEO, "AudioParams": AUDIO},
    MixLayoutParams={"MixLayoutMode": 3},
)
VOD = {**CREATE, "StorageParams": {"CloudVod": {"TencentVod": {}}}}
CUSTOM = {
    **CREATE,
    "MixLayoutParams": {"MixLayoutMode": 4, "MixLayoutList": [{"Top": 0, "Left": 0, "Width": 64, "Height": 64}]},
}
PLACE = {**MCU, "LayoutParams": {"Template": 4, "PresetLayoutConfig": [{"ImageWidth": 64, "ImageHeight": 64}]}}
CHARS = {"Top": 0, "Left": 0, "Width": 99, "Height": 40, "Chars": "x"}
TEXT = {
    **CREATE,
    "MixLayoutParams": {"MixLayoutMode": 3, "WaterMarkList": [{"WaterMarkType": 1, "WaterMarkChar": CHARS}]},
}
CLOCK = {
    **CREATE,
    "MixLayoutParams": {"MixLayoutMode": 3, "WaterMarkList": [{"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": 0}}]},
}
RANGES: list[tuple[dict[str, Any], str, int, int]] = [
    (CREATE, "RoomIdType", 0, 1),
    (CREATE, "ResourceExpiredHour", 6, 720),
    (CREATE, "RecordParams.RecordMode", 1, 2),
    (CREATE, "RecordParams.MaxIdleTime", 5, 86_400),
    (CREATE, "RecordParams.StreamType", 0, 2),
    (CREATE, "RecordParams.OutputFormat", 0, 4),
    (CREATE, "RecordParams.AvMerge", 0, 1),
    (CREATE, "RecordParams.MaxMediaFileDuration", 1, 1440),
    (CREATE, "RecordParams.MediaId", 0, 2),
    (CREATE, "RecordParams.FillType", 0, 1),
    (CREATE, "StorageParams.CloudStorage.Vendor", 0, 1),
    (VOD, "StorageParams.CloudVod.TencentVod.MediaType", 0, 3),
    (CREATE, "MixTranscodeParams.VideoParams.Width", 16, 1920),
    (CREATE, "MixTranscodeParams.VideoParams.Height", 16, 1920),
    (CREATE, "MixTranscodeParams.VideoParams.Fps", 1, 60),
    (CREATE, "MixTranscodeParams.VideoParams.BitRate", 64_000, 8_192_000),
    (CREATE, "MixTranscodeParams.VideoParams.Gop", 1, 30),
    (CREATE, "MixTranscodeParams.AudioParams.SampleRate", 1, 3),
    (CREATE, "MixTranscodeParams.AudioParams.Channel", 1, 2),
    (CREATE, "MixTranscodeParams.AudioParams.BitRate", 32_000, 128_000),
    (CREATE, "MixLayoutParams.MixLayoutMode", 1, 3),
    (CREATE, "MixLayoutParams.MediaId", 0, 1),
    (CREATE, "MixLayoutParams.RenderMode", 0, 3),
    (CREATE, "MixLayoutParams.BackgroundImageRenderMode", 0, 3),
    (CREATE, "MixLayoutParams.PlaceHolderMode", 0, 1),
    (CREATE, "MixLayoutParams.MaxResolutionUserAlign", 0, 1),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.Left", 0, 640 - 64),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.Top", 0, 360 - 64),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.Width", 1, 640),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.Height", 1, 360),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.Alpha", 0, 255),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.RenderMode", 0, 3),
    (CUSTOM, "MixLayoutParams.MixLayoutList.0.MediaId", 0, 1),
    (TEXT, "MixLayoutParams.WaterMarkList.0.WaterMarkChar.Left", 0, 640 - 99),
    (TEXT, "MixLayoutParams.WaterMarkList.0.WaterMarkChar.FontSize", 8, 200),
    (CLOCK, "MixLayoutParams.WaterMarkList.0.WaterMarkTimestamp.Pos", 0, 6),
    (CLOCK, "MixLayoutParams.WaterMarkList.0.WaterMarkTimestamp.TimeZone", -12, 14),
    (MCU, "RoomId", 1, 2**32 - 2),
    (MCU, "OutputParams.PureAudioStream", 0, 1),
    (MCU, "OutputParams.RecordAudioOnly", 0, 1),
    (MCU, "EncodeParams.AudioBitrate", 8, 500),
    (MCU, "EncodeParams.AudioChannels", 1, 2),
    (MCU, "EncodeParams.VideoWidth", 16, 1920),
    (MCU, "EncodeParams.VideoHeight", 16, 1080),
    (MCU, "EncodeParams.VideoBitrate", 1, 10_000),
    (MCU, "EncodeParams.VideoFramerate", 1, 60),
    (MCU, "EncodeParams.VideoGop", 1, 5),
    (MCU, "EncodeParams.BackgroundColor", 0, 0xFFFFFF),
    (MCU, "LayoutParams.Template", 0, 2),
    (MCU, "LayoutParams.MainVideoStreamType", 0, 1),
    (MCU, "LayoutParams.MainVideoRightAlign", 0, 1),
    (MCU, "LayoutParams.PureAudioHoldPlaceMode", 0, 2),
    (MCU, "LayoutParams.RenderMode", 0, 2),
    (MCU, "LayoutParams.PlaceHolderMode", 0, 1),
    (PLACE, "LayoutParams.PresetLayoutConfig.0.LocationX", 0, 1280 - 64),
    (PLACE, "LayoutParams.PresetLayoutConfig.0.ImageWidth", 1, 1280),
    (PLACE, "LayoutParams.PresetLayoutConfig.0.RenderMode", 0, 2),
    (PLACE, "LayoutParams.PresetLayoutConfig.0.StreamType", 0, 1),
]
#: How many a list takes, and how long a text may be.
LENGTHS: list[tuple[str, dict[str, Any], str, Any, int]] = [
    ("CreateCloudRecording", CREATE, "RecordParams.SubscribeStreamUserIds.SubscribeAudioUserIds", ["u"], 32),
    ("CreateCloudRecording", CREATE, "RecordParams.SubscribeStreamUserIds.UnSubscribeVideoUserIds", ["u"], 32),
    ("CreateCloudRecording", CREATE, "MixLayoutParams.WaterMarkList", TEXT["MixLayoutParams"]["WaterMarkList"], 25),
    ("CreateCloudRecording", CUSTOM, "MixLayoutParams.MixLayoutList", CUSTOM["MixLayoutParams"]["MixLayoutList"], 25),
    ("CreateCloudRecording", CREATE, "UserId", "u", 32),
    ("CreateCloudRecording", {**CREATE, "RoomIdType": 0}, "RoomId", "r", 64),
    ("CreateCloudRecording", VOD, "StorageParams.CloudVod.TencentVod.UserDefineRecordId", "d", 64),
    ("StartMCUMixTranscode", MCU, "OutputParams.StreamId", "s", 64),
    ("StartMCUMixTranscode", MCU, "LayoutParams.MixVideoUids", ["u"], 16),
    ("SearchMedia", {}, "FileIds", ["f"], 10),
    ("SearchMedia", {}, "NamePrefixes", ["n"], 10),
    ("SearchMedia", {}, "NamePrefixes.0", "n", 100),
    ("SearchMedia", {}, "StreamIds", ["s"], 10),
    ("SearchMedia", {}, "Tags", ["t"], 16),
    ("SearchMedia", {}, "Tags.0", "t", 32),
    ("SearchMedia", {}, "TrtcSdkAppIds", [1], 10),
    ("SearchMedia", {}, "TrtcRoomIds.0", "r", 64),
    ("SearchMedia", {}, "Text", "t", 64),
    ("DescribeMediaInfos", {}, "FileIds", ["f"], 20),
]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        made.rooms.identities = ["somebody"]
        yield made


def with_(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`request` with another value at `path`, whose last part may be an index of a list of one."""
    made: Any = copy.deepcopy(request)
    *outer, last = path.split(".")
    inner = made
    for step in outer:
        inner = inner[int(step)] if isinstance(inner, list) else inner.setdefault(step, [None] if last == "0" else {})
    inner[int(last) if isinstance(inner, list) else last] = value
    return dict(made)


@pytest.mark.parametrize(("request_", "path", "low", "high"), RANGES, ids=[f"{path}" for _, path, _, _ in RANGES])
async def test_the_ends_of_ranges(server: Server, request_: dict[str, Any], path: str, low: int, high: int) -> None:
    cloud = "RecordParams" in request_
    action = "CreateCloudRecording" if cloud else "StartMCUMixTranscode"
    for number, value in enumerate((low, high)):
        apart = {} if cloud else {"RoomId": 2000 + number}  # in one room the second would change the first
        answer = await server.call(action, with_(request_ | apart, path, value))
        assert "Error" not in answer, (value, answer)
    for value in (low - 1, high + 1):
        error = (await server.call(action, with_(request_, path, value)))["Error"]
        assert error["Code"].startswith("InvalidParameter") and error["Code"] != "InvalidParameter", (value, error)
    for value in ("1", 1.5, True, [1], {"a": 1}):
        error = (await server.call(action, with_(request_, path, value)))["Error"]
        assert error["Code"].startswith("InvalidParameter"), (value, error)


@pytest.mark.parametrize(("action", "request_", "path", "one", "most"), LENGTHS, ids=[each[2] for each in LENGTHS])
async def test_how_much_is_taken(
    server: Server, action: str, request_: dict[str, Any], path: str, one: Any, most: int
) -> None:
    answer = await server.call(action, with_(request_, path, one * most))
    assert "Error" not in answer, answer
    error = (await server.call(action, with_(request_, path, one * (most + 1))))["Error"]
    assert error["Code"].startswith("InvalidParameter"), error
    assert path.split(".")[-1 if not path.endswith(".0") else 0] in error["Code"] + error["Message"]


async def test_the_largest_picture(server: Server) -> None:
    for width, height, taken in ((1920, 1080, True), (1080, 1920, True), (1920, 1082, False)):
        request = with_(CREATE, "MixTranscodeParams.VideoParams", {**VIDEO, "Width": width, "Height": height})
        answer = await server.call("CreateCloudRecording", request)
        assert ("Error" not in answer) == taken


async def test_everything_in_an_object_that_is_given_is_required(server: Server) -> None:
    for name, whole in (("VideoParams", VIDEO), ("AudioParams", AUDIO)):
        for field in whole:
            rest = {each: value for each, value in whole.items() if each != field}
            request = with_(CREATE, f"MixTranscodeParams.{name}", rest)
            await server.refused("CreateCloudRecording", request, "MissingParameter", field)
    for field in ("Region", "Bucket", "AccessKey", "SecretKey", "Vendor"):
        rest = {each: value for each, value in COS.items() if each != field}
        request = with_(CREATE, "StorageParams.CloudStorage", rest)
        await server.refused("CreateCloudRecording", request, f"MissingParameter.{field}")
