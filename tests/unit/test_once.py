"""Signed requests are good once: in memory, in the database, and until they are too old anyway."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import reelroom.dialects
from reelroom.dialects.once import Once
from reelroom.store import tables
from reelroom.store.db import Database
from tests import memory

GOOD_NS = 1000


@pytest.fixture
async def database() -> Database:
    return await memory.database()


@pytest.mark.parametrize("reads", [True, False])
async def test_a_request_is_good_once_until_it_is_too_old_anyway(database: Database, reads: bool) -> None:
    once = Once(database, "kind", GOOD_NS)
    assert await once.use("dev", "a", 0, reads=reads)
    assert await once.use("dev", "another", 0, reads=reads)
    assert not await once.use("dev", "a", GOOD_NS, reads=reads)
    assert await once.use("dev", "a", GOOD_NS + 1, reads=reads)
    await database.close()


async def test_what_changes_something_is_good_once_over_restarts_and_servers(database: Database) -> None:
    await Once(database, "kind", GOOD_NS).use("dev", "changes", 0, reads=False)
    await Once(database, "kind", GOOD_NS).use("dev", "reads", 0, reads=True)
    assert not await Once(database, "kind", GOOD_NS).use("dev", "changes", GOOD_NS, reads=False)
    assert await Once(database, "kind", GOOD_NS).use("dev", "reads", GOOD_NS, reads=False)
    assert await Once(database, "other kind", GOOD_NS).use("dev", "changes", GOOD_NS, reads=False)
    assert await Once(database, "kind", GOOD_NS).use("dev", "changes", GOOD_NS + 1, reads=False)
    await database.close()


def test_the_kinds_of_all_dialects_fit_their_column() -> None:
    """SQLite would not mind, PostgreSQL would."""
    longest = tables.DialectState.__table__.c.dialect.type.length  # type: ignore[attr-defined]
    modules = pkgutil.walk_packages(reelroom.dialects.__path__, "reelroom.dialects.")
    kinds = {getattr(importlib.import_module(module.name), "DIALECT", "") for module in modules}
    assert {"agora", "tencent", "zego"} <= kinds
    assert [kind for kind in kinds if len(kind) > longest] == []
