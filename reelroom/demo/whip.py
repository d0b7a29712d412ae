"""A WHIP client's HTTP side (RFC 9725): offer, answer, goodbye. Standard library only; knows no media."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urljoin

_TIMEOUT_S = 15.0


class WhipError(Exception):
    """The server refused, or answered what RFC 9725 does not allow; `status` is HTTP's, 0 without one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class WhipSession:
    """What a server answered: its SDP, the session's URL to PATCH and DELETE, and its entity tag."""

    answer: str
    url: str
    etag: str | None
    token: str | None

    def delete(self) -> None:
        """End the session (RFC 9725 section 4.4). Blocking. Raises WhipError; status 404: it is gone."""
        _request("DELETE", self.url, self.token, None, None)


def publish(url: str, token: str | None, offer: str) -> WhipSession:
    """POST an SDP offer with all its candidates and return the answer. Blocking. Raises WhipError."""
    status, headers, body = _request("POST", url, token, offer.encode(), "application/sdp")
    if status != 201:
        raise WhipError(status, f"POST {url} was answered {status}, where RFC 9725 asks for 201")
    location = headers.get("location")
    if not location:
        raise WhipError(status, f"POST {url} was answered without a Location")
    return WhipSession(body.decode(), urljoin(url, location), headers.get("etag"), token)


def _request(
    method: str, url: str, token: str | None, body: bytes | None, content_type: str | None
) -> tuple[int, dict[str, str], bytes]:
    if not url.startswith(("http://", "https://")):
        raise WhipError(0, f"{url} is no http or https URL")
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - checked above
    if content_type:
        request.add_header("Content-Type", content_type)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, headers, response.read()
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode(errors="replace")
        raise WhipError(error.code, f"{method} {url} was answered {error.code}: {text}") from error
    except (OSError, http.client.HTTPException) as error:
        raise WhipError(0, f"{method} {url} failed: {error!r}") from error
