"""Encryption of credentials at rest (Fernet). Holds no database and knows no credential's meaning."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class SecretError(Exception):
    """Sealed bytes that this key cannot open, or a key file that is none."""


class SecretBox:
    """Seals dicts of JSON values. One per process, from DATA/keys/secrets.key."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise SecretError("the secrets key must be 32 url-safe base64-encoded bytes") from error
        self._key = key

    @classmethod
    def load(cls, path: Path) -> SecretBox:
        """The key in `path`; made there, readable by its owner only, when there is none yet."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.touch(mode=0o600)
            part.write_bytes(Fernet.generate_key())
            try:
                os.link(part, path)  # fails if somebody was faster; then theirs is the key
            except FileExistsError:
                pass
            finally:
                part.unlink()
        try:
            return cls(path.read_bytes().strip())
        except SecretError as error:
            raise SecretError(f"{path}: {error}") from error

    def seal(self, value: dict[str, Any]) -> bytes:
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, sealed: bytes) -> dict[str, Any]:
        """SecretError when `sealed` was changed or belongs to another key."""
        try:
            opened = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise SecretError("credentials in the database do not open with keys/secrets.key") from error
        if not isinstance(opened, dict):
            raise SecretError("sealed credentials must be a JSON object")
        return opened

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for another purpose (signed URLs), which says nothing about this one."""
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()


def mask(secret: str) -> str:
    """What may be shown of a secret: that there is one."""
    return "********" if secret else ""
