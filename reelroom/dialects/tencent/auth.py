"""Signatures of Tencent's API: TC3-HMAC-SHA256 and the older HmacSHA1/HmacSHA256 (sections 1.3, 1.4).

Says whose a request is and checks it; knows no apps, and remembers no request: `replays.py` does.

The vendor's clients disagree in small things, and all are to be believed: Node signs the host without its port and
the URL's own path, Java takes the first label of the host for the service.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reelroom.dialects.dispatch import Call
from reelroom.dialects.tencent import errors

SKEW_S = 300  # how far a request's time may be off

_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<id>[^/,\s]{1,128})/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[^/,]{1,128})/tc3_request,"
    r"\s*SignedHeaders=(?P<headers>[!-+\--~]{1,1024}),\s*Signature=(?P<signature>[0-9a-fA-F]{64})\s*"
)
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_NONCE = re.compile(r"[0-9]{1,20}")  # the clients take up to 63 bits
_UNSIGNED = "UNSIGNED-PAYLOAD"
#: Of the older signature: what is no parameter of the action.
COMMON = frozenset(
    {"Action", "RequestClient", "Nonce", "Timestamp", "Version", "Region", "SecretId", "Token", "Language"}
    | {"SignatureMethod", "Signature"}
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request: who says to have made it, and everything that its signature may have been made of."""

    secret_id: str
    signature: str
    timestamp_s: int
    token: str  # of temporary credentials; "": none
    once: str  # names this one request among those of the same second
    _candidates: tuple[str, ...]  # what may have been signed
    _tc3: tuple[str, str] | None  # date and service; None: the older signature
    _algorithm: str = "sha256"

    def matches(self, secret_key: str) -> bool:
        """Whether `secret_key` made the signature; in constant time."""
        key = secret_key.encode() if self._tc3 is None else tc3_key(secret_key, *self._tc3)
        found = False
        for text in self._candidates:
            digest = hmac.new(key, text.encode("utf-8", "surrogateescape"), self._algorithm).digest()
            made = digest.hex().encode() if self._tc3 else base64.b64encode(digest)
            found |= hmac.compare_digest(made, self.signature.encode())
        return found


def tc3_key(secret_key: str, date: str, service: str) -> bytes:
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signed(call: Call, now_s: float) -> Signed:
    """The signature of a request, its time checked. TencentError when there is none that could be right."""
    if "authorization" in call.headers or "x-tc-action" in call.headers:
        return _tc3(call, now_s)
    return _legacy(call, now_s)


def _check_time(text: str, now_s: float) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise errors.no_signature("the timestamp must be Unix seconds")
    timestamp = int(text)
    if abs(now_s - timestamp) > SKEW_S:
        raise errors.signature_expired(f"the timestamp {timestamp} is more than {SKEW_S // 60} minutes off")
    return timestamp


def _tc3(call: Call, now_s: float) -> Signed:
    found = _AUTHORIZATION.fullmatch(call.headers.get("authorization", ""))
    if found is None:
        raise errors.no_signature("Authorization must be TC3-HMAC-SHA256 with Credential, SignedHeaders, Signature")
    stamp = call.headers.get("x-tc-timestamp", "")
    timestamp = _check_time(stamp, now_s)
    if datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d") != found["date"]:
        raise errors.no_signature("the date in Credential must be that of X-TC-Timestamp, in UTC")
    names = [name.lower() for name in found["headers"].split(";")]
    if "host" not in names or "content-type" not in names or any(name not in call.headers for name in names):
        raise errors.no_signature("SignedHeaders must name content-type, host and only headers that are sent")
    return Signed(
        secret_id=found["id"],
        signature=found["signature"].lower(),
        timestamp_s=timestamp,
        token=call.headers.get("x-tc-token", ""),
        once=call.headers.get("x-tc-traceid", "")[:128],
        _candidates=_to_sign(call, stamp, found, names),
        _tc3=(found["date"], found["service"]),
    )


def _to_sign(call: Call, stamp: str, found: re.Match[str], names: list[str]) -> tuple[str, ...]:
    """Every text that the vendor's clients would have signed for this request."""
    body = b"" if call.method == "GET" else call.body
    if call.headers.get("x-tc-content-sha256") == _UNSIGNED:
        body = _UNSIGNED.encode()
    payload = hashlib.sha256(body).hexdigest()
    query = call.query_string.decode("latin-1") if call.method == "GET" else ""
    made: dict[str, None] = {}
    paths = dict.fromkeys(("/", call.path))
    for path, lower, port in itertools.product(paths, (True, False), (True, False)):
        lines = []
        for name in names:
            value = call.headers[name].strip()
            if name == "host" and not port:
                value = re.sub(r":[0-9]+\Z", "", value)
            lines.append(f"{name}:{value.lower() if lower else value}\n")
        head = f"{call.method}\n{path}\n{query}\n{''.join(lines)}\n{found['headers']}\n{payload}"
        digest = hashlib.sha256(head.encode("utf-8", "surrogateescape")).hexdigest()
        made[f"TC3-HMAC-SHA256\n{stamp}\n{found['date']}/{found['service']}/tc3_request\n{digest}"] = None
    return tuple(made)


def _legacy(call: Call, now_s: float) -> Signed:
    given = call.form if call.method == "POST" and call.form else call.query
    if not given.get("Signature") or not given.get("SecretId"):
        raise errors.no_signature("it has neither Authorization nor SecretId and Signature")
    method = given.get("SignatureMethod", "HmacSHA1")
    if method not in ("HmacSHA1", "HmacSHA256"):
        raise errors.no_signature(f"SignatureMethod must be HmacSHA1 or HmacSHA256, not {method[:40]!r}")
    if not _NONCE.fullmatch(given.get("Nonce", "")):
        raise errors.no_signature("Nonce must be a positive number")
    host = call.headers.get("host", "")
    return Signed(
        secret_id=given["SecretId"],
        signature=given["Signature"],
        timestamp_s=_check_time(given.get("Timestamp", ""), now_s),
        token=given.get("Token", ""),
        once=given["Nonce"],
        _candidates=tuple(dict.fromkeys(legacy_source(call.method, host, given, path) for path in ("/", call.path))),
        _tc3=None,
        _algorithm="sha256" if method == "HmacSHA256" else "sha1",
    )


def legacy_source(method: str, host: str, given: Mapping[str, str], path: str = "/") -> str:
    """What the older signature is made of: all parameters but itself, sorted, not encoded."""
    named = {name.replace("_", "."): value for name, value in given.items() if name != "Signature"}
    return f"{method}{host}{path}?" + "&".join(f"{name}={named[name]}" for name in sorted(named))
