"""Which signed requests have been made, for as long as one is in time: none is good twice. Checks no signature."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from reelroom.dialects.aliyun import errors
from reelroom.dialects.aliyun.auth import SKEW_S
from reelroom.store import tables
from reelroom.store.db import Database

DIALECT = "aliyun.nonce"  # of the rows
MAX_NONCES = 500_000  # in memory, about 100 MB; beyond, the oldest are forgotten
_S = 10**9


class Nonces:
    """Those of all requests are in memory, and those of requests that change something in the database too.

    So nothing is done twice, whatever is restarted and however many servers share the database; only what reads could
    be read again after a restart, by somebody who has seen the answer anyway. Times are UTC seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: OrderedDict[tuple[str, str], float] = OrderedDict()  # key and nonce → until when, about in order

    async def use(self, app: str, key_id: str, nonce: str, now_s: float, *, reads: bool) -> None:
        """AliyunError when this key has used it before. `reads`: the request changes nothing."""
        while self._used and (len(self._used) >= MAX_NONCES or next(iter(self._used.values())) < now_s):
            self._used.popitem(last=False)
        if (key_id, nonce) in self._used:
            raise errors.nonce_used()
        self._used[key_id, nonce] = now_s + 2 * SKEW_S
        if reads:
            return
        try:
            await self._database.run(lambda connection: _keep(connection, app, key_id, nonce, now_s))
        except IntegrityError:
            raise errors.nonce_used() from None


def _keep(connection: Connection, app: str, key_id: str, nonce: str, now_s: float) -> None:
    row = tables.DialectState
    connection.execute(delete(row).where(row.dialect == DIALECT, row.expires_ns < int(now_s * _S)))
    connection.execute(
        insert(row).values(
            dialect=DIALECT,
            key=hashlib.sha256(f"{key_id}\n{nonce}".encode("utf-8", "surrogatepass")).hexdigest(),
            app=app,
            data={},
            created_ns=int(now_s * _S),
            expires_ns=int((now_s + 2 * SKEW_S) * _S),
        )
    )
