"""What an ingest process's timers do to participants, in made-up time and without sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelroom.rooms import protocol
from reelroom.rooms.ingest import Ingest, IngestConfig
from reelroom.rtc.sdp import parse_offer
from tests.rtcpeer import MS, Link, Outgoing, S, World, certificate, offer_text


class Place:
    """An ingest process with one participant, ann."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, silent_s: float) -> None:
        self.world = World()
        self.ingest = Ingest(
            IngestConfig(0, Path("no.sock"), ["127.0.0.1"], 0, announce=["127.0.0.1"], silent_s=silent_s)
        )
        monkeypatch.setattr(self.ingest, "clock", lambda: self.world.now_ns)
        monkeypatch.setattr(self.ingest, "certificate", certificate("peer"))
        monkeypatch.setattr(self.ingest.udp, "send", lambda data, to: self.link.from_peer(data, to))
        offer = offer_text()
        params = {"app": "a", "room": "r", "identity": "ann", "sdp": offer}
        reply = self.ingest._requests.answer(protocol.Request(id=1, method="whip.create", params=params))
        assert not reply.error
        (session,) = self.ingest.rooms["a", "r"].sessions.values()
        assert session.peer is not None
        self.link = Link(self.world, session.peer, parse_offer(offer))
        self._tick()
        self.link.connect()

    def _tick(self) -> None:
        self.ingest._after_batch(self.world.now_ns)
        self.world.at(self.world.now_ns + 50 * MS, self._tick)

    def talk(self, seconds: int) -> None:
        voice = self.link.add(Outgoing(500, "a", 111, 48000))
        for _ in range(50 * seconds):
            self.link.send_frame(voice, [b"opus"], 960)
            self.world.run(20 * MS)

    @property
    def there(self) -> list[str]:
        rooms = self.ingest.rooms.values()
        return [session.identity for room in rooms for session in room.sessions.values()]


@pytest.mark.parametrize("silent_s", [5.0, 30.0])
def test_who_is_silent_for_so_long_as_was_set_leaves_and_the_room_goes(
    silent_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(monkeypatch, silent_s)
    place.talk(2)
    place.world.run(int(silent_s * S) - 500 * MS)
    assert place.there == ["ann"]
    place.world.run(1 * S)
    assert place.there == []
    place.world.run(40 * S)  # what recorders may still ask for is kept for a while
    assert place.ingest.rooms == {}


def test_who_is_muted_but_still_checks_the_path_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(monkeypatch, 5.0)
    place.talk(2)
    for _ in range(10):
        place.link.check()
        place.world.run(4 * S)
    assert place.there == ["ann"]
