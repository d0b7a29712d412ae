"""Every error code this server answers with in ZEGO's API (section 1.5); HTTP is 200 with all. Holds no rules."""

from __future__ import annotations


class ZegoError(Exception):
    """An answer other than success: `Code` and `Message`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


# the gateway's, common to all of the vendor's server APIs


def bad_app_id() -> ZegoError:
    return ZegoError(100000001, "AppId is invalid: an unsigned 32-bit decimal number is needed")


def no_timestamp() -> ZegoError:
    return ZegoError(100000002, "Timestamp is empty")


def bad_timestamp() -> ZegoError:
    return ZegoError(100000003, "Timestamp is invalid: Unix time in seconds is needed")


def expired() -> ZegoError:
    return ZegoError(100000004, "signature expired: Timestamp is more than 10 minutes away from the server's time")


def wrong_signature() -> ZegoError:
    return ZegoError(100000005, "signature error")


def replayed() -> ZegoError:
    return ZegoError(100000005, "signature error: this SignatureNonce was used with this Timestamp already")


def no_action() -> ZegoError:
    return ZegoError(100000006, "Action is empty")


def unknown_action() -> ZegoError:
    return ZegoError(100000007, "Action is unknown")


def no_nonce() -> ZegoError:
    return ZegoError(100000008, "SignatureNonce is empty")


def no_signature() -> ZegoError:
    return ZegoError(100000009, "Signature is empty")


def unknown_app() -> ZegoError:
    return ZegoError(100000010, "no ServerSecret for this AppId")


def unreadable_app() -> ZegoError:
    return ZegoError(100000011, "the configuration of this AppId cannot be read")


def unreadable_body(why: str) -> ZegoError:
    return ZegoError(100000012, f"the HTTP body cannot be read: {why}")


def no_signature_version() -> ZegoError:
    return ZegoError(100000013, "SignatureVersion is empty")


def bad_signature_version() -> ZegoError:
    return ZegoError(100000014, "SignatureVersion is not supported: 2.0 is")


# cloud recording's


def too_many_calls() -> ZegoError:
    return ZegoError(300000003, "too many calls in a second")


def invalid(what: str) -> ZegoError:
    """Wrong type, out of range, missing, contradictory, or not supported here: `what` begins with the parameter."""
    return ZegoError(300000004, f"input params error, {what}")


def not_supported(what: str) -> ZegoError:
    """The vendor has it and this server has not: refused, never accepted and ignored."""
    return ZegoError(300000004, f"input params error, not supported: {what}")


def too_many_tasks() -> ZegoError:
    return ZegoError(300000006, "too many tasks at a time")


def no_task() -> ZegoError:
    return ZegoError(300001000, "task does not exist")


def task_ended() -> ZegoError:
    return ZegoError(300001001, "task has ended")


def not_paused() -> ZegoError:
    return ZegoError(300001004, "task is not paused")


def system_error(why: str = "") -> ZegoError:
    return ZegoError(300010000, f"system error{': ' if why else ''}{why}")
