"""Which signatures have been used, for as long as their time is good. Checks none.

A signature covers neither the action nor a nonce, so that clients make the same one twice within a second: for two
actions with the same body, or for one that they repeat. Later than that it is somebody else's copy.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from reelroom.dialects.tencent import errors
from reelroom.dialects.tencent.auth import SKEW_S, Signed
from reelroom.store import tables
from reelroom.store.db import Database

DIALECT = "tencent.signed"  # of the rows; no more than 16 characters
TOGETHER_NS = 3 * 10**9  # the same signature within so long is the same second's, and may be another call's
REMEMBERED = 200_000
_VALID_NS = 2 * (SKEW_S + 1) * 10**9  # by then its timestamp is refused


class Replays:
    """Those of all requests are in memory, and those of requests that change something in the database too: nothing is
    done twice, whatever is restarted and however many servers share the database. Times are UTC nanoseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: OrderedDict[str, tuple[int, set[tuple[str, str]]]] = OrderedDict()

    async def check(self, signed: Signed, app: str, action: str, reads: bool, now_ns: int) -> None:
        """TencentError when this is a copy. `reads`: the action changes nothing, asking twice in a second is usual."""
        key, call = f"{signed.secret_id}\n{signed.signature}", (action, signed.once)
        known = self._seen.get(key)
        if known is None:
            self._forget(now_ns)
            self._seen[key] = (now_ns, {call})
        else:
            first_ns, calls = known
            if now_ns - first_ns > TOGETHER_NS or (call in calls and not reads):
                raise errors.replayed()
            calls.add(call)
        if reads:
            return
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        try:
            fresh = await self._database.run(lambda connection: _keep(connection, app, digest, call, now_ns))
        except IntegrityError:  # at the same moment through another server
            fresh = False
        if not fresh:
            raise errors.replayed()

    def _forget(self, now_ns: int) -> None:
        while self._seen:
            key, (first_ns, _) = next(iter(self._seen.items()))
            if first_ns > now_ns - _VALID_NS and len(self._seen) < REMEMBERED:
                return
            del self._seen[key]


def _keep(connection: Connection, app: str, key: str, call: tuple[str, str], now_ns: int) -> bool:
    """Note a call that changes something; False: it is a copy."""
    row = tables.DialectState
    connection.execute(delete(row).where(row.dialect == DIALECT, row.expires_ns < now_ns))
    mine = (row.dialect == DIALECT, row.key == key)
    # Locked: of two servers that get it at the same moment, one reads what the other has written.
    found = connection.execute(select(row.data, row.created_ns).where(*mine).with_for_update()).first()
    if found is None:
        values = {"data": {"calls": [[*call]]}, "created_ns": now_ns, "expires_ns": now_ns + _VALID_NS}
        connection.execute(insert(row).values(dialect=DIALECT, key=key, app=app, **values))
        return True
    calls = found.data["calls"]
    if now_ns - found.created_ns > TOGETHER_NS or [*call] in calls:
        return False
    connection.execute(update(row).where(*mine).values(data={"calls": [*calls, [*call]]}))
    return True
