"""What subcommands share: their common flags, settings, and the database without a server. Prints errors only."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from reelroom.config import Settings, SettingsError, load

errors = Console(stderr=True)


def console() -> Console:
    """For tables on stdout: as wide as the terminal, and wide enough for every value where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=240)


Config = Annotated[
    Path | None, typer.Option("--config", help="settings file (TOML); default ./reelroom.toml", metavar="FILE")
]
Data = Annotated[Path | None, typer.Option("--data", help="data folder", metavar="DIR")]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end."""
    errors.print(f"reelroom: {message}", style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def settings(config: Path | None, **flags: Any) -> Settings:
    """The effective settings, or the end of the command."""
    try:
        return load(flags, config)
    except SettingsError as error:
        fail(str(error), 2)


@asynccontextmanager
async def opened_apps(settings: Settings) -> AsyncIterator[Any]:
    """(apps, database, box) of the data folder, whether or not a server runs on it."""
    from reelroom.control.apps import Apps
    from reelroom.store.db import Database
    from reelroom.store.migrations import upgrade
    from reelroom.store.secrets import SecretBox

    settings = settings.with_folders()
    database = Database(settings.database)
    try:
        await upgrade(database.engine)
        box = SecretBox.load(settings.keys / "secrets.key")
        apps = Apps(database, box)
        if settings.dev:
            await apps.ensure_dev()
        yield apps, database, box
    finally:
        await database.close()
