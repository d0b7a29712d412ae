"""DTLS flights that get lost, repaired by `next_timeout_s` and `handle_timeout`. OpenSSL's timers run on real time, a
second for the first retransmission, so all cases wait at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from reelroom.rtc.dtls import DtlsTransport, Role
from tests.rtcpeer import certificate


@dataclass
class Case:
    """An association on whose link the datagrams with these numbers are lost, counted in each direction."""

    name: str
    lost: tuple[set[int], set[int]]  # of client, of server
    ends: list[DtlsTransport] = field(default_factory=list)
    sent: list[int] = field(default_factory=lambda: [0, 0])
    due: list[float | None] = field(default_factory=lambda: [None, None])

    def __post_init__(self) -> None:
        ours, theirs = certificate("peer"), certificate("sender")
        self.ends = [
            DtlsTransport(ours, Role.CLIENT, (theirs.fingerprint,)),
            DtlsTransport(theirs, Role.SERVER, (ours.fingerprint,)),
        ]
        self.ends[0].start()

    def step(self, now: float) -> None:
        moved = True
        while moved:
            moved = False
            for index, end in enumerate(self.ends):
                for datagram in end.take_outgoing():
                    self.sent[index] += 1
                    if self.sent[index] not in self.lost[index]:
                        self.ends[1 - index].receive(datagram)
                        moved = True
        for index, end in enumerate(self.ends):
            due = self.due[index]
            if due is not None and now >= due:
                end.handle_timeout()
            wait = end.next_timeout_s()
            self.due[index] = now + wait if wait is not None else None

    @property
    def done(self) -> bool:
        return all(end.keys is not None for end in self.ends)


def test_every_lost_flight_is_repaired_within_seconds() -> None:
    cases = [Case(f"{who} {n}", ({n}, set()) if who == "client" else (set(), {n}))
             for who in ("client", "server") for n in range(1, 5)]  # fmt: skip
    cases.append(Case("nothing", (set(), set())))
    cases.append(Case("both first", ({1}, {1})))
    began = time.monotonic()
    while not all(case.done for case in cases) and time.monotonic() - began < 6:
        for case in cases:
            case.step(time.monotonic())
        time.sleep(0.01)
    assert [case.name for case in cases if not case.done] == []
    for case in cases:
        client, server = (end.keys for end in case.ends)
        assert client is not None and server is not None and client.send == server.receive
