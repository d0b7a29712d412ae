"""`reelroom token`: mint a room token without a server."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from reelroom.cli import common


def command(
    room: Annotated[str, typer.Option(help='the room; "*": every room of the app')],
    identity: Annotated[str, typer.Option(help="the participant")],
    app: Annotated[str, typer.Option(help="the app whose key signs")] = "dev",
    permission: Annotated[
        list[str] | None, typer.Option(help="publish or watch; may be repeated; default both")
    ] = None,
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="how long it is valid")] = 6 * 3600,
    source: Annotated[str, typer.Option(help="camera or screen: what its video must be")] = "",
    dev: Annotated[bool | None, typer.Option("--dev", help="make the app `dev` if it is not there")] = None,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Print a token (JWT) to publish into or watch a room."""
    from reelroom.control.errors import ControlError
    from reelroom.control.tokens import PERMISSIONS, mint

    settings = common.settings(config, data=data, dev=dev)

    async def run() -> str:
        async with common.opened_apps(settings) as (apps, _, _):
            known = await apps.by_id(app)
            if known is None:
                common.fail(f"no app {app!r} in {settings.data} (see `reelroom app list`)")
            return mint(known, room, identity, tuple(permission or PERMISSIONS), ttl, source)

    try:
        typer.echo(asyncio.run(run()))
    except ControlError as error:
        common.fail(f"{error.where}: {error.message}" if error.where else error.message, 2)
