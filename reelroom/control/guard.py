"""Which addresses outgoing requests may go to (callbacks, storage endpoints). Sends nothing itself."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from urllib.parse import urlsplit

from reelroom.control.errors import ControlError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_URL = 2048
RESOLVE_S = 5.0  # name servers that do not answer hold up no call for longer
_URL = re.compile(r"[!-\[\]-~]+")  # of what else there is, readers of URLs make different things

#: The last four bytes are the IPv4 address that is reached: RFC 4291 (compatible), 2765 (translated), 6052 (NAT64).
_EMBEDDING = tuple(ipaddress.IPv6Network(net) for net in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
#: Not for the whole world, though `is_global` of some Python versions says so (RFC 8215, 3879, 6890).
_LOCAL = tuple(ipaddress.ip_network(net) for net in ("64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24"))
#: Clouds' metadata outside the link-local ranges: AWS and Google by IPv6, Alibaba, Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192")
)


class Unresolved(ControlError):
    """The host has no address now: a typing error, or a name server that is away."""


def refusal(address: Address, allow_private: bool) -> str:
    """Why a request must not go to `address`; empty when it may."""
    inner = _embedded(address)
    if inner is not None:
        return refusal(inner, allow_private)
    if address.is_link_local or address in _METADATA:
        return "is link-local or a cloud's metadata"  # not even with allow_private
    if address.is_multicast or address.is_unspecified:
        return "is no single host"
    if address.is_loopback or not address.is_global or any(address in net for net in _LOCAL):
        return "" if allow_private else "is loopback or private; set allow_private if that is meant"
    return ""


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a packet to this IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if inner := address.ipv4_mapped or address.sixtofour:
        return inner
    if int(address) > 1 and any(address in net for net in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


async def resolve(url: str, allow_private: bool, where: str = "") -> list[str]:
    """The addresses of `url`'s host, every one of which may be called. ControlError("invalid") otherwise.

    A caller that must be safe from DNS that changes between check and use connects to one of these.
    """

    def wrong(message: str) -> ControlError:
        return ControlError("invalid", message, where)

    if len(url) > MAX_URL:
        raise wrong(f"URL longer than {MAX_URL} characters")
    if not _URL.fullmatch(url):
        raise wrong("must be a URL of printable ASCII without spaces and backslashes (write others as %XX or xn--)")
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
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise Unresolved("invalid", f"host {host!r} cannot be resolved", where) from error
    addresses = list(dict.fromkeys(str(info[4][0]).partition("%")[0] for info in found))
    for address in addresses:
        if reason := refusal(ipaddress.ip_address(address), allow_private):
            raise wrong(f"host {host!r}: {address} {reason}")
    return addresses


async def check_url(url: str, allow_private: bool, where: str = "") -> None:
    """ControlError("invalid") unless requests may go to `url`: http(s), all addresses of its host public."""
    await resolve(url, allow_private, where)
