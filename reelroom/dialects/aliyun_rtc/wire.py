"""Parameters of Alibaba Cloud RTC's recording actions: names, types, single-field ranges (sections 2.2 to 2.5, 2.9).

Rules between fields and meaning are in `translate.py` and `layouts.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from reelroom.control.apps import AppContext
from reelroom.dialects import wording
from reelroom.dialects.aliyun.parameters import AsList, Bool, Fraction, Int, Number, Text, Wire
from reelroom.dialects.aliyun_rtc import errors
from reelroom.domain.scene import MAX_TEXT

DAY_S = 86_400
ALL = "allStream"
_Id = Annotated[Text, Field(min_length=1, max_length=128)]
_Users = Annotated[list[_Id], AsList, Field(max_length=16)]
_Ids = Annotated[list[Annotated[Int, Field(ge=0, le=10**9)]], AsList, Field(max_length=16)]
_Url = Annotated[Text, Field(max_length=2048)]
_Display = Annotated[Int, Field(ge=0, le=1)]
_Format = Annotated[Text, BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)]
_Time = Annotated[Text, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_Letters = Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]
_Color = Annotated[Int, Field(ge=0, le=0xFFFFFF)]


class Placed(Wire):
    X: Fraction = 0.0
    Y: Fraction = 0.0
    ZOrder: Annotated[Int, Field(ge=0, le=100)] = 0


class Picture(Placed):
    """A background, or a watermark when `Alpha` is of use."""

    Url: _Url
    Display: _Display = 1  # 0 never, 1 always
    Width: Fraction = 0.0
    Height: Fraction = 0.0
    Alpha: Annotated[Number, Field(ge=0, le=1)] = 1.0


class Clock(Placed):
    FontType: Annotated[Int, Field(ge=0, le=5)] = 0
    FontSize: Annotated[Int, Field(ge=1, le=72)] = 24
    FontColor: _Color = 0xFFFFFF


class PaneText(Placed):
    Text: _Letters
    FontType: Annotated[Int, Field(ge=0, le=5)] = 0
    FontSize: Annotated[Int, Field(ge=1, le=72)] = 24
    FontColor: _Color = 0xFFFFFF


class PaneImage(Picture):
    Display: Annotated[Int, Field(ge=0, le=2)] = 1  # 2: while the user has no video


class TemplateRequest(Wire):
    AppId: _Id
    Name: Annotated[Text, Field(min_length=1, max_length=255)]
    Formats: Annotated[list[_Format], AsList, Field(min_length=1, max_length=8)]
    LayoutIds: Annotated[_Ids, Field(min_length=1)]
    MediaEncode: Int
    TaskProfile: _Id
    OssBucket: Annotated[Text, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    OssEndpoint: Annotated[Text, Field(max_length=255)] | None = None
    OssFilePrefix: Annotated[Text, Field(max_length=512)]
    FileSplitInterval: Annotated[Int, Field(ge=1800, le=DAY_S)]  # seconds
    BackgroundColor: _Color = 0
    DelayStopTime: Annotated[Int, Field(ge=1, le=DAY_S)] = 180  # seconds
    EnableM3u8DateTime: Bool = False
    MnsQueue: Annotated[Text, Field(max_length=256)] | None = None
    HttpCallbackUrl: _Url | None = None
    Backgrounds: Annotated[list[Picture], AsList, Field(max_length=16)] = []
    Watermarks: Annotated[list[Picture], AsList, Field(max_length=16)] = []
    ClockWidgets: Annotated[list[Clock], AsList, Field(max_length=16)] = []


class TemplateUpdate(TemplateRequest):
    TemplateId: _Id


class TemplateDelete(Wire):
    AppId: _Id
    TemplateId: _Id


class TemplateList(Wire):
    AppId: _Id
    TemplateIds: Annotated[list[_Id], AsList, Field(max_length=100)] = []
    PageNum: Annotated[Int, Field(ge=1, le=10**6)] = 1
    PageSize: Annotated[Int, Field(ge=1, le=1000)] = 10


class UserPane(Wire):
    PaneId: Annotated[Int, Field(ge=0, le=15)] | None = None
    UserId: _Id | None = None
    SourceType: Literal["camera", "shareScreen"] = "camera"
    Images: Annotated[list[PaneImage], AsList, Field(max_length=16)] = []
    Texts: Annotated[list[PaneText], AsList, Field(max_length=16)] = []


class UpdateTask(Wire):
    AppId: _Id
    ChannelId: _Id
    TaskId: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{1,55}$")]
    TemplateId: _Id
    TaskProfile: _Id | None = None
    MediaEncode: Int | None = None
    LayoutIds: _Ids = []
    CropMode: Annotated[Int, Field(ge=1, le=2)] = 2
    SubSpecUsers: _Users = []
    SubSpecAudioUsers: _Users = []
    SubSpecCameraUsers: _Users = []
    SubSpecShareScreenUsers: _Users = []
    UnsubSpecAudioUsers: _Users = []
    UnsubSpecCameraUsers: _Users = []
    UnsubSpecShareScreenUsers: _Users = []
    UserPanes: Annotated[list[UserPane], AsList, Field(max_length=32)] = []


class StartTask(UpdateTask):
    MixMode: Annotated[Int, Field(ge=0, le=1)] = 1
    StreamType: Annotated[Int, Field(ge=0, le=1)] = 0
    SourceType: Literal["camera", "shareScreen"] | None = None


class StopTask(Wire):
    AppId: _Id
    TaskId: _Id


class FileList(Wire):
    AppId: _Id
    ChannelId: _Id | None = None
    TaskIds: Annotated[list[_Id], AsList, Field(max_length=10)] = []
    StartTime: _Time | None = None
    EndTime: _Time | None = None
    PageNum: Annotated[Int, Field(ge=1, le=10**6)] = 1
    PageSize: Annotated[Int, Field(ge=1, le=100)] = 10


class TaskList(Wire):
    AppId: _Id
    ChannelId: _Id | None = None
    Status: Annotated[Int, Field(ge=0, le=2)] | None = None
    StartTime: _Time | None = None
    EndTime: _Time | None = None
    TaskIds: Annotated[list[_Id], AsList, Field(max_length=100)] = []
    PageNum: Annotated[Int, Field(ge=1, le=10**6)] = 1
    PageSize: Annotated[Int, Field(ge=1, le=100)] = 10


class MpuPane(Wire):
    """Of a custom layout."""

    PaneId: Annotated[Int, Field(ge=0, le=15)]
    MajorPane: Annotated[Int, Field(ge=0, le=1)] = 0
    X: Fraction = 0.0
    Y: Fraction = 0.0
    Width: Annotated[Number, Field(gt=0, le=1)]
    Height: Annotated[Number, Field(gt=0, le=1)]
    ZOrder: Annotated[Int, Field(ge=0, le=100)] = 0


_Voices = Annotated[Int, Field(ge=0, le=6)]
_Panes = Annotated[list[MpuPane], AsList, Field(max_length=16)]
_LayoutId = Annotated[Int, Field(ge=0, le=10**9)]
_Name = Annotated[Text, Field(max_length=255)]


class LayoutCreate(Wire):
    AppId: _Id
    AudioMixCount: _Voices
    Name: _Name = ""
    Panes: Annotated[_Panes, Field(min_length=1)]


class LayoutOne(Wire):
    AppId: _Id
    LayoutId: _LayoutId


class LayoutModify(LayoutOne):
    AudioMixCount: _Voices | None = None
    Name: _Name | None = None
    Panes: _Panes = []


class SystemLayoutList(Wire):
    PageNum: Annotated[Int, Field(ge=1, le=10**6)] = 1
    PageSize: Annotated[Int, Field(ge=1, le=100)] = 10


class LayoutList(SystemLayoutList):
    AppId: _Id
    LayoutId: _LayoutId | None = None
    Name: _Name | None = None


class IndexRequest(Wire):
    """Ours: a playlist of what a task recorded from one time to another."""

    AppId: _Id
    TaskId: _Id
    StartTime: _Time
    EndTime: _Time


def own(app: AppContext, app_id: str) -> None:
    """AliyunError unless the app is the account's."""
    if app_id != app.secrets["aliyun"]["app_id"]:
        raise errors.no_app(app_id)


_W = TypeVar("_W", bound=Wire)


def parse(model: type[_W], data: dict[str, Any]) -> _W:
    """`data` as `model`; AliyunError for the first parameter that is missing or wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = wording.path(first, first=1)
        if first["type"] == "missing":
            raise errors.missing(where) from None
        raise errors.wrong(where, wording.wrong(first)) from None
