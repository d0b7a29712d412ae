"""`python -m reelroom.rooms --index I`: one ingest process under `reelroom serve`. Holds no rooms itself."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal

import uvloop

from reelroom.config import inherited
from reelroom.logs import setup
from reelroom.rooms.ingest import Ingest, IngestConfig


async def _main(config: IngestConfig) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = os.environ.get("REELROOM_PARENT_FD")
    if parent is not None:  # EOF: the supervisor is gone
        loop.add_reader(int(parent), stop.set)
    ingest = Ingest(config)
    ingest.start(loop)
    # What is alive now lives as long as the process: keep the collector from walking it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # rings hold tens of thousands of frames, none of them in a cycle
    try:
        await ingest.run(stop)
    finally:
        ingest.close(loop)


def main() -> None:
    parser = argparse.ArgumentParser(prog="reelroom.rooms")
    parser.add_argument("--index", type=int, default=0)
    index = parser.parse_args().index
    settings = inherited()
    setup(f"ingest-{index}", settings.log_level, settings.log_format)
    config = IngestConfig(
        index=index,
        socket=settings.run / f"ingest-{index}.sock",
        hosts=settings.rtc_host,
        port=settings.rtc_port + index if settings.rtc_port else 0,
        announce=settings.rtc_announce,
        ring_s=settings.ring_s,
        ring_bytes=settings.ring_bytes,
        silent_s=settings.silent_s,
        video_orientation=settings.video_orientation,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(config))


if __name__ == "__main__":
    main()
