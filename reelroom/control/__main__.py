"""The control process: serves HTTP on the socket that the supervisor bound. Started by `reelroom serve`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from reelroom import logs
from reelroom.config import inherited
from reelroom.control.app import make_app
from reelroom.control.context import Context
from reelroom.control.protocol import BoundedHttp
from reelroom.parent import when_parent_ends
from reelroom.store.secrets import SecretError

log = structlog.get_logger("reelroom.control")
GRACE_S = 5  # requests that are under way at the end get so long


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `main` does: uvicorn's own would end the process before the context is closed

    async def main_loop(self) -> None:
        """Once a second, for the Date header; uvicorn's own wakes up ten times to look whether it is to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1.0)


async def main() -> None:
    settings = inherited()
    logs.setup("control", settings.log_level, settings.log_format)
    listener = socket.socket(fileno=int(os.environ["REELROOM_HTTP_FD"]))
    try:
        context = await Context.open(settings)
    except (SecretError, SQLAlchemyError, OSError) as error:
        log.error("cannot start", error=str(error).partition("\n")[0])
        raise SystemExit(1) from error
    app = make_app(context)
    app.openapi()  # once, before anybody waits for it: queries are held against it
    gc.collect()
    gc.freeze()  # 200,000 objects that stay: going through them takes a fifth of a second, in which nobody is answered
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=BoundedHttp,
            ws="none",
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
    )

    def end() -> None:
        server.should_exit = True
        server.ending.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    when_parent_ends(end)
    try:
        await server.serve(sockets=[listener])
    finally:
        await context.close()


if __name__ == "__main__":
    uvloop.run(main())
