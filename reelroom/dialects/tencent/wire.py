"""The JSON of Tencent's requests. Holds types and single-field ranges; rules between fields and meaning are elsewhere.

A request in a query or form (GET, the older signature) says all values as text and nests them by dots; `nested` makes
JSON's shape of it, and then numbers may be text. An unknown field is UnknownParameter, null is as if absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from reelroom.dialects.tencent import errors

MAX_DEPTH = 32  # of JSON within JSON
_INDEX = re.compile(r"0|[1-9][0-9]{0,3}")


def _plain(value: str) -> str:
    """No NUL and no half of a surrogate pair: neither databases nor files take them."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not contain NUL or halves of surrogate pairs")
    return value


Text = Annotated[str, Field(max_length=4096), AfterValidator(_plain)]
Given = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_plain)]
UserName = Annotated[str, Field(max_length=128), AfterValidator(_plain)]
Flag = Annotated[int, Field(ge=0, le=1)]
Pixel = Annotated[int, Field(ge=0, le=1920)]
Wide = Annotated[int, Field(ge=0, le=2560)]
AppNumber = Annotated[int, Field(ge=0, le=2**53)]
TaskName = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_plain)]


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


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
    SourceContext: Annotated[str, Field(max_length=1000), AfterValidator(_plain)] = ""
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
    Chars: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_plain)]
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
    RoomId: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]
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


# From requests to these

_W = TypeVar("_W", bound=Wire)
#: The code of a value that cannot be, by the path of its field; "" leaves OutOfRange.
Codes = Callable[[str], str]

_TYPES = {
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "is too large",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be an array",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def parse(model: type[_W], data: Any, as_text: bool, known: frozenset[str], codes: Codes = lambda path: "") -> _W:
    """`data` as `model`; TencentError for the first field that is wrong. `as_text`: values may be text all.

    `known`: names whose absence has a code of its own.
    """
    try:
        return model.model_validate(data, strict=not as_text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # never the input: it may be a secret
    path = ".".join(str(part) for part in first["loc"])
    kind, leaf = str(first["type"]), path.rpartition(".")[2]
    if kind == "missing" or (kind == "string_too_short" and leaf in known):
        raise errors.missing(path, leaf in known)
    if kind == "extra_forbidden":
        raise errors.unknown_parameter(path)
    if kind in _TYPES:
        raise errors.wrong_type(path or "The request", _TYPES[kind])
    message = str(first["msg"]).removeprefix("Value error, ")
    if code := codes(path):
        raise errors.TencentError(code, f"{path}: {message}.")
    raise errors.out_of_range(path, f"is wrong: {message}")


def body(raw: bytes) -> dict[str, Any]:
    """A JSON body. TencentError unless it is an object that is not nested absurdly."""
    try:
        data = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise errors.bad_request("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise errors.bad_request("The body must be a JSON object.")
    depth, level = 0, [data]
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise errors.bad_request(f"The body is nested deeper than {MAX_DEPTH}.")
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]
    return data


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """`A.B.0=x` → `{"A": {"B": ["x"]}}`. TencentError where two names contradict each other."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        if len(path) >= MAX_DEPTH:
            raise errors.unknown_parameter(name[:200])
        inner = tree
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise errors.bad_request(f"{name[:200]} is said in two ways.")
        if isinstance(inner.setdefault(last, value), dict):
            raise errors.bad_request(f"{name[:200]} is said in two ways.")
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    """What has whole numbers for names is a list, in their order."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner and all(_INDEX.fullmatch(name) for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
