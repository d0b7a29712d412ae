"""Both signatures of Alibaba Cloud's APIs: V1 (HMAC-SHA1 over parameters) and V3 (ACS3-HMAC-SHA256 over the request).

Sections 1.4 to 1.7. What is on the wire is decoded once and encoded again, for clients differ in what they escape.
Holds no apps, and remembers no request: `dialects/once.py` does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from calendar import timegm
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import strptime
from urllib.parse import parse_qsl, quote

from reelroom.dialects.aliyun import errors
from reelroom.dialects.dispatch import FORM, MAX_FIELDS, Call

SKEW_S = 15 * 60
GOOD_NS = 2 * SKEW_S * 10**9  # one may come from the future, and is then in time for twice as long
MAX_NONCE = 128  # characters
V3_METHOD = "ACS3-HMAC-SHA256"
_CREDENTIAL = re.compile(r"(ACS3-[A-Z0-9-]+)\s+(.*)", re.DOTALL)
#: What must be signed of a V3 request: the rest of the call is in the canonical request anyway.
_NEEDED = frozenset({"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"})
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

Pairs = list[tuple[str, str]]


def encode(text: str) -> str:
    """RFC 3986: everything but unreserved characters as %XX of its UTF-8."""
    return quote(text, safe="-_.~", errors="surrogatepass")


def canonical(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs))


def pairs(call: Call) -> Pairs:
    """All parameters of query and form body, blank ones too; [] when there are more than any call has."""
    try:
        found = _decoded(call.query_string)
        if call.content_type == FORM:
            found += _decoded(call.body)
    except ValueError:
        return []
    return found


def _decoded(raw: bytes) -> Pairs:
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)


def v1_string_to_sign(method: str, parameters: Iterable[tuple[str, str]]) -> str:
    """`parameters`: of query and form, the signature among them or not."""
    signed = canonical((name, value) for name, value in parameters if name != "Signature")
    return f"{method}&{encode('/')}&{encode(signed)}"


def v1_signature(secret: str, string_to_sign: str) -> str:
    digest = hmac.new(f"{secret}&".encode(), string_to_sign.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def v3_string_to_sign(method: str, query: bytes, headers: Mapping[str, str], signed_headers: str, body: bytes) -> str:
    """`headers` by lower-case name; `signed_headers` as the client lists them."""
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed_headers.split(";"))
    digest = hashlib.sha256(body).hexdigest()
    request = "\n".join([method, "/", canonical(_decoded(query)), lines, signed_headers, digest])
    return f"{V3_METHOD}\n{hashlib.sha256(request.encode('utf-8', 'surrogateescape')).hexdigest()}"


def v3_signature(secret: str, string_to_sign: str) -> str:
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says of itself, before anybody has looked whether its signature is right."""

    key_id: str
    nonce: str
    timestamp_s: int
    string_to_sign: str
    signature: str
    token: str  # of temporary (STS) credentials; "": none
    v3: bool

    def matches(self, secret: str) -> bool:
        """In constant time."""
        expected = (v3_signature if self.v3 else v1_signature)(secret, self.string_to_sign)
        return hmac.compare_digest(expected.encode(), self.signature.encode())


def is_v3(call: Call) -> bool:
    return call.headers.get("authorization", "").startswith("ACS3-")


def read(call: Call, now_s: float) -> Signed:
    """Who says to have signed `call`, and what. AliyunError for what is missing, malformed or out of date."""
    signed = _read_v3(call) if is_v3(call) else _read_v1(call)
    if abs(now_s - signed.timestamp_s) > SKEW_S:
        raise errors.expired()
    return signed


def _read_v1(call: Call) -> Signed:
    given = call.parameters
    for name in ("AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Signature"):
        if not given.get(name):
            raise errors.missing(name)
    if given["SignatureMethod"].upper() != "HMAC-SHA1" or given.get("SignatureType"):
        raise errors.bad_method(given.get("SignatureType") or given["SignatureMethod"])
    if given["SignatureVersion"] != "1.0":
        raise errors.incomplete("SignatureVersion must be 1.0")
    return Signed(
        key_id=given["AccessKeyId"],
        nonce=_nonce(given["SignatureNonce"]),
        timestamp_s=_seconds(given["Timestamp"]),
        string_to_sign=v1_string_to_sign(call.method, pairs(call)),
        signature=given["Signature"],
        token=given.get("SecurityToken", ""),
        v3=False,
    )


def _read_v3(call: Call) -> Signed:
    found = _CREDENTIAL.fullmatch(call.headers["authorization"])
    if found is None:
        raise errors.incomplete("Authorization must be an algorithm, Credential, SignedHeaders and Signature")
    if found[1] != V3_METHOD:
        raise errors.bad_method(found[1])
    parts = dict(part.strip().partition("=")[::2] for part in found[2].split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise errors.incomplete(f"Authorization has no {name}")
    headers = {name.lower(): value for name, value in call.headers.items()}
    for name in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"):
        if not headers.get(name):
            raise errors.missing(name)
    names = frozenset(parts["SignedHeaders"].split(";"))
    if unsigned := _NEEDED - names:
        raise errors.incomplete(f"SignedHeaders must name {min(unsigned)}")
    if headers.get("x-acs-bearer-token"):
        raise errors.unsupported("bearer tokens; sign with the app's AccessKey")
    digest = headers.get("x-acs-content-sha256")
    if digest is not None and digest.lower() != hashlib.sha256(call.body).hexdigest():
        raise errors.incomplete("x-acs-content-sha256 is not the body's")
    try:
        string_to_sign = v3_string_to_sign(call.method, call.query_string, headers, parts["SignedHeaders"], call.body)
    except ValueError:
        raise errors.incomplete("the query has more parameters than any call") from None
    return Signed(
        key_id=parts["Credential"],
        nonce=_nonce(headers["x-acs-signature-nonce"]),
        timestamp_s=_seconds(headers["x-acs-date"]),
        string_to_sign=string_to_sign,
        signature=parts["Signature"],
        token=headers.get("x-acs-security-token", ""),
        v3=True,
    )


def _nonce(text: str) -> str:
    if len(text) > MAX_NONCE:
        raise errors.incomplete(f"a nonce has at most {MAX_NONCE} characters")
    return text


def _seconds(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text):
        raise errors.bad_timestamp()
    try:
        return timegm(strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise errors.bad_timestamp() from None
