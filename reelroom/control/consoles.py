"""What apps' settings switch on by themselves, as vendors' consoles do: kept up as templates and rules. Starts nothing.

A dialect that has such settings has `reelroom/dialects/<dialect>/console.py`. Its `apply(app, templates, rules,
library)` makes the templates and rules what the settings say: at the start, and whenever the settings change.
"""

from __future__ import annotations

import asyncio
import importlib
import json

import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelroom.control.apps import AppContext, Apps
from reelroom.control.errors import ControlError
from reelroom.control.library import Library
from reelroom.control.rules import Rules
from reelroom.control.templates import Templates

log = structlog.get_logger("reelroom.consoles")

DIALECTS = ("tencent",)  # those with a console.py
LOOK_S = 1.0  # how often settings are looked at; apps are read from the database less often


class Consoles:
    """Keeps the rules of all apps' settings. One per control process."""

    def __init__(self, apps: Apps, templates: Templates, rules: Rules, library: Library) -> None:
        self._apps = apps
        self._templates = templates
        self._rules = rules
        self._library = library
        self._applied: dict[tuple[str, str], str] = {}  # app and dialect → settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="consoles")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            for app in self._apps.known():
                for dialect in DIALECTS:
                    await self.look(app, dialect)
            await asyncio.sleep(LOOK_S)

    async def look(self, app: AppContext, dialect: str) -> None:
        """Apply an app's settings of a dialect unless that has been done."""
        said = json.dumps(app.defaults.get(dialect) or {}, sort_keys=True)
        if self._applied.get((app.id, dialect)) == said:
            return
        module = importlib.import_module(f"reelroom.dialects.{dialect}.console")
        try:
            await module.apply(app, self._templates, self._rules, self._library)
        except (ControlError, ValueError, SQLAlchemyError, OSError) as error:
            log.error("an app's settings cannot be applied", app=app.id, dialect=dialect, error=repr(error)[:300])
            if isinstance(error, (SQLAlchemyError, OSError)):
                return  # tried again
        self._applied[app.id, dialect] = said
