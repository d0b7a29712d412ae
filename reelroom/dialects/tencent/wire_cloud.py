"""The JSON of API 3.0's recording actions: types and single-field ranges (section 2). Meaning is elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from reelroom.dialects.tencent.wire import AppNumber, Flag, Given, Pixel, TaskName, Text, UserName, Wide, Wire, plain

#: Whose absence has a code of its own (section 1.6).
MISSING = {
    name: name
    for name in (
        "AccessKey", "Bucket", "CloudStorage", "RecordMode", "RecordParams", "Region", "RoomId", "SdkAppId",
        "SecretKey", "StorageParams", "TaskId", "UserId", "UserSig", "Vendor",
    )
}  # fmt: skip

# Section 2.3


class Subscriptions(Wire):
    SubscribeAudioUserIds: Annotated[list[Given], Field(max_length=32)] = []
    UnSubscribeAudioUserIds: Annotated[list[Given], Field(max_length=32)] = []
    SubscribeVideoUserIds: Annotated[list[Given], Field(max_length=32)] = []
    UnSubscribeVideoUserIds: Annotated[list[Given], Field(max_length=32)] = []


class RecordBody(Wire):
    RecordMode: Annotated[int, Field(ge=1, le=2)]
    MaxIdleTime: Annotated[int, Field(ge=5, le=86_400)] = 30
    StreamType: Annotated[int, Field(ge=0, le=2)] = 0
    SubscribeStreamUserIds: Subscriptions = Subscriptions()
    OutputFormat: Annotated[int, Field(ge=0, le=4)] = 0
    AvMerge: Flag = 0
    MaxMediaFileDuration: Annotated[int, Field(ge=1, le=1440)] = 1440
    MediaId: Annotated[int, Field(ge=0, le=2)] = 0
    FillType: Flag = 0
    SubscribeAbility: Flag = 0


# Section 2.4


class CloudStorageBody(Wire):
    Vendor: Annotated[int, Field(ge=0, le=1)]
    Region: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]  # part of a host name
    Bucket: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    AccessKey: Given
    SecretKey: Given
    FileNamePrefix: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]], Field(max_length=16)
    ] = []


class VodBody(Wire):
    Procedure: Text = ""
    ExpireTime: Annotated[int, Field(ge=0, le=100 * 365 * 86_400)] = 0
    StorageRegion: Text = ""
    ClassId: Annotated[int, Field(ge=0, le=2**53)] = 0
    SubAppId: Annotated[int, Field(ge=0, le=2**53)] = 0
    SessionContext: Text = ""
    SourceContext: Annotated[str, Field(max_length=1000), AfterValidator(plain)] = ""
    MediaType: Annotated[int, Field(ge=0, le=4)] = 0
    UserDefineRecordId: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")] = ""


class CloudVodBody(Wire):
    TencentVod: VodBody


class StorageBody(Wire):
    CloudStorage: CloudStorageBody | None = None
    CloudVod: CloudVodBody | None = None


# Section 2.5


class VideoBody(Wire):
    Width: Annotated[int, Field(ge=16, le=1920)]
    Height: Annotated[int, Field(ge=16, le=1920)]
    Fps: Annotated[int, Field(ge=1, le=60)]
    BitRate: Annotated[int, Field(ge=64_000, le=8_192_000)]
    Gop: Annotated[int, Field(ge=1, le=30)]


class AudioBody(Wire):
    SampleRate: Annotated[int, Field(ge=1, le=3)]
    Channel: Annotated[int, Field(ge=1, le=2)]
    BitRate: Annotated[int, Field(ge=32_000, le=128_000)]


class TranscodeBody(Wire):
    VideoParams: VideoBody = VideoBody(Width=360, Height=640, Fps=15, BitRate=550_000, Gop=10)
    AudioParams: AudioBody = AudioBody(SampleRate=1, Channel=2, BitRate=64_000)


# Section 2.6

Render = Annotated[int, Field(ge=0, le=3)]


class MixLayout(Wire):
    Top: Pixel
    Left: Pixel
    Width: Pixel
    Height: Pixel
    UserId: UserName = ""
    Alpha: Annotated[int, Field(ge=0, le=255)] = 0
    RenderMode: Render = 1
    MediaId: Flag = 0
    ImageLayer: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    SubBackgroundImage: Text = ""


class MarkImage(Wire):
    WaterMarkUrl: Given
    Top: Wide
    Left: Wide
    Width: Wide
    Height: Wide


class MarkChar(Wire):
    Top: Wide
    Left: Wide
    Width: Wide
    Height: Wide
    Chars: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(plain)]
    FontSize: Annotated[int, Field(ge=8, le=200)] = 14
    FontColor: Text = ""
    BackGroundColor: Text = ""
    Font: Text = ""


class MarkTimestamp(Wire):
    Pos: Annotated[int, Field(ge=0, le=6)]
    TimeZone: Annotated[int, Field(ge=-12, le=14)] = 8
    Font: Text = ""


class WaterMark(Wire):
    WaterMarkType: Annotated[int, Field(ge=0, le=2)] = 0
    WaterMarkImage: MarkImage | None = None
    WaterMarkChar: MarkChar | None = None
    WaterMarkTimestamp: MarkTimestamp | None = None


class LayoutBody(Wire):
    MixLayoutMode: Annotated[int, Field(ge=1, le=4)]
    MixLayoutList: Annotated[list[MixLayout], Field(max_length=25)] = []
    BackGroundColor: Text = ""
    MaxResolutionUserId: UserName = ""
    MediaId: Flag = 0
    BackgroundImageUrl: Text = ""
    PlaceHolderMode: Flag = 0
    BackgroundImageRenderMode: Render = 1
    DefaultSubBackgroundImage: Text = ""
    WaterMarkList: Annotated[list[WaterMark], Field(max_length=25)] = []
    RenderMode: Render = 1
    MaxResolutionUserAlign: Flag = 0
    PureAudioDisableLayout: bool = False


# Sections 2.1 and 2.7 to 2.9


class CreateCloudRecording(Wire):
    SdkAppId: AppNumber
    RoomId: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain)]
    UserId: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]
    UserSig: Annotated[str, Field(min_length=1, max_length=8192)]
    RecordParams: RecordBody
    StorageParams: StorageBody
    RoomIdType: Flag = 1
    MixTranscodeParams: TranscodeBody = TranscodeBody()
    MixLayoutParams: LayoutBody | None = None
    ResourceExpiredHour: Annotated[int, Field(ge=6, le=720)] = 72
    PrivateMapKey: Text = ""


class ModifyCloudRecording(Wire):
    SdkAppId: AppNumber
    TaskId: TaskName
    MixLayoutParams: LayoutBody | None = None
    SubscribeStreamUserIds: Subscriptions = Subscriptions()


class DescribeCloudRecording(Wire):
    SdkAppId: AppNumber
    TaskId: TaskName
    RecorderKey: Text = ""


class DeleteCloudRecording(Wire):
    SdkAppId: AppNumber
    TaskId: TaskName
