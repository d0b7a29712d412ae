"""An app's settings for this dialect, and what the vendor keeps in its consoles. Holds no credentials, no requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelroom.control.apps import AppContext
from reelroom.dialects.aliyun_live.naming import UTC_OFFSET_S

REQUESTS_PER_SECOND = 50.0  # of an account, for each action


class LiveSettings(BaseModel):
    """`defaults["aliyun_live"]` of an app; numbers may be written as strings, as on a command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: float = Field(REQUESTS_PER_SECOND, ge=0, le=100_000)  # 0: no limit
    storage: Literal["request", "app"] = "request"  # "app": the app's destination, whatever OSSParams says
    vod_storage_location: str = ""  # the VodParams.StorageLocation by which the app's own storage is called
    utc_offset_s: int = Field(UTC_OFFSET_S, ge=-14 * 3600, le=14 * 3600)  # of {StartTime}


def check_settings(values: dict[str, Any]) -> LiveSettings:
    """ValueError, saying which, when one of them is unknown or out of range."""
    try:
        return LiveSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def settings(app: AppContext) -> LiveSettings:
    return check_settings(app.defaults.get("aliyun_live") or {})
