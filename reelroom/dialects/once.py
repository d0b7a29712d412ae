"""Which signed requests have been made, for as long as one is in time: none does anything twice. Checks no signature.

For dialects whose signatures cover a nonce or the like; Tencent's do not (`tencent/replays.py`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from reelroom.store import tables
from reelroom.store.db import Database

REMEMBERED = 500_000  # in memory, about 100 MB; beyond, the oldest are forgotten


class Once:
    """Those of all requests are in memory, and those of requests that change something in the database too.

    So nothing is done twice, whatever is restarted and however many servers share the database; only what reads could
    be read again after a restart, by somebody who has seen the answer anyway. `kind` is that of the rows, at most 16
    characters; a request is in time for `good_ns` from its first use on. Times are UTC nanoseconds.
    """

    def __init__(self, database: Database, kind: str, good_ns: int) -> None:
        self._database = database
        self._kind = kind
        self._good_ns = good_ns
        self._used: OrderedDict[str, int] = OrderedDict()  # mark → until when

    async def use(self, app: str, mark: str, now_ns: int, *, reads: bool) -> bool:
        """Note a request by what makes it one of its own; False: it was there before. `reads`: it changes nothing."""
        while self._used and (len(self._used) >= REMEMBERED or next(iter(self._used.values())) < now_ns):
            self._used.popitem(last=False)
        mark = hashlib.sha256(mark.encode("utf-8", "surrogatepass")).hexdigest()
        if mark in self._used:
            return False
        self._used[mark] = now_ns + self._good_ns
        if reads:
            return True
        try:
            await self._database.run(lambda connection: self._keep(connection, app, mark, now_ns))
        except IntegrityError:
            return False
        return True

    def _keep(self, connection: Connection, app: str, mark: str, now_ns: int) -> None:
        row = tables.DialectState
        connection.execute(delete(row).where(row.dialect == self._kind, row.expires_ns < now_ns))
        times = {"created_ns": now_ns, "expires_ns": now_ns + self._good_ns}
        connection.execute(insert(row).values(dialect=self._kind, key=mark, app=app, data={}, **times))
