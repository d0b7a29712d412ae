"""ZEGO's request signature (sections 1.2 and 1.3): who asks, and whether it is theirs. Holds no apps."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

from reelroom.dialects.zego import errors

VALID_S = 600  # either way from the server's time
GOOD_NS = 2 * VALID_S * 10**9  # one may come from the future, and is then good for twice as long
VERSION = "2.0"
_APP_ID = re.compile(r"[0-9]{1,10}")
_INT64 = re.compile(r"-?[0-9]{1,19}")


class Signed(NamedTuple):
    """What of a query the signature is about, as it was sent."""

    app_id: str
    nonce: str
    timestamp: str
    signature: str

    @property
    def app(self) -> str:
        """The number as apps have it."""
        return str(int(self.app_id))


def app_id(query: Mapping[str, str]) -> str:
    """ZegoError 100000001 unless it is an unsigned 32-bit number."""
    given = query.get("AppId", "")
    if not _APP_ID.fullmatch(given) or int(given) >= 2**32:
        raise errors.bad_app_id()
    return given


def signed(query: Mapping[str, str]) -> Signed:
    """The common parameters, all of them there and of the right form, in the order of section 1.5."""
    app = app_id(query)
    timestamp = query.get("Timestamp", "")
    if not timestamp:
        raise errors.no_timestamp()
    if not _INT64.fullmatch(timestamp):
        raise errors.bad_timestamp()
    nonce = query.get("SignatureNonce", "")
    if not nonce:
        raise errors.no_nonce()
    version = query.get("SignatureVersion", "")
    if not version:
        raise errors.no_signature_version()
    if version != VERSION:
        raise errors.bad_signature_version()
    signature = query.get("Signature", "")
    if not signature:
        raise errors.no_signature()
    return Signed(app, nonce, timestamp, signature)


def sign(app_id: str, nonce: str, secret: str, timestamp: str) -> str:
    """MD5 of the four, the secret in the third place, in lower-case hex."""
    return hashlib.md5(f"{app_id}{nonce}{secret}{timestamp}".encode(), usedforsecurity=False).hexdigest()


def check(given: Signed, secret: str, now_s: int) -> None:
    """ZegoError 100000004 when it is too old or too new, 100000005 when it is not made with `secret`."""
    if abs(now_s - int(given.timestamp)) > VALID_S:
        raise errors.expired()
    wanted = sign(given.app_id, given.nonce, secret, given.timestamp)
    if not secret or not hmac.compare_digest(wanted.encode(), given.signature.encode()):
        raise errors.wrong_signature()
