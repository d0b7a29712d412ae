"""The JSON of ZEGO's requests. Holds types and single-field ranges; rules between fields and meaning are in
`translate.py`.

Unknown keys are ignored, null equals absent, "" equals absent where a string is optional, an int may be written 1.0.
Anything else of the wrong type is 300000004, numbers in strings too. What has no effect in the chosen mode is not even
looked at (section 8), so such parts are kept as they came and parsed where they have one.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from reelroom.dialects import wording
from reelroom.dialects.zego import errors


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(annotation: Any) -> bool:
    """Whether a field is a string, or a string or nothing."""
    return annotation is str or any(map(_text, get_args(annotation)))


Int = Annotated[int, BeforeValidator(_integral), Field(ge=-(2**63), lt=2**63)]
Pixel = Annotated[Int, Field(ge=0, le=1920)]
Text = Annotated[str, Field(max_length=4096)]
Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://")]
Id = Annotated[str, Field(min_length=1, max_length=128)]


class Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {k: v for k, v in data.items() if v is not None and (v != "" or k not in cls._may_be_empty())}

    @classmethod
    @cache
    def _may_be_empty(cls) -> frozenset[str]:
        """The optional strings."""
        fields = cls.model_fields.items()
        return frozenset(name for name, field in fields if not field.is_required() and _text(field.annotation))


class Stream(Wire):
    StreamId: Annotated[str, Field(min_length=1, max_length=256)]


class FillFrame(Wire):
    FrameFillMode: Annotated[Int, Field(ge=1, le=3)] = 1
    FrameFillColor: Int = 0


class View(Wire):
    """One entry of `MixInputList` (section 2.4)."""

    StreamId: Annotated[str, Field(max_length=256)] | None = None
    ViewType: Annotated[Int, Field(ge=1, le=2)] = 1
    Top: Pixel
    Left: Pixel
    Bottom: Pixel
    Right: Pixel
    Layer: Int
    FillMode: Annotated[Int, Field(ge=1, le=2)] = 1
    BackgroundImage: Url | None = None


class VideoConfig(Wire):
    Width: Annotated[Int, Field(ge=16, le=1920)]
    Height: Annotated[Int, Field(ge=16, le=1920)]
    Fps: Annotated[Int, Field(ge=5, le=30)] = 15
    Bitrate: Annotated[Int, Field(ge=50_000, le=50_000_000)]  # bit/s


class AudioConfig(Wire):
    Bitrate: Annotated[Int, Field(ge=16_000, le=320_000)] = 48_000  # bit/s


class Rectangle(Wire):
    Left: Pixel
    Top: Pixel
    Right: Pixel
    Bottom: Pixel


class TimestampConfig(Wire):
    FontSize: Annotated[Int, Field(ge=12, le=100)]


class StreamConfig(Wire):
    StreamId: Annotated[str, Field(max_length=256)] = ""
    StreamType: Annotated[Int, Field(ge=0, le=3)] = 0


class LayoutKeys(Wire):
    """What a layout is, in `MixConfig` and in `UpdateLayout` (sections 2.4 and 2.9)."""

    MixMode: Annotated[Int, Field(ge=1, le=5)] = 2
    MixInputList: Any = None  # for MixMode 1 only
    MixMaxResolutionStreamId: Annotated[str, Field(max_length=256)] | None = None


class Views(Wire):
    MixInputList: Annotated[list[View], Field(min_length=1, max_length=25)]


class MixConfig(LayoutKeys):
    FillMode: Annotated[Int, Field(ge=1, le=2)] | None = None
    MixOutputStreamId: Annotated[str, Field(min_length=1, max_length=256)]
    MixOutputVideoConfig: Any = None  # not for StreamType 1
    MixOutputAudioConfig: AudioConfig = AudioConfig()
    MixOutputBackgroundColor: Int = 0
    MixOutputBackgroundImage: Url | None = None
    MixOutputWatermarkImage: Url | None = None
    MixOutputWatermarkImageConfig: Rectangle | None = None
    MixOutputWatermarkTimestampConfig: TimestampConfig | None = None
    DefaultMixStreamBackgroundImage: Url | None = None
    IsAlwaysMix: bool = False
    RecordSoundWave: bool = False
    SoundWaveType: Annotated[Int, Field(ge=0, le=1)] = 0
    StreamConfigList: Annotated[list[StreamConfig], Field(max_length=256)] = []
    ClearInputStreamTimeout: Annotated[Int, Field(ge=0, le=86_400_000)] = 0  # milliseconds; 0: for ever


class InputParams(Wire):
    RecordMode: Annotated[Int, Field(ge=1, le=2)]
    StreamType: Annotated[Int, Field(ge=1, le=4)] = 3
    ClientTaskId: Text | None = None
    RecordStreamList: Any = None  # single-stream mode
    FillBlank: bool = False
    FillFrame: Any = None  # mixed mode
    RecordMuteAudio: Any = None  # single-stream mode with mp3 of sound only
    RecordMuteAudioSplitThreshold: Any = None
    HasWhiteboard: bool = False
    Whiteboard: Any = None
    MaxIdleTime: Annotated[Int, Field(ge=5, le=86_400)] = 30
    MaxRecordTime: Int = 86_400
    ResumeWithoutInterruption: bool = False
    MixConfig: Any = None  # mixed mode


class StreamList(Wire):
    RecordStreamList: Annotated[list[Stream], Field(max_length=256)] = []


class MuteAudio(Wire):
    RecordMuteAudio: Annotated[Int, Field(ge=1, le=2)] = 1
    RecordMuteAudioSplitThreshold: Int = -1  # seconds; below 0: no split


class OutputParams(Wire):
    OutputFileFormat: Text = "mp4"
    OutputFolder: Text = ""
    OutputFileRule: Annotated[Int, Field(ge=1, le=1)] = 1
    SnapshotInterval: Any = None  # with jpg
    CallbackUrl: Url | None = None
    FragmentSeconds: Any = None  # these three: with hls
    RealtimeUploadFragment: Any = None
    ShortFragmentPath: Any = None


class HlsParams(Wire):
    FragmentSeconds: Annotated[Int, Field(ge=2, le=60)] = 15
    RealtimeUploadFragment: bool = False
    ShortFragmentPath: bool = False


Required = Annotated[str, Field(min_length=1, max_length=4096)]


class AlibabaVod(Wire):
    Region: Required
    AccessKeyId: Required
    AccessKeySecret: Required
    Title: Annotated[str, Field(min_length=1, max_length=128)]
    StorageLocation: Required


class TencentVod(Wire):
    SecretId: Required
    SecretKey: Required
    Region: Required
    SubAppId: Int | None = None


class StorageKeys(Wire):
    Vendor: Annotated[Int, Field(ge=1, le=10)]
    Region: Text | None = None
    Bucket: Text | None = None
    AccessKeyId: Text | None = None
    AccessKeySecret: Text | None = None
    AlibabaCloudVodParams: Any = None
    TencentCloudVodParams: Any = None
    EndPoint: Text | None = None
    S3ForcePathStyle: bool = False


class StartRequest(Wire):
    RoomId: Annotated[str, Field(min_length=1)]
    RecordInputParams: InputParams
    RecordOutputParams: OutputParams = OutputParams()
    StorageParams: StorageKeys | None = None
    ClientTaskId: Text | None = None  # misplaced by some clients


class TaskRequest(Wire):
    """StopRecord, PauseRecord, ResumeRecord, DescribeRecordStatus."""

    TaskId: Id


class LayoutRequest(LayoutKeys):
    TaskId: Id


class ListRequest(Wire):
    """DescribeTasks. Times are Unix milliseconds."""

    Status: Annotated[Int, Field(ge=2, le=3)]
    RoomId: Text = ""
    PageOffset: Annotated[Int, Field(ge=0, le=2**31)] = 1
    PageSize: Annotated[Int, Field(ge=1, le=50)] = 50
    StartTime: Int
    EndTime: Int


_W = TypeVar("_W", bound=Wire)


def parse(model: type[_W], data: Any, where: str = "") -> _W:
    """`data` as `model`; ZegoError 300000004 that names the first wrong field and says what is right."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # never the input: it may be a secret
        path = ".".join(part for part in (where, wording.path(first)) if part)
        raise errors.invalid(f"{path or 'body'}: {wording.wrong(first)}") from None
