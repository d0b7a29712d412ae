"""Resource ids: what `acquire` hands out and `start` uses once. Holds the sealing, not the table of used ones.

A resource id is a sealed (AES-256-GCM) record of who acquired it and when, in URL-safe base64: acquiring costs no
row in the database, and nobody can make, change or read one. What was started with it is in the database, by `nonce`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reelroom.dialects.agora import errors

VALID_NS = 5 * 60 * 10**9  # from acquire to start (section 7.1)
PURPOSE = "agora resource id"  # of the key, for SecretBox.derive
_MAX_LENGTH = 1024
_PAD_TO = 180  # bytes before sealing: ids of vendor length (200-340 characters), and no length tells the channel's


class Resource(msgspec.Struct, frozen=True, array_like=True):
    """What a resource id says. `issued_ns`: UTC nanoseconds; `expired_hour`: life of the sid for API calls."""

    app: str
    appid: str
    cname: str
    uid: str
    scene: int
    expired_hour: int
    issued_ns: int
    nonce: str  # 32 hex digits; names this acquire
    start_hash: str = ""  # of acquire's startParameter; "": none was given

    def expired(self, now_ns: int) -> bool:
        return now_ns >= self.issued_ns + VALID_NS


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Resource)


class ResourceIds:
    """Seals and opens resource ids with one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._key = key

    def seal(self, resource: Resource) -> str:
        nonce = os.urandom(12)
        body = _encoder.encode(resource)
        body += b"\xc1" * max(0, _PAD_TO - len(body))  # a byte that msgpack never uses
        return base64.urlsafe_b64encode(nonce + self._aead.encrypt(nonce, body, None)).rstrip(b"=").decode()

    def open(self, text: str) -> Resource:
        """ServiceError 1001 for anything that `seal` did not make."""
        if len(text) > _MAX_LENGTH or not text.isascii():
            raise errors.resource_unreadable()
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return _decoder.decode(self._aead.decrypt(raw[:12], raw[12:], None).rstrip(b"\xc1"))
        except (binascii.Error, ValueError, InvalidTag, msgspec.DecodeError):
            raise errors.resource_unreadable() from None

    def start_hash(self, parameters: dict[str, Any]) -> str:
        """A keyed hash of a start request: equal for equal JSON values, whatever the order of keys."""
        canonical = msgspec.json.encode(_canonical(parameters), order="deterministic")
        return hmac.new(self._key, canonical, hashlib.sha256).hexdigest()


def new_nonce() -> str:
    return os.urandom(16).hex()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
