"""A bucket or container of a real storage server for one test; the servers themselves are in `storage`."""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Callable
from urllib.parse import unquote

import opendal
from opendal import exceptions

from tests import storage
from tests.journals import House

_names = itertools.count(1)


class Place:
    """A bucket or container of a real server, seen past any proxy."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        name = f"place-{next(_names)}-{os.getpid()}"
        if kind == "s3":
            self.server = storage.seaweedfs()
            storage.bucket(self.server, name)
            self._options: Callable[[int | None], dict[str, str]] = lambda port: storage.s3_options(
                self.server, name, port
            )
        else:
            self.server = storage.azurite()
            storage.container(self.server, name)
            self._options = lambda port: storage.azure_options(self.server, name, port)
        self.direct = opendal.AsyncOperator(kind, **self._options(None))

    async def destination(self, house: House, port: int | None = None, **more: str) -> str:
        return await house.destination(self.kind, self._options(port) | more)

    async def read(self, key: str) -> bytes | None:
        try:
            return bytes(await self.direct.read(key))
        except exceptions.NotFound:
            return None

    async def playlist(self, key: str) -> list[str] | None:
        """Keys that a playlist names, or None when there is no playlist."""
        text = await self.read(key)
        if text is None:
            return None
        uris = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
        uris += [line.split('"')[1] for line in text.decode().splitlines() if line.startswith("#EXT-X-MAP")]
        return [posixpath.normpath(key.rpartition("/")[0] + "/" + unquote(uri)) for uri in uris]
