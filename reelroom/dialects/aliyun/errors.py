"""The errors that all of Alibaba Cloud's APIs share, by the vendor's codes and statuses (section 1.9). No rules."""

from __future__ import annotations


class AliyunError(Exception):
    """An answer other than success: HTTP `status`, the vendor's `code`, and what is wrong in words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


# Whose request it is


def missing(name: str) -> AliyunError:
    return AliyunError(400, "MissingParameter", f"{name} is mandatory for this action.")


def unknown_key() -> AliyunError:
    return AliyunError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")


def bad_timestamp() -> AliyunError:
    message = "Specified time stamp or date value is not well formatted: it must be YYYY-MM-DDTHH:MM:SSZ."
    return AliyunError(400, "InvalidTimeStamp.Format", message)


def expired() -> AliyunError:
    message = "Specified time stamp or date value is expired: it is more than 15 minutes off."
    return AliyunError(400, "InvalidTimeStamp.Expired", message)


def nonce_used() -> AliyunError:
    return AliyunError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")


def no_token() -> AliyunError:
    message = "SecurityToken is mandatory for this action: the AccessKey is a temporary one."
    return AliyunError(400, "MissingSecurityToken", message)


def wrong_token() -> AliyunError:
    message = "Specified SecurityToken is mismatched with the AccessKey."
    return AliyunError(400, "InvalidSecurityToken.MismatchWithAccessKey", message)


def bad_method(name: str) -> AliyunError:
    return AliyunError(400, "InvalidSignatureMethod", f"Specified signature method is not supported: {name[:60]}")


def incomplete(what: str) -> AliyunError:
    return AliyunError(400, "IncompleteSignature", f"The request signature does not conform to standards: {what}")


def mismatch(string_to_sign: str) -> AliyunError:
    """The vendor's older clients take what follows the only colon for the server's string to sign, and need one."""
    told = string_to_sign.replace(":", "%3A")
    message = f"Specified signature is not matched with our calculation. server string to sign is:{told}"
    return AliyunError(400, "SignatureDoesNotMatch", message)


# What it asks for


def no_version(name: str) -> AliyunError:
    return AliyunError(400, "NoSuchVersion", f"Specified version does not exist: {name[:40]}")


def no_action(name: str) -> AliyunError:
    message = f"Specified api is not found, please check your url and method: {name[:100]}"
    return AliyunError(404, "InvalidApi.NotFound", message)


def bad_format(name: str) -> AliyunError:
    return AliyunError(400, "InvalidParameter.Format", f"The specified format must be JSON or XML, not {name[:40]!r}.")


def bad_http_method(name: str) -> AliyunError:
    return AliyunError(400, "UnsupportedHTTPMethod", f"This http method is not supported: {name[:20]}")


def invalid(name: str, why: str) -> AliyunError:
    return AliyunError(400, "InvalidParameter", f"The specified parameter {name} is not valid: {why}")


def unsupported(why: str) -> AliyunError:
    return AliyunError(400, "UnsupportedOperation", f"The specified operation is not supported: {why}")


# When it cannot be done


def throttled() -> AliyunError:
    return AliyunError(400, "Throttling.User", "Request was denied due to user flow control.")


def unavailable(why: str) -> AliyunError:
    return AliyunError(503, "ServiceUnavailable", f"The request has failed due to a temporary failure: {why}")


def internal() -> AliyunError:
    message = "The request processing has failed due to some unknown error, exception or failure."
    return AliyunError(500, "InternalError", message)
