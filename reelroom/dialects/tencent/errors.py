"""Every error that Tencent's API answers with here, by the vendor's codes (section 1.6). Holds no rules.

All go out with HTTP status 200: the vendor's clients do not read a code from anything else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class TencentError(Exception):
    """`Response.Error`: a two-level code, and what is wrong in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


# Whose request it is


def no_signature(why: str) -> TencentError:
    return TencentError("AuthFailure.SignatureFailure", f"The request is not signed as it must be: {why}.")


def wrong_signature() -> TencentError:
    message = "The provided credentials could not be validated. Please check your signature is correct."
    return TencentError("AuthFailure.SignatureFailure", message)


def signature_expired(why: str) -> TencentError:
    return TencentError(
        "AuthFailure.SignatureExpire", f"The provided credentials could not be validated because {why}."
    )


def replayed() -> TencentError:
    return TencentError("AuthFailure.SignatureFailure", "This signed request has been made before.")


def unknown_secret_id() -> TencentError:
    return TencentError("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that it is correct.")


def wrong_token() -> TencentError:
    return TencentError("AuthFailure.TokenFailure", "The token is not the one that belongs to the SecretId.")


def no_permission(why: str) -> TencentError:
    return TencentError("AuthFailure.UnauthorizedOperation", why)


def limit_exceeded(action: str, per_second: float) -> TencentError:
    message = f"Your current request times of {action} exceed {per_second:g} times a second."
    return TencentError("RequestLimitExceeded", message)


def no_action(name: str) -> TencentError:
    return TencentError("InvalidAction", f"The request action={name[:100]} is invalid or not found.")


def no_version(name: str) -> TencentError:
    return TencentError("NoSuchVersion", f"The version {name[:40]!r} does not exist for this action.")


# What it says


def missing(name: str, second: str = "") -> TencentError:
    """`second`: the vendor's second level for this parameter, where it has one."""
    return TencentError(f"MissingParameter.{second}".rstrip("."), f"The request is missing {name}.")


def unknown_parameter(name: str) -> TencentError:
    return TencentError("UnknownParameter", f"The parameter `{name}` is not recognized.")


def wrong_type(name: str, what: str) -> TencentError:
    return TencentError("InvalidParameter", f"{name} {what}.")


def out_of_range(name: str, what: str) -> TencentError:
    return TencentError("InvalidParameter.OutOfRange", f"{name} {what}.")


def invalid(name: str, message: str) -> TencentError:
    """InvalidParameter with the vendor's second level for this parameter."""
    return TencentError(f"InvalidParameter.{name}", message)


def invalid_value(name: str, message: str) -> TencentError:
    return TencentError(f"InvalidParameterValue.{name}" if name else "InvalidParameterValue", message)


@contextlib.contextmanager
def as_said() -> Iterator[None]:
    """What the domain does not take (names that are too long in bytes, say) in the vendor's words."""
    try:
        yield
    except ValueError as error:
        raise TencentError("InvalidParameter.OutOfRange", f"The request cannot be carried out: {error}.") from None


def bad_request(why: str) -> TencentError:
    return TencentError("InvalidParameter", why)


def not_supported(what: str) -> TencentError:
    """The vendor has it and this server has not: refused, never accepted and ignored."""
    return TencentError("UnsupportedOperation", f"Not supported by this server: {what}.")


# What became of it


def wrong_generation(why: str) -> TencentError:
    return TencentError("FailedOperation.CRUnsupportMethod", why)


def too_many_tasks(most: int) -> TencentError:
    return TencentError("FailedOperation.RestrictedConcurrency", f"There are {most} recording tasks already.")


def no_task(task: str) -> TencentError:
    return TencentError(
        "ResourceNotFound", f"The task {task[:100]} does not exist, has ended, or cannot be called any more."
    )


def failed(why: str) -> TencentError:
    return TencentError("FailedOperation", why)


def no_room(room: str) -> TencentError:
    return TencentError("FailedOperation.RoomNotExist", f"There is nobody in the room {room[:100]}.")


def rejected(why: str) -> TencentError:
    return TencentError("FailedOperation.RequestRejection", why)


def no_mix(room: str) -> TencentError:
    return TencentError("FailedOperation.MixSessionNotExist", f"No mix is running in the room {room[:100]}.")


def no_file(file_id: str) -> TencentError:
    return TencentError("ResourceNotFound.FileNotExist", f"There is no file {file_id[:100]}.")


def internal(recording: bool) -> TencentError:
    """Official advice for these codes: repeat the call after some seconds."""
    code = "InternalError.CRInternalError" if recording else "InternalError"
    return TencentError(code, "An internal error has occurred. Retry your request.")
