"""Who is in the room, with lines for the journal when that changes. Knows no tracks."""

from __future__ import annotations

from reelroom.domain import lines
from reelroom.record.worker import Worker
from reelroom.rooms import protocol


class Presence:
    """The sessions of participants, over connections to the ingest that break and come back."""

    def __init__(self, worker: Worker) -> None:
        self.present: set[tuple[str, str]] = set()  # (identity, session)
        self._told: set[tuple[str, str]] = set()  # on this connection
        self._worker = worker

    def hello(self) -> None:
        """A connection begins: it tells of everybody who is there."""
        self._told.clear()

    def message(self, message: protocol.Participant) -> None:
        """Somebody came or went, or was there before."""
        who = (message.identity, message.session)
        self._told.add(who)
        if (who in self.present) == message.joined:
            return
        (self.present.add if message.joined else self.present.discard)(who)
        self._worker.lines(
            [
                lines.Participant(
                    identity=message.identity,
                    session=message.session,
                    at_ns=message.room_ns,
                    joined=message.joined,
                    reason=message.reason,
                )
            ]
        )

    def caught_up(self, room_ns: int) -> None:
        """Everybody has been told of: the others left while nobody listened."""
        self._gone(self.present - self._told, room_ns, "left")

    def ingest_died(self, room_ns: int) -> None:
        """And with it every session."""
        self._gone(self.present, room_ns, "ingest_stopped")

    def _gone(self, who: set[tuple[str, str]], room_ns: int, reason: str) -> None:
        for identity, session in sorted(who):
            self.message(
                protocol.Participant(identity=identity, session=session, room_ns=room_ns, joined=False, reason=reason)
            )
