"""`reelroom config`: the effective settings."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from reelroom.cli import common
from reelroom.config import Settings


def command(
    config: common.Config = None,
    data: common.Data = None,
    dev: Annotated[bool | None, typer.Option("--dev", help="as with `serve --dev`")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print the effective settings, secrets masked."""
    shown = common.settings(config, data=data, dev=dev).masked()
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    table = Table("setting", "value", "environment", "what it is")
    for name, value in shown.items():
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, text, f"REELROOM_{name.upper()}", Settings.model_fields[name].description or "")
    common.console().print(table)
