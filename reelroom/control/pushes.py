"""Where the mix of a recording is pushed to: which addresses are allowed. Sends nothing and keeps no secret."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from urllib.parse import parse_qsl, urlsplit

from reelroom.control.errors import ControlError
from reelroom.control.guard import MAX_URL, RESOLVE_S, Unresolved, refusal
from reelroom.domain.mix import Push

_PORTS = {"rtmp": 1935, "rtmps": 443}  # srt has none of its own
#: Of what libsrt can be told in a URL, as `record/mixed/srt.py` takes it: nothing that listens, binds or reads a file.
_SRT_OPTIONS = {
    "streamid": r".{0,512}",
    "passphrase": r".{10,79}",
    "pbkeylen": "16|24|32",
    "latency": "[0-9]{1,9}",  # microseconds
    "mode": "caller",
    "transtype": "live",
    "pkt_size": "1316",
}


async def check_push(push: Push, allow_private: bool, where: str) -> None:
    """ControlError("invalid") unless the mix may be pushed there. A name that leads elsewhere later is not noticed:
    the library that sends looks it up itself, at each connection (rtmps:// needs the name for its certificate)."""

    def wrong(message: str) -> ControlError:
        return ControlError("invalid", message, where)

    if len(push.url) > MAX_URL:
        raise wrong(f"URL longer than {MAX_URL} characters")
    try:
        parts = urlsplit(push.url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise wrong(f"not a URL: {error}") from error
    if "\\" in push.url or (host and "%" in host):  # readers of URLs make different hosts of these
        raise wrong("must have no backslash, and no % in its host")
    if not host or not port:
        raise wrong(f"{parts.scheme}:// needs a host" + ("" if parts.scheme in _PORTS else " and a port"))
    if parts.scheme == "srt":
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name not in _SRT_OPTIONS:
                raise wrong(f"srt has no option {name[:40]!r} here; there are " + ", ".join(sorted(_SRT_OPTIONS)))
            if not re.fullmatch(_SRT_OPTIONS[name], value, re.DOTALL):
                raise wrong(f"srt's {name} must match {_SRT_OPTIONS[name]}")  # without the value: it may be a secret
    elif parts.path.strip("/") == "":
        raise wrong("needs an application and a stream's name after the host")
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved("invalid", f"host {host!r} cannot be resolved", where) from error
    for info in found:
        address = ipaddress.ip_address(str(info[4][0]).partition("%")[0])
        if reason := refusal(address, allow_private):
            raise wrong(f"host {host!r}: {address} {reason}")
