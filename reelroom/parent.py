"""Noticing that the supervisor has ended, however it did: its end of an inherited pipe is closed then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

VARIABLE = "REELROOM_PARENT_FD"


def when_parent_ends(end: Callable[[], None]) -> None:
    """Call `end` in the running loop once the supervisor is gone. Without one (tests) nothing happens."""
    number = os.environ.get(VARIABLE)
    if not number:
        return
    descriptor = int(number)
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()

    def readable() -> None:
        try:
            ended = os.read(descriptor, 1) == b""
        except BlockingIOError:
            return
        if ended:
            loop.remove_reader(descriptor)
            end()

    loop.add_reader(descriptor, readable)
