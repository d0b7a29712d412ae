"""Parameters of Alibaba Cloud Live's recording actions: names, types, single-field ranges (sections 3.1 to 3.6).

Rules between fields and meaning are in `translate.py` and `mixing.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from reelroom.dialects import wording
from reelroom.dialects.aliyun.parameters import AsList, AsObject, Fraction, Int, Text, Wire
from reelroom.dialects.aliyun_live import errors

SINGLE, MIXED = 0, 1  # RecordMode
AV, AUDIO, VIDEO = 0, 1, 2  # StreamType, of what is subscribed and of what is recorded
CAMERA, SCREEN = 0, 1  # SourceType
OSS, VOD = 1, 2  # StorageType
FORMATS = ("HLS", "MP4", "MP3")
MAX_USERS = 17

_Kind = Annotated[Int, Field(ge=0, le=2)]
_Source = Annotated[Int, Field(ge=0, le=1)]
_Url = Annotated[Text, Field(max_length=2048)]
_Format = Annotated[Text, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)]
_UserId = Annotated[Text, Field(min_length=1, max_length=128)]
_Levels = Annotated[list[Text], AsList, Field(max_length=32)]


class User(Wire):
    UserId: _UserId
    StreamType: _Kind = AV
    SourceType: _Source = CAMERA


class Subscribe(Wire):
    SubscribeUserIdList: Annotated[list[User], AsList, Field(min_length=1, max_length=MAX_USERS)]


class Record(Wire):
    RecordMode: Annotated[Int, Field(ge=0, le=1)]
    StreamType: _Kind = AV
    MaxFileDuration: Annotated[Int, Field(ge=180, le=7200)] = 7200  # seconds


class FileWanted(Wire):
    Format: _Format
    FileNamePattern: Text | None = None
    SliceNamePattern: Text | None = None
    FilePathPrefix: _Levels = []
    SliceDuration: Annotated[Int, Field(ge=10, le=30)] | None = None  # seconds


class Oss(Wire):
    OSSEndpoint: Annotated[Text, Field(max_length=255)]
    OSSBucket: Annotated[Text, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]


class Vod(Wire):
    StorageLocation: Text | None = None
    VodTranscodeGroupId: Text | None = None
    AutoCompose: Annotated[Int, Field(ge=0, le=1)] = 0
    ComposeVodTranscodeGroupId: Text | None = None


class Storage(Wire):
    StorageType: Int
    FileInfo: Annotated[list[FileWanted], AsList, Field(max_length=16)] = []
    OSSParams: Annotated[Oss | None, AsObject] = None
    VodParams: Annotated[Vod | None, AsObject] = None


class Coding(Wire):
    FrameFillType: Annotated[Int, Field(ge=0, le=1)] = 0
    AudioBitrate: Annotated[Int, Field(ge=8, le=500)]  # kbit/s
    AudioChannels: Annotated[Int, Field(ge=1, le=2)]
    AudioSampleRate: Int
    VideoCodec: _Format = "H.264"
    VideoBitrate: Annotated[Int, Field(ge=1, le=10_000)] | None = None  # kbit/s
    VideoFramerate: Annotated[Int, Field(ge=1, le=60)] | None = None
    VideoGop: Annotated[Int, Field(ge=1, le=60)] | None = None  # frames
    VideoWidth: Annotated[Int, Field(ge=0, le=1920)] = 0
    VideoHeight: Annotated[Int, Field(ge=0, le=1920)] = 0


class Background(Wire):
    Url: _Url | None = None
    RenderMode: Annotated[Int, Field(ge=0, le=1)] = 0  # 0 crop, 1 bars


class UserPane(Wire):
    UserId: _UserId | None = None
    SourceType: _Source = CAMERA
    X: Fraction = 0.0
    Y: Fraction = 0.0
    Width: Fraction = 0.0
    Height: Fraction = 0.0
    ZOrder: Annotated[Int, Field(ge=0, le=100)] = 0
    SubBackground: Annotated[Background | None, AsObject] = None


class Panes(Wire):
    MixBackground: Annotated[Background | None, AsObject] = None
    UserPanes: Annotated[list[UserPane], AsList, Field(max_length=MAX_USERS)] = []


class StartRequest(Wire):
    AppId: Annotated[Text, Field(min_length=1, max_length=128)]
    ChannelId: Annotated[Text, Field(min_length=1, max_length=128)]
    SubscribeParams: Annotated[Subscribe, AsObject]
    RecordParams: Annotated[Record, AsObject]
    StorageParams: Annotated[Storage, AsObject]
    MixTranscodeParams: Annotated[Coding | None, AsObject] = None
    MixLayoutParams: Annotated[Panes | None, AsObject] = None
    NotifyUrl: _Url | None = None
    NotifyAuthKey: Annotated[Text, Field(pattern=r"^[A-Za-z0-9]{16,64}$")] = ""
    NotifyFileUploadedFormat: Annotated[list[_Format], AsList, Field(max_length=16)] = []
    MaxIdleTime: Annotated[Int, Field(ge=10, le=14_400)] = 300  # seconds


class UpdateRequest(Wire):
    TaskId: Annotated[Text, Field(min_length=1, max_length=64)]
    SubscribeParams: Annotated[Subscribe, AsObject]
    MixLayoutParams: Annotated[Panes | None, AsObject] = None


class TaskRequest(Wire):
    TaskId: Annotated[Text, Field(min_length=1, max_length=64)]


_OBJECTS = ("SubscribeParams", "RecordParams", "StorageParams", "MixTranscodeParams", "MixLayoutParams")
#: Numbers of which 0 is the default or out of range: an older client's way to say that it has none.
_NUMBERS = frozenset(
    {"StreamType", "SourceType", "MaxFileDuration", "SliceDuration", "AutoCompose", "FrameFillType", "RenderMode"}
    | {"AudioBitrate", "AudioChannels", "AudioSampleRate", "VideoBitrate", "VideoFramerate", "VideoGop"}
    | {"VideoWidth", "VideoHeight", "X", "Y", "Width", "Height", "ZOrder"}
)
_W = TypeVar("_W", bound=Wire)


def parse(model: type[_W], data: dict[str, Any]) -> _W:
    """`data` as `model`; AliyunError by the vendor's table for the first field that is missing or wrong."""
    given = data | {name: _given(data[name]) for name in _OBJECTS if name in data}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = wording.path(first, first=1)
        if first["type"] == "missing":
            raise errors.missing(where) from None
        raise errors.invalid(where, wording.wrong(first)) from None


def _given(value: Any) -> Any:
    """One of the five objects; None for one that nobody filled in, as of clients that always write all five."""
    if isinstance(value, str) and value.strip() in ("{}", "null"):
        return None
    return _unset(value)


def _unset(value: Any, name: str = "") -> Any:
    """An object of dotted names without what an older client sends for what nobody set: zeros and empty text."""
    if isinstance(value, dict):
        kept = {key: inner for key, old in value.items() if (inner := _unset(old, key)) is not None}
        return kept or None
    if isinstance(value, list):
        return [inner for old in value if (inner := _unset(old)) is not None] or None
    if name and (value == "" or (value in ("0", "0.0") and name in _NUMBERS)):
        return None
    return value
