"""Keeps encoders from making this process real-time. Sets no priority of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def same_priority() -> Iterator[None]:
    """Around opening an encoder: the calling thread, and those that were started meanwhile, are scheduled as before.

    SVT-AV1 that root runs makes its threads, and the one that opens it, real-time (SCHED_FIFO, 99), and leaves them
    so: they then take the cores from everything else on the machine.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = set(os.listdir(_THREADS))
    try:
        yield
    finally:
        for thread in (0, *map(int, set(os.listdir(_THREADS)) - before)):
            try:
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)
            except ProcessLookupError:
                continue  # it has ended
