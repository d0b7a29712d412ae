"""UserSig and PrivateMapKey (TLSSigAPIv2, section 1.7): tickets of one user of an SdkAppId, and for one room of it.

Made here for tests and tools, too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import struct
import time
import zlib

_SKEW_S = 300
_MAX = 8192  # bytes inflated
RECORDS = 2 | 8 | 32 | 128  # privileges to enter and to receive sound, picture and screen


def _text(identifier: str, sdk_app_id: int, at_s: int, expire_s: int, userbuf: str) -> bytes:
    lines = [f"TLS.identifier:{identifier}", f"TLS.sdkappid:{sdk_app_id}", f"TLS.time:{at_s}", f"TLS.expire:{expire_s}"]
    if userbuf:
        lines.append(f"TLS.userbuf:{userbuf}")
    return "".join(f"{line}\n" for line in lines).encode()


def make(
    key: str, sdk_app_id: int, identifier: str, expire_s: int = 86_400, now_s: int | None = None, userbuf: bytes = b""
) -> str:
    """A ticket signed with the SDK's secret key; with a `userbuf` a PrivateMapKey."""
    at_s = int(time.time()) if now_s is None else now_s
    extra = base64.b64encode(userbuf).decode()
    digest = hmac.new(key.encode(), _text(identifier, sdk_app_id, at_s, expire_s, extra), hashlib.sha256).digest()
    said = {
        **({"TLS.userbuf": extra} if extra else {}),
        "TLS.ver": "2.0",
        "TLS.identifier": identifier,
        "TLS.sdkappid": sdk_app_id,
        "TLS.expire": expire_s,
        "TLS.time": at_s,
        "TLS.sig": base64.b64encode(digest).decode(),
    }
    packed = base64.b64encode(zlib.compress(json.dumps(said).encode())).decode()
    return packed.translate(str.maketrans("+/=", "*-_"))


def userbuf(sdk_app_id: int, identifier: str, room: str, string_room: bool, until_s: int, privileges: int) -> bytes:
    """What a PrivateMapKey says of a room."""
    user, name = identifier.encode(), room.encode()
    made = struct.pack(f">BH{len(user)}s", string_room, len(user), user)
    made += struct.pack(">5I", sdk_app_id, 0 if string_room else int(room), until_s, privileges, 0)
    return made + (struct.pack(f">H{len(name)}s", len(name), name) if string_room else b"")


def check_room(
    ticket: str, key: str, sdk_app_id: int, identifier: str, room: str, string_room: bool, now_s: float
) -> None:
    """ValueError, saying why, unless `ticket` is a PrivateMapKey with which `identifier` may record the room now."""
    said = check(ticket, key, sdk_app_id, identifier, now_s)
    try:
        length = int.from_bytes(said[1:3], "big")
        until_s, privileges = struct.unpack_from(">II", said, 3 + length + 8)
    except struct.error:
        raise ValueError("it says no room") from None
    if said != userbuf(sdk_app_id, identifier, room, string_room, until_s, privileges):
        raise ValueError("it is for another room or user")
    if now_s >= until_s:
        raise ValueError("it has expired")
    if privileges & RECORDS != RECORDS:
        raise ValueError("it does not permit to enter and to receive everything")


def check(ticket: str, key: str, sdk_app_id: int, identifier: str, now_s: float) -> bytes:
    """The userbuf, if there is any; ValueError, saying why, unless the ticket is `identifier`'s and is valid now."""
    try:
        packed = base64.b64decode(ticket.translate(str.maketrans("*-_", "+/=")) + "==")
        said = json.loads(zlib.decompressobj().decompress(packed, _MAX))
        at_s, expire_s = int(said["TLS.time"]), int(said["TLS.expire"])
        given, extra = str(said["TLS.sig"]), str(said.get("TLS.userbuf", ""))
        buffer = base64.b64decode(extra)
        named = str(said["TLS.identifier"]), int(said["TLS.sdkappid"]), str(said["TLS.ver"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, zlib.error, binascii.Error, RecursionError):
        raise ValueError("it cannot be read") from None
    if named != (identifier, sdk_app_id, "2.0"):
        raise ValueError("it is another user's, another SdkAppId's or of another version")
    digest = hmac.new(key.encode(), _text(identifier, sdk_app_id, at_s, expire_s, extra), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), given.encode()):
        raise ValueError("its signature is wrong")
    if at_s > now_s + _SKEW_S:
        raise ValueError("it is of the future")
    if now_s >= at_s + expire_s:
        raise ValueError("it has expired")
    return buffer
