"""The two error body shapes of Agora's API and every error this server answers with. Holds no rules.

Source: Agora Cloud Recording REST v1, gateway errors (section 1.2) and service errors (sections 1.5 to 1.8).
"""

from __future__ import annotations

from typing import Any


class AgoraError(Exception):
    """An answer other than 200: HTTP `status` and JSON `body`."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


class GatewayError(AgoraError):
    """Refused before the recording service saw it: `{"message": ...}`, never a `code` (clients tell by that)."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, {"message": message}, headers)


class ServiceError(AgoraError):
    """Refused by the recording service: `{"code": int, "reason": text}` and, where known, the identifiers."""

    def __init__(self, status: int, code: int, reason: str, **identifiers: str) -> None:
        super().__init__(status, {**identifiers, "code": code, "reason": reason})
        self.code = code
        self.reason = reason


_CHALLENGE = {"WWW-Authenticate": "Basic"}


def no_credentials() -> GatewayError:
    return GatewayError(401, "Unauthorized", _CHALLENGE)


def wrong_credentials() -> GatewayError:
    return GatewayError(401, "Invalid authentication credentials", _CHALLENGE)


def unknown_app() -> GatewayError:
    return GatewayError(400, "appid is invalid")


def no_route() -> GatewayError:
    return GatewayError(404, "no Route matched with those values")


def too_large() -> GatewayError:
    return GatewayError(413, "Request size limit exceeded")


def too_slow() -> GatewayError:
    return GatewayError(408, "Request timed out")


def too_many_requests(retry_after_s: int) -> GatewayError:
    return GatewayError(429, "API rate limit exceeded", {"Retry-After": str(retry_after_s)})


def invalid(reason: str) -> ServiceError:
    """Wrong type, out of range, missing, contradictory, or not supported here: `reason` says which and where."""
    return ServiceError(400, 2, reason)


def not_supported(what: str) -> ServiceError:
    """The vendor has it and this server has not: refused, never accepted and ignored."""
    return ServiceError(400, 2, f"not supported: {what}")


def bad_content_type(got: str) -> ServiceError:
    return ServiceError(400, 8, f"Content-Type must be application/json, not {got}")


def body_check_failed(why: str) -> ServiceError:
    return ServiceError(400, 2, f"post method api body check failed! {why}")


def invalid_channel_name() -> ServiceError:
    return ServiceError(400, 401, "invalid_channel_name")


def over_load() -> ServiceError:
    return ServiceError(400, 406, "vendor_over_load")


def already_started(**identifiers: str) -> ServiceError:
    """HTTP 201: clients take it as success, so it carries what a 200 would (section 2.2)."""
    return ServiceError(201, 7, "already started", **identifiers)


def task_conflict(**identifiers: str) -> ServiceError:
    return ServiceError(400, 53, "task conflict", **identifiers)


def request_hash_mismatch() -> ServiceError:
    return ServiceError(400, 2, "request_hash mismatch! start differs from acquire's startParameter")


def identity_mismatch(what: str) -> ServiceError:
    return ServiceError(400, 432, f"{what} does not match the resource id")


def resource_expired(why: str) -> ServiceError:
    return ServiceError(400, 433, f"resource id expired: {why}")


def resource_unreadable() -> ServiceError:
    return ServiceError(400, 1001, "resource id cannot be parsed")


def not_of_resource(what: str) -> ServiceError:
    return ServiceError(400, 1003, f"{what} does not belong to the resource id")


def bad_layout(why: str) -> ServiceError:
    return ServiceError(400, 1028, why)


def no_worker(**identifiers: str) -> ServiceError:
    return ServiceError(404, 404, "failed to find worker", **identifiers)


def no_recorded_data(**identifiers: str) -> ServiceError:
    return ServiceError(206, 435, "no recorded data", **identifiers)


def already_leaving(**identifiers: str) -> ServiceError:
    return ServiceError(400, 49, "invalid operation", **identifiers)


def upload_timeout(**identifiers: str) -> ServiceError:
    return ServiceError(500, 50, "upload timeout: files are still on their way to storage", **identifiers)


def no_capacity(why: str) -> ServiceError:
    return ServiceError(500, 502, f"Failed to allocate worker: {why}")


def no_worker_manager() -> ServiceError:
    """Nothing is left of the machine: said at acquire already."""
    return ServiceError(500, 501, "no_worker_manager_available")


def internal_error(**identifiers: str) -> ServiceError:
    return ServiceError(500, 500, "internal_error", **identifiers)
