"""What the tests of mixed recordings share: a mixed call, its panes, and where in each a bar code lies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

from reelroom.demo.barcode import Rect
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Fit, Layout
from reelroom.record.verify import verify
from tests.judge import Verdict, ffmpeg_says, judge, luma
from tests.live.calls import Call

#: Small, so that a loaded machine keeps up.
CANVAS = (640, 360)
MIX: dict[str, Any] = {
    "width": CANVAS[0],
    "height": CANVAS[1],
    "fps": 30,
    "video_bitrate": 1_200_000,
    "scene": {"layout": {"fit": "fit"}},  # so that whole bar codes are seen
}
LAYOUT = Layout(fit=Fit.FIT)


def start_mixed(people: Call, *, mix: Mapping[str, Any] | None = None, **body: Any) -> str:
    """A mixed recording of the call's room."""
    return people.start(mode="mixed", mix={**MIX, **(mix or {})}, **body)


async def end_mixed(people: Call, recording: str, folder: Path) -> tuple[dict[str, Any], dict[str, list[Path]]]:
    """Stop, and what the files of any mixed recording must be: FFmpeg and the journal have nothing to complain of."""
    await people.stop(recording)
    await people.end()
    files = await asyncio.to_thread(people.fetch, recording, folder)
    for paths in files.values():
        for path in paths:
            assert ffmpeg_says(path, uneven=True) == "", path
    assert verify(people.server.data / "recordings" / recording).problems == []
    return people.timeline(recording), files


def panes(identities: list[str], layout: Layout = LAYOUT, canvas: tuple[int, int] = CANVAS) -> dict[str, Pane]:
    """Where each stands when all of them send pictures."""
    there = [Person(identity, "camera", order, True) for order, identity in enumerate(identities)]
    return {pane.identity: pane for pane in arrange(layout, *canvas, there, 0)}


def whole(pane: Pane, size: tuple[int, int] = (320, 180)) -> Rect:
    """Where in the canvas all of a picture of that size would lie, with what is cropped off."""
    width, height = size
    scales = (pane.width / width, pane.height / height)
    if pane.fit is Fit.STRETCH:
        return pane.x, pane.y, pane.width, pane.height
    scale = max(scales) if pane.fit is Fit.CROP else min(scales)
    width, height = width * scale, height * scale
    return pane.x + (pane.width - width) / 2, pane.y + (pane.height - height) / 2, width, height


def brightness(path: Path, x: int, y: int) -> list[tuple[float, float]]:
    """Time and mean luma of the 8 × 8 pixels from there, picture by picture."""
    return brightnesses(path, (x, y))[0]


def brightnesses(path: Path, *places: tuple[int, int]) -> list[list[tuple[float, float]]]:
    """The same of several places, for the price of one."""
    found: list[list[tuple[float, float]]] = [[] for _ in places]
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            at_s, light = float(frame.pts * frame.time_base), luma(frame)
            for spot, (x, y) in zip(found, places, strict=True):
                spot.append((at_s, float(light[y : y + 8, x : x + 8].mean())))
    return found


def judge_pane(path: Path, pane: Pane, participant: int, size: tuple[int, int] = (320, 180), **more: Any) -> Verdict:
    """One participant's picture in the mix against their own beeps in it."""
    return judge(path, participant=participant, rect=whole(pane, size), **more)
