"""UserSig (TLSSigAPIv2, section 1.7): the ticket of one user of an SdkAppId. Made here for tests and tools, too."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
import zlib

_SKEW_S = 300
_MAX = 8192  # bytes inflated


def _text(identifier: str, sdk_app_id: int, at_s: int, expire_s: int, userbuf: str) -> bytes:
    lines = [f"TLS.identifier:{identifier}", f"TLS.sdkappid:{sdk_app_id}", f"TLS.time:{at_s}", f"TLS.expire:{expire_s}"]
    if userbuf:
        lines.append(f"TLS.userbuf:{userbuf}")
    return "".join(f"{line}\n" for line in lines).encode()


def make(key: str, sdk_app_id: int, identifier: str, expire_s: int = 86_400, now_s: int | None = None) -> str:
    """A ticket signed with the SDK's secret key."""
    at_s = int(time.time()) if now_s is None else now_s
    digest = hmac.new(key.encode(), _text(identifier, sdk_app_id, at_s, expire_s, ""), hashlib.sha256).digest()
    said = {
        "TLS.ver": "2.0",
        "TLS.identifier": identifier,
        "TLS.sdkappid": sdk_app_id,
        "TLS.expire": expire_s,
        "TLS.time": at_s,
        "TLS.sig": base64.b64encode(digest).decode(),
    }
    packed = base64.b64encode(zlib.compress(json.dumps(said).encode())).decode()
    return packed.translate(str.maketrans("+/=", "*-_"))


def check(ticket: str, key: str, sdk_app_id: int, identifier: str, now_s: float) -> None:
    """ValueError, saying why, unless the ticket is `identifier`'s and is valid now."""
    try:
        packed = base64.b64decode(ticket.translate(str.maketrans("*-_", "+/=")) + "==")
        said = json.loads(zlib.decompressobj().decompress(packed, _MAX))
        at_s, expire_s = int(said["TLS.time"]), int(said["TLS.expire"])
        given, userbuf = str(said["TLS.sig"]), str(said.get("TLS.userbuf", ""))
        named = str(said["TLS.identifier"]), int(said["TLS.sdkappid"]), str(said["TLS.ver"])
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error, RecursionError):
        raise ValueError("it cannot be read") from None
    if named != (identifier, sdk_app_id, "2.0"):
        raise ValueError("it is another user's, another SdkAppId's or of another version")
    digest = hmac.new(key.encode(), _text(identifier, sdk_app_id, at_s, expire_s, userbuf), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), given.encode()):
        raise ValueError("its signature is wrong")
    if at_s > now_s + _SKEW_S:
        raise ValueError("it is of the future")
    if now_s >= at_s + expire_s:
        raise ValueError("it has expired")
