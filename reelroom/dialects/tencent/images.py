"""Event 309: images that a scene was to show and does not, because they could not be had. Fetches none."""

from __future__ import annotations

import time
from collections.abc import Mapping

from reelroom.control.context import Context
from reelroom.control.images import ImageSource
from reelroom.deliver.outbox import add_events
from reelroom.domain import events
from reelroom.domain.events import Draft
from reelroom.domain.scene import Scene


async def tell_missing(
    context: Context, task: str, wanted: Scene, shown: Scene, images: Mapping[str, ImageSource]
) -> None:
    """An event for each image of `wanted` that is not in `shown`."""
    urls = _missing(wanted, shown, images) if images else []
    if not urls:
        return
    now = time.time_ns()
    drafts = [Draft(events.IMAGE_MISSING, now, {"url": url}, f"image {now} {url}") for url in urls]
    async with context.database.transaction() as session:
        await session.run_sync(lambda sync: add_events(sync.connection(), task, drafts))
    context.changes.notify(task)
    context.callbacks.poke(task)


def _missing(wanted: Scene, got: Scene, images: Mapping[str, ImageSource]) -> list[str]:
    """URLs of what a scene was to show and does not."""
    pairs = [(wanted.background.image, got.background.image), (wanted.placeholder.image, got.placeholder.image)]
    for pane, had in zip(wanted.layout.panes, got.layout.panes, strict=True):
        if pane.placeholder is not None:
            pairs.append((pane.placeholder.image, had.placeholder.image if had.placeholder else ""))
    urls = {images[name].url for name, there in pairs if name and not there}
    marks = [mark.image for mark in wanted.watermarks if mark.image]
    if len(marks) != sum(bool(mark.image) for mark in got.watermarks):
        # Which of them is told by what is left: they keep their order and places.
        left = [(mark.x, mark.y, mark.width, mark.height) for mark in got.watermarks if mark.image]
        for mark in wanted.watermarks:
            place = (mark.x, mark.y, mark.width, mark.height)
            if mark.image and place in left:
                left.remove(place)
            elif mark.image:
                urls.add(images[mark.image].url)
    return sorted(urls)
