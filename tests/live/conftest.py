"""A server that the calls of many files share, each in a room of its own: one start for each process of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """As `running` has it. Who needs another, kills parts of it or counts what there is has a `server` of their own."""
    with running() as started:
        yield started
