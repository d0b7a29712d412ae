"""Basic authentication of Agora's API (section 1.2): whose credentials these are. Holds no apps and no HTTP."""

from __future__ import annotations

import base64
import binascii
import hmac

from reelroom.dialects.agora import errors


def basic(header: str | None) -> tuple[str, str]:
    """Customer id and secret of an Authorization header; GatewayError 401 in the gateway's two wordings."""
    if not header:
        raise errors.no_credentials()
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise errors.no_credentials()
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise errors.wrong_credentials() from None
    customer, colon, secret = decoded.partition(":")
    if not colon:
        raise errors.wrong_credentials()
    return customer, secret


def matches(given: tuple[str, str], secrets: dict[str, str] | None) -> bool:
    """Whether `given` is the customer id and secret in an app's Agora secrets; in constant time."""
    if not secrets or not secrets.get("customer_id") or not secrets.get("customer_secret"):
        return False
    same_id = hmac.compare_digest(given[0].encode(), secrets["customer_id"].encode())
    same_secret = hmac.compare_digest(given[1].encode(), secrets["customer_secret"].encode())
    return same_id and same_secret
