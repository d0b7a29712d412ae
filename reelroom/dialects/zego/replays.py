"""Which signatures have been used, for as long as they are good: none does anything twice. Checks no signature.

A signature covers neither action nor body, so a used one may only ask again what changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from reelroom.dialects.zego import errors
from reelroom.dialects.zego.auth import VALID_S, Signed
from reelroom.store import tables
from reelroom.store.db import Database

DIALECT = "zego.nonce"  # of the rows
GOOD_S = 2 * VALID_S  # one may come from the future, and is then good for twice as long
_REMEMBERED = 500_000  # in memory; beyond, the oldest are forgotten
_S = 10**9


class Replays:
    """Those of all calls are in memory, and those of calls that change something in the database too, over restarts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: OrderedDict[str, int] = OrderedDict()  # mark → Unix second from which it is too old anyway

    async def use(self, given: Signed, app: str, now_s: int, *, reads: bool) -> None:
        """Note a right signature; ZegoError 100000005 when it was used before, unless the call only `reads`."""
        while self._used and (len(self._used) > _REMEMBERED or next(iter(self._used.values())) < now_s):
            self._used.popitem(last=False)
        mark = hashlib.sha256(f"{given.app}\n{given.timestamp}\n{given.nonce}".encode()).hexdigest()
        if mark in self._used:
            if reads:
                return
            raise errors.replayed()
        self._used[mark] = now_s + GOOD_S
        if reads:
            return
        try:
            await self._database.run(lambda connection: _keep(connection, app, mark, now_s))
        except IntegrityError:
            raise errors.replayed() from None


def _keep(connection: Connection, app: str, mark: str, now_s: int) -> None:
    row = tables.DialectState
    connection.execute(delete(row).where(row.dialect == DIALECT, row.expires_ns < now_s * _S))
    connection.execute(
        insert(row).values(
            dialect=DIALECT, key=mark, app=app, data={}, created_ns=now_s * _S, expires_ns=(now_s + GOOD_S) * _S
        )
    )
