"""Which addresses an ingest process offers in its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelroom.rooms import protocol
from reelroom.rooms.ingest import Ingest, IngestConfig
from tests.rtcpeer import offer_text


@pytest.mark.parametrize(
    ("hosts", "announce", "offered"),
    [
        (["127.0.0.1", "::1"], [], ["127.0.0.1", "::1"]),
        (["0.0.0.0", "::"], ["203.0.113.5", "2001:db8::5"], ["203.0.113.5", "2001:db8::5"]),
    ],
    ids=["bound", "announced"],
)
def test_candidates_are_the_announced_addresses_else_those_bound(
    hosts: list[str], announce: list[str], offered: list[str]
) -> None:
    ingest = Ingest(IngestConfig(0, Path("no.sock"), hosts, 7900, announce))
    ingest.udp.port = 7900
    params = {"app": "a", "room": "r", "identity": "ann", "sdp": offer_text(video=False)}
    reply = ingest._requests.answer(protocol.Request(id=1, method="whip.create", params=params))
    lines = reply.result["sdp"].splitlines()
    candidates = [line.split()[4:6] for line in lines if line.startswith("a=candidate:")]
    assert candidates == [[address, "7900"] for address in offered]
