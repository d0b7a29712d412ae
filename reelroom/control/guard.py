"""Which addresses outgoing requests may go to (callbacks, storage endpoints). Sends nothing itself."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from reelroom.control.errors import ControlError

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are the IPv4 address that is reached
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_URL = 2048


class Unresolved(ControlError):
    """The host has no address now: a typing error, or a name server that is away."""


def refusal(address: Address, allow_private: bool) -> str:
    """Why a request must not go to `address`; empty when it may."""
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is None and isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        mapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if mapped is not None:
        return refusal(mapped, allow_private)
    if address.is_link_local:
        return "is link-local (cloud metadata lives there)"  # not even with allow_private
    if address.is_multicast or address.is_unspecified:
        return "is no single host"
    if address.is_loopback or not address.is_global:
        return "" if allow_private else "is loopback or private; set allow_private if that is meant"
    return ""


async def resolve(url: str, allow_private: bool, where: str = "") -> list[str]:
    """The addresses of `url`'s host, every one of which may be called. ControlError("invalid") otherwise.

    A caller that must be safe from DNS that changes between check and use connects to one of these.
    """

    def wrong(message: str) -> ControlError:
        return ControlError("invalid", message, where)

    if len(url) > MAX_URL:
        raise wrong(f"URL longer than {MAX_URL} characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise wrong(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise wrong("must be an http:// or https:// URL with a host")
    if parts.username is not None or parts.password is not None:
        raise wrong("must not carry a user name or password")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved("invalid", f"host {host!r} cannot be resolved", where) from error
    addresses = list(dict.fromkeys(str(info[4][0]).partition("%")[0] for info in found))
    for address in addresses:
        if reason := refusal(ipaddress.ip_address(address), allow_private):
            raise wrong(f"host {host!r}: {address} {reason}")
    return addresses


async def check_url(url: str, allow_private: bool, where: str = "") -> None:
    """ControlError("invalid") unless requests may go to `url`: http(s), all addresses of its host public."""
    await resolve(url, allow_private, where)
