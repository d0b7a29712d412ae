"""The migrations make exactly the tables that the code uses; sealed credentials open only with their key.

On SQLite; the same on PostgreSQL is in tests/live/test_postgresql.py.
"""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from reelroom.store.db import async_url
from reelroom.store.secrets import SecretBox, SecretError
from tests import stored

MEMORY = "sqlite://"


async def test_migrations_make_the_tables_of_the_code() -> None:
    await stored.makes_the_tables_of_the_code(MEMORY)


@pytest.mark.parametrize("revision", stored.REVISIONS)
async def test_a_database_of_an_earlier_version_keeps_its_recordings(revision: str) -> None:
    await stored.keeps_the_recordings_of(MEMORY, revision)


async def test_an_earlier_versions_tasks_files_and_tags_are_found_again() -> None:
    await stored.fills_in_what_queries_ask_for(MEMORY)


def test_drivers_are_put_into_plain_urls() -> None:
    assert async_url("sqlite:////x/y.db") == "sqlite+aiosqlite:////x/y.db"
    assert async_url("postgresql://u:p@h/d") == "postgresql+asyncpg://u:p@h/d"
    assert async_url("postgresql+psycopg://u:p@h/d") == "postgresql+psycopg://u:p@h/d"


def test_sealed_credentials_open_only_with_their_key() -> None:
    box = SecretBox(Fernet.generate_key())
    sealed = box.seal({"secret": "hunter2"})
    assert b"hunter2" not in sealed
    assert box.open(sealed) == {"secret": "hunter2"}
    with pytest.raises(SecretError):
        SecretBox(Fernet.generate_key()).open(sealed)
    with pytest.raises(SecretError):
        box.open(sealed[:-1])
    assert box.derive("a") != box.derive("b")


@pytest.mark.parametrize("file", [True, False])
async def test_a_look_sees_what_was_committed_and_nothing_else(file: bool, tmp_path: Path) -> None:
    await stored.looks_at_what_was_committed(f"sqlite:///{tmp_path / 'r.db'}" if file else MEMORY, several=file)


@pytest.mark.parametrize("file", [True, False])
async def test_what_is_written_is_there_as_a_whole_or_not_at_all(file: bool, tmp_path: Path) -> None:
    await stored.writes_as_a_whole_or_not_at_all(f"sqlite:///{tmp_path / 'r.db'}" if file else MEMORY)
