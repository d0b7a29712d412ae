"""`reelroom demo`. The work is in `reelroom/demo/run.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    seconds: Annotated[int, typer.Option(min=2, max=3600, help="how long to record")] = 10,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where the finished files are left")] = Path(
        "demo-recordings"
    ),
    keep: Annotated[bool, typer.Option("--keep", help="leave the server up and say where to look")] = False,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object on stdout, nothing else")] = False,
) -> None:
    """Record three participants of a real WebRTC call on a temporary server."""
    from reelroom.demo.run import main

    raise typer.Exit(main(seconds=seconds, out=out, keep=keep, json=json_))
