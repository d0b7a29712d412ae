"""An app's settings for this dialect, which the vendor keeps in its console. Holds no credentials and no requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelroom.control.apps import AppContext
from reelroom.control.new_recording import CallbackSpec
from reelroom.dialects.agora.limits import REQUESTS_PER_SECOND
from reelroom.dialects.agora.mixing import GOP_S
from reelroom.dialects.agora.translate import SLICE_S


class AgoraSettings(BaseModel):
    """`defaults["agora"]` of an app; numbers may be written as strings, as on a command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    callback_url: str = Field("", pattern=r"^(https?://.*)?$")
    requests_per_second: float = Field(REQUESTS_PER_SECOND, ge=0, le=100_000)  # 0: no limit
    max_recordings: int = Field(0, ge=0)  # at one time; 0: as many as the machine takes
    storage: Literal["request", "app"] = "request"  # "app": the app's destination, whatever the request says
    slice_s: float = Field(SLICE_S, ge=GOP_S, le=30)  # of HLS: shorter ones are there sooner


def check_settings(values: dict[str, Any]) -> AgoraSettings:
    """ValueError, saying which, when one of them is unknown or out of range."""
    try:
        return AgoraSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def settings(app: AppContext) -> AgoraSettings:
    return check_settings(app.defaults.get("agora") or {})


def callback(app: AppContext) -> CallbackSpec | None:
    """Where this app's notifications go; None: nobody asked for any."""
    url = settings(app).callback_url
    return CallbackSpec(url=url, secret=app.secrets["agora"].get("callback_secret", "")) if url else None
