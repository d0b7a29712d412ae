"""An app's settings for this dialect. Holds no credentials and no requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelroom.control.apps import AppContext

UTC_OFFSET_S = 8 * 3600
DEFAULT_ENDPOINT = "oss-cn-shanghai.aliyuncs.com"
#: Calls a second of an account, by action (section 1.9).
REQUESTS_PER_SECOND = {
    "AddRecordTemplate": 100.0,
    "UpdateRecordTemplate": 100.0,
    "DeleteRecordTemplate": 10.0,
    "StartRecordTask": 500.0,
    "UpdateRecordTask": 100.0,
    "DescribeRecordFiles": 10.0,
}
OTHERS_PER_SECOND = 100.0


class RtcSettings(BaseModel):
    """`defaults["aliyun_rtc"]` of an app; numbers may be written as strings, as on a command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: float | None = Field(None, ge=0, le=100_000)  # of each action; 0: no limit, None: the vendor's
    storage: Literal["request", "app"] = "request"  # "app": the app's destination, whatever the template says
    url_base: str = Field("", pattern=r"^(https?://.*)?$")  # what Url begins with; "": http://BUCKET.ENDPOINT
    utc_offset_s: int = Field(UTC_OFFSET_S, ge=-14 * 3600, le=14 * 3600)  # of the times in file names
    mns_base64: bool = True  # the messages in queues are Base64, as MNS's clients expect


def check_settings(values: dict[str, Any]) -> RtcSettings:
    """ValueError, saying which, when one of them is unknown or out of range."""
    try:
        return RtcSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def settings(app: AppContext) -> RtcSettings:
    return check_settings(app.defaults.get("aliyun_rtc") or {})
