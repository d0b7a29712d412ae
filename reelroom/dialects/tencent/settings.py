"""An app's settings for this dialect, which the vendor keeps in its console. Holds no credentials and no requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from reelroom.control.apps import AppContext
from reelroom.control.new_recording import CallbackSpec

REQUESTS_PER_SECOND = 20.0  # of each action (section 5)
FORMATS = ("hls", "mp4", "flv", "aac")
#: Sets of formats that API 3.0 has → OutputFormat and TencentVod.MediaType.
TASK_FORMATS = {("hls",): (0, 1), ("hls", "mp4"): (1, 3), ("aac", "hls"): (2, 4), ("mp4",): (3, 0), ("aac",): (4, 2)}


def _words(value: Any) -> Any:
    """ "hls,mp4" as on a command line."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


class TencentSettings(BaseModel):
    """`defaults["tencent"]` of an app; numbers may be written as strings, as on a command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: Literal["both", "new", "classic"] = "both"  # the vendor's applications have one of them
    callback_url: str = Field("", pattern=r"^(https?://.*)?$")
    requests_per_second: float = Field(REQUESTS_PER_SECOND, ge=0, le=100_000)  # of each action; 0: no limit
    max_recordings: int = Field(0, ge=0)  # at one time; 0: as many as the machine takes
    storage: Literal["request", "app"] = "request"  # "app": the app's destination, whatever the request says
    check_user_sig: bool = False  # with the credential sdk_secret_key
    check_private_map_key: bool = False  # the same; the vendor's advanced permission control

    media_base: str = Field("", pattern=r"^(https?://.*)?$")  # of URLs of files; "": as the caller wrote the host

    # The classic kind: the recording template of section 3.1.
    auto_record: bool = False  # streams of every room (else only mixes that ask for it)
    streams: Literal["all", "specified"] = "all"  # "specified": those whose clients gave a userDefineRecordId
    console: Literal["", "2020"] = ""  # "2020": no more than that year's console takes
    formats: Annotated[tuple[Literal["hls", "mp4", "flv", "aac"], ...], BeforeValidator(_words)] = ("hls",)
    file_minutes: int = Field(120, ge=1, le=120)  # of one MP4, FLV or AAC file
    retention_days: int = Field(0, ge=0, le=1800)  # 0: for ever
    resume_s: int = Field(0, ge=0, le=1800)  # HLS goes on after an interruption of so long; 0: it does not
    sub_app_id: int = Field(0, ge=0, le=2**53)  # of VOD, whose library has one part for each
    bizid: str = Field("", pattern=r"^[0-9]{0,10}$")
    stream_ids: Literal["urlencode", "md5"] = "urlencode"  # how they are derived; "md5" needs `bizid`
    utc_offset_s: int = Field(28_800, ge=-50_400, le=50_400)  # of the times in names
    appid: int = Field(1_250_000_000, ge=1, le=2**53)  # the account's number in callbacks
    # API 3.0's tasks that start by themselves (section 2.10).
    auto_task: bool = False  # a task for every room
    task_mode: Literal["single", "mixed"] = "single"
    task_streams: Literal["av", "audio", "video"] = "av"
    task_formats: Annotated[tuple[Literal["hls", "mp4", "aac"], ...], BeforeValidator(_words)] = ("mp4",)
    task_file_minutes: int = Field(1440, ge=1, le=1440)  # of one MP4 or AAC file
    task_resume_s: int = Field(30, ge=1, le=86_400)  # a task ends when nobody has published for so long
    task_storage: Literal["vod", "app"] = "vod"  # VOD, or the app's own destination

    # Both kinds of automatic recording.
    rooms: str = Field("*", min_length=1, max_length=256)  # which are recorded, a glob
    users: str = Field("*", min_length=1, max_length=256)

    @model_validator(mode="after")
    def _together(self) -> TencentSettings:
        if not self.formats or len(set(self.formats)) != len(self.formats):
            raise ValueError("formats must be one or more of hls, mp4, flv, aac, none twice")
        if self.stream_ids == "md5" and not self.bizid:
            raise ValueError("stream_ids md5 needs bizid")
        if self.console == "2020" and not (
            self.file_minutes >= 5 and self.retention_days <= 1080 and self.resume_s <= 300
        ):
            raise ValueError("console 2020 has file_minutes 5 to 120, retention_days 0 to 1080 and resume_s 0 to 300")
        if self.auto_record and self.generation == "new":
            raise ValueError("auto_record is of generation classic")
        if self.auto_task and self.generation == "classic":
            raise ValueError("auto_task is of generation new")
        if tuple(sorted(self.task_formats)) not in TASK_FORMATS:
            raise ValueError("task_formats must be hls, mp4, aac, hls and mp4, or hls and aac")
        if "aac" in self.task_formats and self.task_streams != "audio":
            raise ValueError("task_formats aac needs task_streams audio")
        return self

    @property
    def push_domain(self) -> str:
        return f"{self.bizid or '0'}.livepush.myqcloud.com"


def check_settings(values: dict[str, Any]) -> TencentSettings:
    """ValueError, saying which, when one of them is unknown or out of range."""
    try:
        return TencentSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{where}: {message}" if where else message) from None


def settings(app: AppContext) -> TencentSettings:
    return check_settings(app.defaults.get("tencent") or {})


def callback(app: AppContext) -> CallbackSpec | None:
    """Where this app's callbacks go; None: nobody asked for any."""
    url = settings(app).callback_url
    return CallbackSpec(url=url, secret=app.secrets["tencent"].get("callback_key", "")) if url else None


def sdk_app_id(app: AppContext) -> int:
    return int(app.secrets["tencent"]["sdk_app_id"])
