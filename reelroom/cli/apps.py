"""`reelroom app add|list`: tenants and their credentials, with or without a server running."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Table

from reelroom.cli import common

app = typer.Typer(help="Tenants and their credentials.", no_args_is_help=True)


def _pairs(given: list[str], what: str) -> dict[str, str]:
    pairs = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            common.fail(f"{what} {one.partition('=')[0]!r} must be NAME=VALUE", 2)
        pairs[name] = value
    return pairs


def _by_dialect(given: list[str], what: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, value in _pairs(given, what).items():
        dialect, _, field = path.partition(".")
        found.setdefault(dialect, {})[field] = value
    return found


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="the app's id")],
    credential: Annotated[
        list[str] | None,
        typer.Option(metavar="DIALECT.NAME=VALUE", help="set one instead of making it, e.g. agora.appid=…"),
    ] = None,
    destination: Annotated[
        str, typer.Option(metavar="SERVICE", help="where its files go: s3, oss, fs, …; default: local storage")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="an option of the destination; may be repeated")
    ] = None,
    default: Annotated[
        list[str] | None,
        typer.Option(metavar="DIALECT.NAME=VALUE", help="a setting of a dialect, e.g. agora.callback_url=https://…"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Make an app and print its credentials, once."""
    from reelroom.control import destinations
    from reelroom.control.errors import ControlError
    from reelroom.dialects.agora.settings import check_settings

    settings = common.settings(config, data=data)
    credentials = _by_dialect(credential or [], "--credential")
    defaults = _by_dialect(default or [], "--default")
    if defaults.keys() - {"agora"}:
        common.fail("--default is for agora only", 2)
    try:
        check_settings(defaults.get("agora", {}))
    except ValueError as error:
        common.fail(f"--default agora.{error}", 2)
    if option and not destination:
        common.fail("--option needs --destination", 2)

    async def run() -> Any:
        async with common.opened_apps(settings) as (apps, _, box):
            row = None
            if destination:
                wanted = destinations.DestinationSpec(destination, _pairs(option or [], "--option"))
                checked = await destinations.check(wanted, settings.storage, allow_private=True, trusted=True)
                row = destinations.row(name, checked, box)
            return await apps.add(name, credentials, row, defaults)

    try:
        made = asyncio.run(run())
    except ControlError as error:
        common.fail(f"{error.where}: {error.message}" if error.where else error.message)
    if as_json:
        typer.echo(json.dumps({"app": made.id, "credentials": made.secrets}))
        return
    table = Table("API", "credential", "value", title=f"App {made.id}: shown this once, keep it", title_style="bold")
    for dialect, fields in made.secrets.items():
        for field, value in fields.items():
            table.add_row(dialect, field, value)
    common.console().print(table)


@app.command("list")
def list_apps(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """The apps, without their secrets."""
    from reelroom.control.apps import PUBLIC

    settings = common.settings(config, data=data)

    async def run() -> Any:
        async with common.opened_apps(settings) as (apps, _, _):
            return await apps.list()

    found = asyncio.run(run())
    public = [name for name in PUBLIC if name != "native"]
    rows = [
        {"app": one.id, **{f"{name}.{PUBLIC[name]}": one.secrets[name][PUBLIC[name]] for name in public}}
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("app", *(f"{name} {PUBLIC[name]}" for name in public))
    for row in rows:
        table.add_row(*row.values())
    common.console().print(table)
