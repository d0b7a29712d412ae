"""Rectangles that lie over each other: which have to be drawn again when some of them changed. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Rect(NamedTuple):
    """In pixels; of no size: nowhere."""

    x: int
    y: int
    width: int
    height: int

    def meets(self, other: Rect) -> bool:
        """Whether they have a pixel in common."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
            and min(self.width, self.height, other.width, other.height) > 0
        )


class Stack:
    """From back to front, on a background. Who meets whom is worked out once, as it is asked for at every tick."""

    def __init__(self, rects: Sequence[Rect], opaque: Sequence[bool]) -> None:
        """`opaque`: nothing behind that rectangle is seen."""
        self.rects = tuple(rects)
        self.opaque = tuple(opaque)
        self._again: list[list[int]] = []  # for each: what else has to be drawn with it
        for index, rect in enumerate(self.rects):
            meets = [other for other, there in enumerate(self.rects) if other != index and rect.meets(there)]
            self._again.append([other for other in meets if other > index or not self.opaque[index]])

    def spread(self, changed: Iterable[int], before: Stack | None = None) -> tuple[list[int], list[Rect]]:
        """What has to be drawn, from back to front, and where the background has to be restored before that.

        `before`: how those of the same numbers lay when they were drawn last, if not as now.
        """
        changed = set(changed)
        rects = []
        if before is not None:
            # Where something was that has moved or is seen through now, everything is drawn anew.
            for index in list(changed):
                left = before.rects[index]
                if left != self.rects[index]:
                    rects.append(left)
                    changed |= {other for other, there in enumerate(self.rects) if there.meets(left)}
        waiting = list(changed)
        while waiting:
            for other in self._again[waiting.pop()]:
                if other not in changed:
                    changed.add(other)
                    waiting.append(other)
        rects += [self.rects[index] for index in changed if not self.opaque[index] and self.rects[index].width]
        return sorted(changed), rects
