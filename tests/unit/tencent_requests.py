"""Strategies of requests that Tencent's actions take (hypothesis). Tests nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.tencent_server import COS, SDK_APP_ID, create

users = st.text("abcXYZ019_-", min_size=1, max_size=32)
patterns = st.one_of(users, users.map(lambda user: user + ".*$"))
lists = st.lists(patterns, max_size=32)
colors = st.from_regex(r"\A#[0-9a-fA-F]{6}\Z")


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


subscriptions = optional(
    SubscribeAudioUserIds=lists,
    UnSubscribeAudioUserIds=lists,
    SubscribeVideoUserIds=lists,
    UnSubscribeVideoUserIds=lists,
)
params = st.fixed_dictionaries(
    {"RecordMode": st.integers(1, 2)},
    optional={
        "MaxIdleTime": st.integers(5, 86_400),
        "StreamType": st.integers(0, 1),
        "SubscribeStreamUserIds": subscriptions,
        "OutputFormat": st.integers(0, 4),
        "AvMerge": st.integers(0, 1),
        "MaxMediaFileDuration": st.integers(1, 1440),
        "MediaId": st.integers(0, 2),
        "FillType": st.integers(0, 1),
        "SubscribeAbility": st.just(0),
    },
)
transcode = optional(
    VideoParams=st.fixed_dictionaries(
        {
            "Width": st.integers(400, 1400),
            "Height": st.integers(400, 1400),
            "Fps": st.integers(1, 60),
            "BitRate": st.integers(64_000, 8_192_000),
            "Gop": st.integers(1, 30),
        }
    ),
    AudioParams=st.fixed_dictionaries(
        {"SampleRate": st.integers(1, 3), "Channel": st.integers(1, 2), "BitRate": st.integers(32_000, 128_000)}
    ),
)
texts = st.fixed_dictionaries(
    {
        "WaterMarkType": st.just(1),
        "WaterMarkChar": st.fixed_dictionaries(
            {
                **dict.fromkeys(("Top", "Left"), st.integers(0, 100)),
                **dict.fromkeys(("Width", "Height"), st.integers(1, 200)),
                "Chars": st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=50),
            },
            optional={"FontSize": st.integers(8, 200), "FontColor": colors, "Font": st.just("Tencent")},
        ),
    }
)
clocks = st.fixed_dictionaries(
    {
        "WaterMarkType": st.just(2),
        "WaterMarkTimestamp": st.fixed_dictionaries(
            {"Pos": st.integers(0, 6)}, optional={"TimeZone": st.integers(-12, 14)}
        ),
    }
)
template_layouts = st.fixed_dictionaries(
    {"MixLayoutMode": st.integers(1, 3)},
    optional={
        "BackGroundColor": colors,
        "MaxResolutionUserId": users,
        "MediaId": st.integers(0, 1),
        "PlaceHolderMode": st.integers(0, 1),
        "BackgroundImageRenderMode": st.integers(0, 3),
        "RenderMode": st.integers(0, 3),
        "MaxResolutionUserAlign": st.integers(0, 1),
        "PureAudioDisableLayout": st.booleans(),
        "WaterMarkList": st.lists(st.one_of(texts, clocks), max_size=4),
    },
)
places = st.fixed_dictionaries(
    {**dict.fromkeys(("Top", "Left"), st.integers(0, 160)), **dict.fromkeys(("Width", "Height"), st.integers(1, 200))},
    optional={
        "Alpha": st.integers(0, 255),
        "RenderMode": st.integers(0, 3),
        "ImageLayer": st.integers(-(2**31), 2**31 - 1),
    },
)
custom_layouts = st.fixed_dictionaries(
    {"MixLayoutMode": st.just(4), "MixLayoutList": st.lists(places, min_size=1, max_size=25)}
)
storages = st.one_of(
    st.just({"CloudStorage": COS}),
    st.fixed_dictionaries(
        {
            "CloudVod": st.fixed_dictionaries(
                {
                    "TencentVod": st.fixed_dictionaries(  # an empty object cannot be said in a form
                        {"MediaType": st.sampled_from((0, 1, 3))},
                        optional={
                            "ExpireTime": st.integers(0, 10**8),
                            "ClassId": st.integers(0, 10**6),
                            "SubAppId": st.integers(0, 10**10),
                            "SourceContext": st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=100),
                            "UserDefineRecordId": st.text("abcXYZ019_-", max_size=64),
                        },
                    )
                }
            )
        }
    ),
)
creates = st.builds(
    create,
    RoomId=st.integers(1, 2**32 - 2).map(str),
    UserId=users,
    RecordParams=params,
    StorageParams=storages,
    MixTranscodeParams=transcode,
    MixLayoutParams=st.one_of(template_layouts, custom_layouts),
    ResourceExpiredHour=st.integers(6, 720),
)
layouts = st.one_of(template_layouts, custom_layouts)
names = st.text("abcXYZ019_-", min_size=1, max_size=64)
rooms = {"SdkAppId": st.just(SDK_APP_ID), "RoomId": st.integers(1, 2**32 - 2)}
string_rooms = {
    "SdkAppId": st.just(SDK_APP_ID),
    "StrRoomId": st.text("abc 1!#$%&()+-:;<=.>?@[]^_{}|~,", min_size=1, max_size=64),
}
mcu_places = st.fixed_dictionaries(
    {"ImageWidth": st.integers(1, 200), "ImageHeight": st.integers(1, 200)},
    optional={
        "LocationX": st.integers(0, 200),
        "LocationY": st.integers(0, 200),
        "ZOrder": st.integers(0, 1000),
        "RenderMode": st.integers(0, 2),
    },
)
mcu_layouts = st.one_of(
    st.fixed_dictionaries(
        {"Template": st.integers(0, 2)},
        optional={
            "MainVideoUserId": users,
            "MainVideoStreamType": st.integers(0, 1),
            "MainVideoRightAlign": st.integers(0, 1),
            "MixVideoUids": st.lists(users, max_size=16),
            "PureAudioHoldPlaceMode": st.integers(0, 2),
            "RenderMode": st.integers(0, 2),
        },
    ),
    st.fixed_dictionaries(
        {"Template": st.just(4), "PresetLayoutConfig": st.lists(mcu_places, min_size=1, max_size=16)},
        optional={"PlaceHolderMode": st.integers(0, 1)},
    ),
)
mcu_bodies = {
    "OutputParams": st.fixed_dictionaries(
        {"RecordId": names},
        optional={"StreamId": names, "PureAudioStream": st.integers(0, 1), "RecordAudioOnly": st.integers(0, 1)},
    ),
    "EncodeParams": st.fixed_dictionaries(
        {
            "AudioSampleRate": st.sampled_from((48_000, 44_100, 32_000, 24_000, 16_000, 8_000)),
            "AudioBitrate": st.integers(8, 500),
            "AudioChannels": st.integers(1, 2),
            "VideoWidth": st.integers(400, 1920),
            "VideoHeight": st.integers(400, 1080),
            "VideoBitrate": st.integers(1, 10_000),
            "VideoFramerate": st.integers(1, 60),
            "VideoGop": st.integers(1, 5),
        },
        optional={"BackgroundColor": st.integers(0, 0xFFFFFF)},
    ),
    "LayoutParams": mcu_layouts,
}
times = st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))
ranges = optional(After=times, Before=times)
words = st.text("abc_%\\\u4e2d'", min_size=1, max_size=32)
searches = optional(
    SubAppId=st.integers(0, 10),
    FileIds=st.lists(st.text("0123456789", min_size=1, max_size=20), max_size=10),
    Names=st.lists(words, max_size=10),
    NamePrefixes=st.lists(words, max_size=10),
    Descriptions=st.lists(words, max_size=10),
    ClassIds=st.lists(st.integers(0, 10), max_size=10),
    Tags=st.lists(words, max_size=16),
    Categories=st.lists(st.sampled_from(("Video", "Audio", "Image")), max_size=3),
    SourceTypes=st.lists(st.sampled_from(("Record", "TrtcRecord", "Upload")), max_size=3),
    StreamIds=st.lists(words, max_size=10),
    CreateTime=ranges,
    ExpireTime=ranges,
    MediaTypes=st.lists(st.sampled_from(("mp4", "m3u8", "HLS", "avi")), max_size=4),
    Status=st.just(["Normal"]),
    TrtcSdkAppIds=st.lists(st.integers(0, 2**40), max_size=10),
    TrtcRoomIds=st.lists(words, max_size=10),
    Filters=st.lists(st.sampled_from(("basicInfo", "metaData", "transcodeInfo")), max_size=3),
    Sort=st.just({"Field": "CreateTime", "Order": "Asc"}),
    Offset=st.integers(0, 2500),
    Limit=st.integers(0, 2500),
    Text=words,
    StartTime=times,
    EndTime=times,
)
#: By action; of those that need a task, it is put in by the test.
REQUESTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "CreateCloudRecording": creates,
    "ModifyCloudRecording": st.fixed_dictionaries(
        {"SdkAppId": st.just(SDK_APP_ID)},
        optional={"MixLayoutParams": layouts, "SubscribeStreamUserIds": subscriptions},
    ),
    "DescribeCloudRecording": st.fixed_dictionaries({"SdkAppId": st.just(SDK_APP_ID)}, optional={"RecorderKey": words}),
    "DeleteCloudRecording": st.just({"SdkAppId": SDK_APP_ID}),
    "StartMCUMixTranscode": st.fixed_dictionaries(rooms | mcu_bodies),
    "StartMCUMixTranscodeByStrRoomId": st.fixed_dictionaries(string_rooms | mcu_bodies),
    "StopMCUMixTranscode": st.fixed_dictionaries(rooms),
    "StopMCUMixTranscodeByStrRoomId": st.fixed_dictionaries(string_rooms),
    "SearchMedia": searches,
    "DescribeMediaInfos": st.fixed_dictionaries(
        {"FileIds": st.lists(words, min_size=1, max_size=20)}, optional={"SubAppId": st.integers(0, 5)}
    ),
    "DeleteMedia": st.fixed_dictionaries({"FileId": words}),
}
#: What may stand anywhere in a request by mistake.
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(("", "\0", "#FFA500", "http://x/a.png", "2026-01-01T00:00:00Z", "0", "-1", "1e9", "#all", ".*$")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
