"""A PostgreSQL server for tests: Debian's, in a temporary folder, on a Unix socket only. Tests nothing itself.

Its collation is a language's (ICU's English), in which "B" comes after "a" and punctuation hardly counts: whoever
relies on SQLite's order of code points finds out.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reelroom.store.db import Database
from reelroom.store.migrations import upgrade

OWNER = "postgres"  # Debian's user, and the name of the superuser: the server refuses to run as root
READY_S = 60.0
MIGRATED = "migrated"
_numbers = itertools.count(1)


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, of the newest version; None: there is none. Debian has them in no PATH."""
    found = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name))
    beside = shutil.which("initdb")
    return Path(beside).resolve().parent if beside else None


class Cluster:
    """A running server. `make` gives each test a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        return f"postgresql://{OWNER}@/{name}?host={self.folder}"

    async def execute(self, statement: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(user=OWNER, host=str(self.folder), database=OWNER)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def empty(self) -> str:
        """The URL of a database without tables."""
        name = f"test{next(_numbers)}"
        await self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    async def migrate(self) -> None:
        """Make the database that `make` copies."""
        await self.execute(f"CREATE DATABASE {MIGRATED}")
        database = Database(self.url(MIGRATED))
        await upgrade(database.engine)
        await database.close()

    async def make(self) -> str:
        """The URL of a database with all tables, all empty."""
        name = f"test{next(_numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")
        return self.url(name)


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A server that is gone afterwards. RuntimeError with what it said when it does not come up."""
    binaries = programs()
    assert binaries is not None
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam(OWNER)
        other = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as made:
        folder, log = Path(made), Path(made) / "log"
        log.touch()
        if other:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        with log.open("ab") as said:
            common: dict[str, Any] = {"cwd": folder, "stdout": said, "stderr": said, **other}
            initdb = [binaries / "initdb", "-D", folder / "data", "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync"]
            initdb += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
            if subprocess.run(initdb, **common).returncode:
                raise RuntimeError("initdb failed:\n" + log.read_text()[-2000:])
            settings = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off", "jit": "off"}
            flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            server = subprocess.Popen([binaries / "postgres", "-D", folder / "data", *flags], **common)
        try:
            _wait(binaries, folder, server, log)
            yield Cluster(folder)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nobody wants what is in it
            server.wait()


def _wait(binaries: Path, folder: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder, "-U", OWNER]).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            server.wait()
            raise RuntimeError("PostgreSQL did not get ready:\n" + log.read_text()[-2000:])
        time.sleep(0.05)
