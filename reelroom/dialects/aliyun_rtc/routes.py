"""The actions of Alibaba Cloud RTC 2018-01-11 by name, their rates, and refusals in the vendor's words. No HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reelroom.control.apps import AppContext
from reelroom.control.context import Context
from reelroom.control.errors import ControlError
from reelroom.dialects.aliyun import errors as common
from reelroom.dialects.aliyun_rtc import errors
from reelroom.dialects.aliyun_rtc.mpu import MpuLayouts
from reelroom.dialects.aliyun_rtc.settings import OTHERS_PER_SECOND, REQUESTS_PER_SECOND, settings
from reelroom.dialects.aliyun_rtc.tasks import Tasks
from reelroom.dialects.wording import named

#: Fields of the use cases → parameters.
_WHERE = {
    "callback": "HttpCallbackUrl",
    "destination": "OssEndpoint",
    "destination.options.bucket": "OssBucket",
    "mix": "MediaEncode",
    "mix.scene": "LayoutIds",
    "naming": "OssFilePrefix",
}


class Rtc:
    """The API `rtc`, as far as it records."""

    name = "rtc"
    version = "2018-01-11"

    def __init__(self, context: Context) -> None:
        mpu = MpuLayouts(context)
        tasks = Tasks(context, mpu)
        self.actions: dict[str, Callable[[AppContext, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "AddRecordTemplate": tasks.add_template,
            "UpdateRecordTemplate": tasks.update_template,
            "DeleteRecordTemplate": tasks.delete_template,
            "DescribeRecordTemplates": tasks.list_templates,
            "StartRecordTask": tasks.start,
            "UpdateRecordTask": tasks.update,
            "StopRecordTask": tasks.stop,
            "DescribeRecordTasks": tasks.list_tasks,
            "DescribeRecordFiles": tasks.list_files,
            "CreateRecordIndexFiles": tasks.index,  # ours
            "CreateMPULayout": mpu.create,
            "ModifyMPULayout": mpu.modify,
            "DeleteMPULayout": mpu.delete,
            "DescribeMPULayoutInfo": mpu.describe_one,
            "DescribeMPULayoutInfoList": mpu.describe_all,
            "DescribeMPULayoutList": mpu.describe_ids,
            "DescribeSystemLayoutList": mpu.describe_system,
        }

    def per_second(self, app: AppContext, action: str) -> float:
        own = settings(app).requests_per_second
        return REQUESTS_PER_SECOND.get(action, OTHERS_PER_SECOND) if own is None else own

    def said(self, error: ControlError, action: str) -> common.AliyunError:
        match error.kind:
            case "not_found":
                return errors.no_task()
            case "conflict" | "unavailable" | "overloaded":
                return common.unavailable(error.message)
            case _:
                return errors.wrong(named(error.where, _WHERE) or action, error.message)
