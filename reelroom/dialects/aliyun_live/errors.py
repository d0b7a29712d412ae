"""The error table of Alibaba Cloud Live's recording actions (sections 3.8, 3.10), as constructors. Holds no rules."""

from __future__ import annotations

from reelroom.dialects.aliyun.errors import AliyunError

#: What is wrong → HTTP status, code, and the end of the message. 404 and 405 really are the vendor's.
TABLE: dict[str, tuple[int, str, str]] = {
    "NotifyUrl": (400, "InvalidParameter.NotifyUrl", "please check the notifyUrl."),
    "StorageParams.FileInfo": (
        400, "InvalidParameter.StorageParams.FileInfo", "please check the fileInfo of storageParams.",
    ),
    "StorageParams.OSSParams": (
        400, "InvalidParameter.StorageParams.OSSParams", "please check the ossParams of storageParams.",
    ),
    "StorageParams.VodParams": (
        405, "InvalidParameter.StorageParams.VodParams", "please check the vodParams of storageParams.",
    ),
    "StorageParams": (
        405, "InvalidParameter.StorageParams.StorageType", "please check the storageType of storageParams.",
    ),
    "SubscribeParams": (
        400, "InvalidParameter.SubscribeParams.SubscribeUserIdList",
        "please check the subscribeUserIdList of subscribeParams.",
    ),
    "MixLayoutParams": (
        400, "InvalidParameter.MixLayoutParams.UserPanes", "please check the userPanes of mixLayoutParams.",
    ),
    "MixTranscodeParams": (400, "InvalidParameter.MixTranscodeParams", "please check the transcodeParams."),
    "RecordParams": (405, "InvalidParameter.RecordParams", "please check the recordParams."),
    "NotifyAuthKey": (405, "InvalidParameter.NotifyAuthKey", "please check the notifyAuthKey."),
    "MaxIdleTime": (405, "InvalidParameter.MaxIdleTime", "please check the maxIdleTime."),
    "NotifyFileUploadedFormat": (
        405, "InvalidParameter.NotifyFileUploadedFormat", "please check the notifyFileUploadedFormat.",
    ),
    "ChannelId": (404, "InvalidParameter.ChannelId", "please check the channelId."),
    "AppId": (404, "InvalidParameter.AppId", "please check the appId."),
    "TaskId": (400, "InvalidParameter.TaskId", "please check the TaskId."),
}  # fmt: skip


def invalid(where: str, why: str) -> AliyunError:
    """The error of the parameter that `where` (a dotted path) lies in."""
    parts = where.split(".")
    while parts and ".".join(parts) not in TABLE:
        parts.pop()
    if not parts:
        return AliyunError(400, "InvalidParameter", f"{where}: {why}.")
    status, code, tail = TABLE[".".join(parts)]
    return AliyunError(status, code, f"{where}: {why}, {tail}")


def missing(where: str) -> AliyunError:
    return AliyunError(400, "MissingParameter", f"{where} is mandatory for this action.")


def not_supported(where: str, why: str) -> AliyunError:
    """The vendor has it and this server has not: refused, never accepted and ignored."""
    return invalid(where, f"not supported: {why}")


def no_task() -> AliyunError:
    return AliyunError(400, "NotFound.Task", "The task does not exist, please check the TaskId.")


def not_running(why: str) -> AliyunError:
    return invalid("TaskId", why)
