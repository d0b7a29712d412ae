"""An app's settings for this dialect, which the vendor keeps in its console. Holds no credentials and no requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelroom.control.apps import AppContext
from reelroom.control.new_recording import CallbackSpec
from reelroom.dialects.zego.limits import MAX_RECORDINGS, OTHERS_PER_SECOND, STARTS_PER_SECOND

DAY_S = 86_400


class ZegoSettings(BaseModel):
    """`defaults["zego"]` of an app; numbers may be written as strings, as on a command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    callback_url: str = Field("", pattern=r"^(https?://.*)?$")  # for tasks without CallbackUrl
    starts_per_second: float = Field(STARTS_PER_SECOND, ge=0, le=100_000)  # also of StopRecord; 0: no limit
    others_per_second: float = Field(OTHERS_PER_SECOND, ge=0, le=100_000)  # of each other action; 0: no limit
    max_recordings: int = Field(MAX_RECORDINGS, ge=0)  # at one time; 0: as many as the machine takes
    max_record_time: int = Field(DAY_S, ge=300, le=2 * DAY_S)  # seconds; the vendor raises it to 48 h on request
    storage: Literal["request", "app"] = "request"  # "app": the app's destination, whatever the request says
    replays: Literal["refuse", "accept"] = "refuse"  # of a nonce with its timestamp
    clock_utc_offset_minutes: int = Field(0, ge=-1440, le=1440)  # of the time stamp in the picture


def check_settings(values: dict[str, Any]) -> ZegoSettings:
    """ValueError, saying which, when one of them is unknown or out of range."""
    try:
        return ZegoSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def settings(app: AppContext) -> ZegoSettings:
    return check_settings(app.defaults.get("zego") or {})


def callback(app: AppContext, url: str | None) -> CallbackSpec | None:
    """Where a task's events go: to `url`, else to the app's; None: nobody asked for any."""
    wanted = url or settings(app).callback_url
    return CallbackSpec(url=wanted, secret=callback_secret(app)) if wanted else None


def callback_secret(app: AppContext) -> str:
    """What signs callbacks; apps that were made before there was one sign with the ServerSecret."""
    own = app.secrets["zego"]
    return own.get("callback_secret") or own["server_secret"]
