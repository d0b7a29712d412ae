"""ICE-lite (RFC 8445 §2.5): answers a full agent's connectivity checks. Holds no socket and sends no checks."""

from __future__ import annotations

import hmac
import secrets
import struct
from dataclasses import dataclass

from aioice import stun

Address = tuple[str, int]

MAX_STUN_BYTES = 1280
_COOKIE = b"\x21\x12\xa4\x42"
_USERNAME = 0x0006
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def random_text(length: int) -> str:
    """An ice-char string (RFC 8839 §5.4) from the system's random source."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def looks_like_stun(data: bytes) -> bool:
    """True when the first bytes can be a STUN message (RFC 7983 §7, RFC 8489 §5)."""
    return 20 <= len(data) <= MAX_STUN_BYTES and data[0] < 4 and data[4:8] == _COOKIE


def local_ufrag_of(data: bytes) -> str | None:
    """The receiver's half of USERNAME in a binding request, found without parsing the rest; None if absent."""
    if data[:2] != b"\x00\x01" or 20 + int.from_bytes(data[2:4], "big") != len(data):
        return None
    position = 20
    while position + 4 <= len(data):
        kind = int.from_bytes(data[position : position + 2], "big")
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if kind == _USERNAME:
            name = data[position + 4 : position + 4 + length]
            if length > 513 or len(name) != length:
                return None
            return name.partition(b":")[0].decode("ascii", "replace")
        position += 4 + length + (-length % 4)
    return None


@dataclass(slots=True)
class Check:
    """What an accepted or answered connectivity check means for the caller."""

    response: bytes
    accepted: bool
    nominated: bool = False


class IceLite:
    """One session's credentials. `handle` is pure: the caller keeps the addresses that were accepted."""

    __slots__ = ("password", "remote_ufrag", "ufrag")

    def __init__(self, remote_ufrag: str) -> None:
        self.ufrag = random_text(8)
        self.password = random_text(24)
        self.remote_ufrag = remote_ufrag

    def handle(self, data: bytes, source: Address) -> Check | None:
        """Answer one binding request (RFC 8445 §7.3); None when it is not an authentic one and must be dropped."""
        try:
            request = stun.parse_message(data)
        except (ValueError, IndexError, struct.error):
            return None
        if request.message_method != stun.Method.BINDING or request.message_class != stun.Class.REQUEST:
            return None
        key = self.password.encode()
        username = str(request.attributes.get("USERNAME", ""))
        expected = f"{self.ufrag}:{self.remote_ufrag}"
        if not hmac.compare_digest(username.encode(), expected.encode()):
            return None
        if not request.check_message_integrity(key):
            return None
        if "ICE-CONTROLLED" in request.attributes:
            # Two lite or confused agents: we are always controlled (RFC 8445 §7.3.1.1).
            return Check(self._reply(request, stun.Class.ERROR, key, {"ERROR-CODE": (487, "Role Conflict")}), False)
        response = self._reply(request, stun.Class.RESPONSE, key, {"XOR-MAPPED-ADDRESS": source[:2]})
        return Check(response, True, "USE-CANDIDATE" in request.attributes)

    def _reply(self, request: stun.Message, kind: stun.Class, key: bytes, attributes: dict[str, object]) -> bytes:
        message = stun.Message(stun.Method.BINDING, kind, request.transaction_id, dict(attributes))
        message.add_message_integrity(key)
        return bytes(message)
