"""`reelroom verify DIR|ID`. The work is in `reelroom/record/verify.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelroom.cli import common


def command(
    recording: Annotated[str, typer.Argument(metavar="DIR|ID", help="a recording's folder or its id")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Check a recording's hashes, chain and signatures, decode every segment, and print the gaps."""
    from reelroom.record.verify import main

    folder = Path(recording)
    if not folder.is_dir():
        settings = common.settings(config, data=data)
        folder = settings.recordings / recording
        if not recording.isalnum() or not folder.is_dir():
            common.fail(f"{recording!r} is no folder, nor the id of a recording in {settings.recordings}")
    raise typer.Exit(main(folder, json=as_json))
