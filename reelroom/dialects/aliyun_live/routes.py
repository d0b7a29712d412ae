"""The actions of Alibaba Cloud Live 2016-11-01 by name, their rates, and refusals in the vendor's words. No HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.aliyun import errors as common
from reelroom.dialects.aliyun_live import errors
from reelroom.dialects.aliyun_live.settings import settings
from reelroom.dialects.aliyun_live.tasks import Tasks
from reelroom.dialects.wording import named

#: Fields of the use cases → parameters.
_WHERE = {
    "callback": "NotifyUrl",
    "destination": "StorageParams.OSSParams",
    "naming": "StorageParams.FileInfo",
    "library": "StorageParams.VodParams",
    "mix": "MixTranscodeParams",
    "mix.scene": "MixLayoutParams",
    "scene": "MixLayoutParams",
    "room": "ChannelId",
}


class Live:
    """The API `live`, as far as it records RTC channels."""

    name = "live"
    version = "2016-11-01"

    def __init__(self, context: Context) -> None:
        tasks = Tasks(context)
        self.actions: dict[str, Callable[[AppContext, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "StartRtcCloudRecording": tasks.start,
            "UpdateRtcCloudRecording": tasks.update,
            "StopRtcCloudRecording": tasks.stop,
            "DescribeRtcCloudRecordingFiles": tasks.describe,
        }

    def per_second(self, app: AppContext, action: str) -> float:
        return settings(app).requests_per_second

    def said(self, error: ControlError, action: str) -> common.AliyunError:
        match error.kind:
            case "not_found" if action == "StartRtcCloudRecording":
                return errors.invalid("ChannelId", error.message)
            case "not_found":
                return errors.no_task()
            case "conflict":
                return errors.not_running(error.message)
            case "unavailable" | "overloaded":
                return common.unavailable(error.message)
            case _:
                return errors.invalid(named(error.where, _WHERE) or action, error.message.rstrip("."))
