"""`reelroom serve`. The work is in `reelroom/serve.py`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from reelroom.cli import common


def command(
    config: common.Config = None,
    dev: Annotated[
        bool | None, typer.Option("--dev", help="make the app `dev` with well-known credentials; loopback only")
    ] = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="port 0: a free one")] = None,
    rtc_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="UDP port of worker 0, worker i has +i; 0: free ones")
    ] = None,
    data: common.Data = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="ingest processes")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning, error")] = None,
    json_ready: Annotated[
        bool, typer.Option("--json", help="when ready, print one JSON line with url, pid, pids, data, run")
    ] = False,
) -> None:
    """Run the server until SIGTERM or Ctrl-C. DATA/server.json says where it listens."""
    import uvloop

    from reelroom import logs
    from reelroom.config import SettingsError
    from reelroom.serve import Supervisor

    settings = common.settings(
        config, dev=dev, http=http, rtc_port=rtc_port, data=data, workers=workers, log_level=log_level
    )
    logs.setup("serve", settings.log_level, settings.log_format)

    def ready(found: dict[str, Any]) -> None:
        if json_ready:
            typer.echo(json.dumps(found))
            return
        typer.echo(f"Reelroom listens on {found['url']} (data in {found['data']})")
        if settings.dev:
            typer.echo("dev: Authorization: Bearer dev-secret; API documentation at /api/v1/docs")

    async def run() -> None:
        await Supervisor(settings, ready).run()

    try:
        uvloop.run(run())
    except SettingsError as error:
        common.fail(str(error), 2)
    except OSError as error:
        common.fail(f"cannot listen on {settings.http}: {error}")
