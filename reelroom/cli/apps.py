"""`reelroom app add|set|list`: tenants and their credentials, with or without a server running."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reelroom.cli import common

if TYPE_CHECKING:
    from reelroom.config import Settings
    from reelroom.store.secrets import SecretBox

DIALECTS = ("agora", "aliyun_live", "aliyun_rtc", "tencent", "zego")  # those with settings

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


Credential = Annotated[
    list[str] | None,
    typer.Option(metavar="DIALECT.NAME=VALUE", help="choose one, e.g. agora.appid=…; may be repeated"),
]
Service = Annotated[str, typer.Option("--destination", metavar="SERVICE", help="where its files go: s3, oss, fs, …")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="an option of the destination; may be repeated"),
]
Default = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIALECT.NAME=VALUE",
        help="a setting of a dialect, e.g. agora.callback_url=https://…; empty: as if never set; may be repeated",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def _merged(before: dict[str, Any], given: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Settings of dialects with those given put in, or the end of the command."""
    after = dict(before)
    for dialect, changes in given.items():
        if dialect not in DIALECTS:
            common.fail(f"--default is for {', '.join(DIALECTS)} only", 2)
        kept = {**before.get(dialect, {}), **changes}
        after[dialect] = {name: value for name, value in kept.items() if value != ""}
        try:
            importlib.import_module(f"reelroom.dialects.{dialect}.settings").check_settings(after[dialect])
        except ValueError as error:
            common.fail(f"--default {dialect}.{error}", 2)
    return after


async def _destination(settings: Settings, box: SecretBox, app: str, service: str, options: list[str]) -> Any:
    """A row to be, or None where no service is named."""
    from reelroom.control import destinations
    from reelroom.deliver.storage import local_root

    if not service:
        return None
    wanted = destinations.DestinationSpec(service, _pairs(options, "--option"))
    checked = await destinations.check(wanted, local_root(settings.storage, app), allow_private=True, trusted=True)
    return destinations.row(app, checked, box)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """What `work` returns; a refusal ends the command."""
    from reelroom.control.errors import ControlError

    try:
        return asyncio.run(work)
    except ControlError as error:
        common.fail(f"{error.where}: {error.message}" if error.where else error.message)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="the app's id")],
    credential: Credential = None,
    destination: Service = "",
    option: Options = None,
    default: Default = None,
    as_json: AsJson = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Make an app and print its credentials, once."""
    settings = common.settings(config, data=data)
    credentials = _by_dialect(credential or [], "--credential")
    defaults = _merged({}, _by_dialect(default or [], "--default"))
    if option and not destination:
        common.fail("--option needs --destination", 2)

    async def run() -> Any:
        async with common.opened_apps(settings) as (apps, _, box):
            row = await _destination(settings, box, name, destination, option or [])
            return await apps.add(name, credentials, row, defaults)

    made = _run(run())
    if as_json:
        typer.echo(json.dumps({"app": made.id, "credentials": made.secrets}))
        return
    table = Table("API", "credential", "value", title=f"App {made.id}: shown this once, keep it", title_style="bold")
    for dialect, fields in made.secrets.items():
        for field, value in fields.items():
            table.add_row(dialect, field, value)
    common.console().print(table)


@app.command("set")
def change(
    name: Annotated[str, typer.Argument(help="the app's id")],
    credential: Credential = None,
    destination: Service = "",
    option: Options = None,
    no_destination: Annotated[bool, typer.Option("--no-destination", help="back to the server's own storage")] = False,
    default: Default = None,
    as_json: AsJson = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Change an app: only what is given. A server that runs takes it within seconds; recordings that run keep theirs.

    With another native key, room tokens of the old one are worth nothing.
    """
    settings = common.settings(config, data=data)
    credentials = _by_dialect(credential or [], "--credential")
    given = _by_dialect(default or [], "--default")
    if option and not destination:
        common.fail("--option needs --destination", 2)
    if destination and no_destination:
        common.fail("--destination and --no-destination exclude each other", 2)
    if not (credentials or given or destination or no_destination):
        common.fail("nothing to change: give --credential, --default, --destination or --no-destination", 2)

    async def run() -> Any:
        async with common.opened_apps(settings) as (apps, _, box):
            known = await apps.by_id(name)
            if known is None:
                common.fail(f"no app {name!r} in {settings.data} (see `reelroom app list`)")
            row = await _destination(settings, box, name, destination, option or [])
            defaults = _merged(known.defaults, given) if given else None
            return await apps.change(name, credentials, defaults, row, no_destination)

    changed = _run(run())
    own = changed.destination is not None
    if as_json:
        typer.echo(json.dumps({"app": changed.id, "defaults": changed.defaults, "destination": own}))
        return
    shown = [f"{dialect}.{key}={value}" for dialect, keys in changed.defaults.items() for key, value in keys.items()]
    where = "a destination of its own" if own else "the server's storage"
    typer.echo(f"App {changed.id}: {', '.join(shown) or 'no settings of dialects'}; its files go to {where}")


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
