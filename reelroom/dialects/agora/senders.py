"""From which addresses notifications come, for the receivers' firewalls (section 2.7). Sends none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aioice.ice import get_host_addresses

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - to tell that it is bound so


def addresses(announced: Sequence[str], bound: Sequence[str]) -> list[str]:
    """What this machine is known by: the addresses that it announces, else those it is bound to or has."""
    if announced:
        return list(dict.fromkeys(announced))
    found = [host for host in bound if host not in _EVERYWHERE]
    for wildcard in _EVERYWHERE:
        if wildcard in bound:
            found += get_host_addresses(use_ipv4=":" not in wildcard, use_ipv6=":" in wildcard)
    return list(dict.fromkeys(found))


def answer(hosts: Sequence[str]) -> dict[str, Any]:
    return {"data": {"service": {"hosts": [{"primaryIP": host} for host in hosts]}}}
