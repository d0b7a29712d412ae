"""In which order people came: their places in a mix. Knows no tracks and no pictures."""

from __future__ import annotations

from collections.abc import Iterable

from reelroom.domain.timeline import SECOND

_SEAT_NS = 10 * SECOND  # who is back within so long has their old place


class Seats:
    """Everybody's number in join order; who was away for a moment keeps it. Times are room times."""

    def __init__(self, identities: Iterable[str] = ()) -> None:
        """`identities`: those who were there before, in the order in which they came."""
        self._orders = {identity: index for index, identity in enumerate(identities)}
        self._next = len(self._orders)
        self._left: dict[str, int] = {}  # identity → when the last of its tracks ended

    def take(self, identity: str, at_ns: int) -> None:
        """Somebody is there, or has one more track."""
        left_ns = self._left.pop(identity, None)
        if identity in self._orders and (left_ns is None or at_ns - left_ns < _SEAT_NS):
            return
        self._orders[identity] = self._next
        self._next += 1

    def leave(self, identity: str, at_ns: int) -> None:
        """The last of somebody's tracks has ended."""
        self._left[identity] = at_ns

    def of(self, identity: str) -> int:
        return self._orders.get(identity, 0)
