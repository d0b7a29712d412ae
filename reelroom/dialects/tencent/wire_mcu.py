"""The JSON of StartMCUMixTranscode and StopMCUMixTranscode (section 3.6), with the codes of what is wrong in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from reelroom.dialects.tencent.wire import AppNumber, Flag, Pixel, UserName, Wire, plain

#: Whose absence has a code of its own → its second level (section 1.6).
MISSING = (
    {name: name for name in ("BizId", "EncodeParams", "OutputParams", "PublishCdnUrls", "RoomId", "SdkAppId")}
    | {"StrRoomId": "RoomId"}
    | dict.fromkeys(("AudioSampleRate", "AudioBitrate", "AudioChannels"), "AudioEncodeParams")
)
Name = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_%.-]*$")]
Number = Annotated[int, Field(ge=0, le=2**53)]


class OutputBody(Wire):
    StreamId: Name = ""
    PureAudioStream: Flag = 0
    RecordId: Name = ""
    RecordAudioOnly: Flag = 0


class EncodeBody(Wire):
    AudioSampleRate: int
    AudioBitrate: Annotated[int, Field(ge=8, le=500)]
    AudioChannels: Annotated[int, Field(ge=1, le=2)]
    VideoWidth: Annotated[int, Field(ge=0, le=1920)] | None = None
    VideoHeight: Annotated[int, Field(ge=0, le=1080)] | None = None
    VideoBitrate: Annotated[int, Field(ge=1, le=10_000)] | None = None
    VideoFramerate: Annotated[int, Field(ge=1, le=60)] | None = None
    VideoGop: Annotated[int, Field(ge=1, le=5)] | None = None
    BackgroundColor: Annotated[int, Field(ge=0, le=0xFFFFFF)] = 0
    BackgroundImageId: Number = 0
    BackgroundImageUrl: Annotated[str, Field(max_length=512), AfterValidator(plain)] = ""
    AudioCodec: Annotated[int, Field(ge=0, le=2)] = 0


class SmallBody(Wire):
    UserId: UserName
    StreamType: Flag
    ImageWidth: Pixel = 0
    ImageHeight: Pixel = 0
    LocationX: Pixel = 0
    LocationY: Pixel = 0


class PresetBody(Wire):
    UserId: UserName = ""
    StreamType: Flag = 0
    ImageWidth: Pixel = 0
    ImageHeight: Pixel = 0
    LocationX: Pixel = 0
    LocationY: Pixel = 0
    ZOrder: Annotated[int, Field(ge=0, le=1000)] = 0
    RenderMode: Annotated[int, Field(ge=0, le=2)] = 0
    MixInputType: Annotated[int, Field(ge=0, le=2)] = 0
    PlaceImageId: Number = 0


class MarkBody(Wire):
    WaterMarkId: Number = 0
    WaterMarkWidth: Pixel
    WaterMarkHeight: Pixel
    LocationX: Pixel
    LocationY: Pixel
    WaterMarkUrl: Annotated[str, Field(max_length=512), AfterValidator(plain)] = ""


class LayoutParamsBody(Wire):
    Template: Annotated[int, Field(ge=0, le=4)] = 0
    MainVideoUserId: UserName = ""
    MainVideoStreamType: Flag = 0
    SmallVideoLayoutParams: SmallBody | None = None
    MainVideoRightAlign: Flag = 0
    MixVideoUids: Annotated[list[UserName], Field(max_length=16)] = []
    PresetLayoutConfig: Annotated[list[PresetBody], Field(max_length=16)] = []
    PlaceHolderMode: Flag = 0
    PureAudioHoldPlaceMode: Annotated[int, Field(ge=0, le=2)] = 0
    WaterMarkParams: MarkBody | None = None
    RenderMode: Annotated[int, Field(ge=0, le=2)] | None = None


class CdnBody(Wire):
    BizId: Number
    PublishCdnUrls: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(plain)]], Field(max_length=8)
    ]


class StartMix(Wire):
    SdkAppId: AppNumber
    RoomId: Annotated[int, Field(ge=1, le=2**32 - 2)]
    OutputParams: OutputBody
    EncodeParams: EncodeBody
    LayoutParams: LayoutParamsBody
    PublishCdnParams: CdnBody | None = None


class StartMixByStrRoomId(Wire):
    SdkAppId: AppNumber
    StrRoomId: Annotated[str, Field(min_length=1, max_length=64)]
    OutputParams: OutputBody
    EncodeParams: EncodeBody
    LayoutParams: LayoutParamsBody
    PublishCdnParams: CdnBody | None = None


class StopMix(Wire):
    SdkAppId: AppNumber
    RoomId: Annotated[int, Field(ge=1, le=2**32 - 2)]


class StopMixByStrRoomId(Wire):
    SdkAppId: AppNumber
    StrRoomId: Annotated[str, Field(min_length=1, max_length=64)]


def code(path: str) -> str:
    """The code of a wrong value of a field, where the vendor has one of its own; "" where not."""
    known = {
        "RoomId": "RoomId",
        "StrRoomId": "StrRoomId",
        "PublishCdnParams.BizId": "BizId",
        "OutputParams.StreamId": "StreamId",
        "OutputParams.RecordId": "RecordId",
        "OutputParams.PureAudioStream": "PureAudioStream",
        "OutputParams.RecordAudioOnly": "RecordAudioOnly",
        "LayoutParams.MainVideoStreamType": "MainVideoStreamType",
        "LayoutParams.MainVideoRightAlign": "MainVideoRightAlign",
        "LayoutParams.SmallVideoLayoutParams.StreamType": "SmallVideoStreamType",
    }
    if path in known:
        return f"InvalidParameter.{known[path]}"
    starts = {
        "EncodeParams.Audio": "AudioEncodeParams",
        "EncodeParams": "EncodeParams",
        "OutputParams": "OutputParams",
        "LayoutParams.SmallVideoLayoutParams": "SmallVideoLayoutParams",
        "LayoutParams.PresetLayoutConfig": "PresetLayoutConfig",
        "PublishCdnParams": "PublishCdnUrls",
    }
    return next((f"InvalidParameter.{said}" for start, said in starts.items() if path.startswith(start)), "")
