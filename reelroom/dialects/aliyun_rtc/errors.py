"""The errors of Alibaba Cloud RTC's recording actions (section 2.5), as constructors. Holds no rules."""

from __future__ import annotations

from reelroom.dialects.aliyun.errors import AliyunError, invalid, missing, unsupported

__all__ = ["invalid", "missing", "unsupported"]

MALFORMED = {
    "LayoutIds": ("InvalidLayoutID.Malformed", "The specified layout ID is malformed"),
    "MediaEncode": ("InvalidMediaEncode.Malformed", "The specifed MediaEncode is malformed"),
    "BackgroundColor": ("InvalidBackgroundColor.Malformed", "The specifed background color is malformed"),
}


def wrong(where: str, why: str) -> AliyunError:
    """By the code of the parameter, where it has one of its own."""
    code = MALFORMED.get(where.partition(".")[0])
    if code is not None:
        return AliyunError(400, code[0], f"{code[1]}: {why}")
    return invalid(where, why)


def not_supported(where: str, why: str) -> AliyunError:
    """The vendor has it and this server has not: refused, never accepted and ignored."""
    return wrong(where, f"not supported here: {why}")


def no_app(app_id: str) -> AliyunError:
    return AliyunError(404, "Service.NoApp", f"The app does not belong to this account: {app_id[:60]}")


def no_template() -> AliyunError:
    return AliyunError(404, "InvalidTemplateId.NotFound", "The specified record template does not exist.")


def no_task() -> AliyunError:
    return AliyunError(404, "InvalidTaskId.NotFound", "The specified record task does not exist.")


def task_existed() -> AliyunError:
    """HTTP 200: clients take it for success."""
    return AliyunError(200, "TaskExisted", "task is already existed")
