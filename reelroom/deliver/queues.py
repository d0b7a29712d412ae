"""Messages into an app's queue, instead of requests to a URL. Receives none: control/queues.py does."""

from __future__ import annotations

import time

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from reelroom.deliver.outbox import now_ns
from reelroom.deliver.request import Result
from reelroom.store.db import Database
from reelroom.store.tables import Message, Queue

SCHEME = "queue://"
VISIBILITY_S = 30
RETENTION_S = 4 * 86_400
MAX_BODY = 65_536


def put(connection: Connection, app: str, name: str, body: bytes, cause: str) -> int:
    """A message at the end of a queue, which is made if need be; its number. The same cause's is put once."""
    known = select(Message.id).where(Message.app == app, Message.queue == name, Message.cause == cause)
    if (there := connection.scalar(known)) is not None:
        return there
    now = now_ns()
    if connection.scalar(select(Queue.name).where(Queue.app == app, Queue.name == name)) is None:
        connection.execute(
            insert(Queue).values(app=app, name=name, visibility_s=VISIBILITY_S, retention_s=RETENTION_S, created_ns=now)
        )
    values = {"app": app, "queue": name, "cause": cause, "body": body, "visible_ns": now, "created_ns": now}
    key = connection.execute(insert(Message).values(receipt="", received=0, first_ns=0, **values)).inserted_primary_key
    assert key is not None
    return int(key[0])


async def deliver(database: Database, app: str, url: str, body: bytes, cause: str) -> Result:
    """`put` for a callback: what came of it, as of a request."""
    began = time.monotonic_ns()
    name = url.removeprefix(SCHEME)
    status, error = 200, ""
    if len(body) > MAX_BODY:
        status, error = 413, f"a message has at most {MAX_BODY} bytes, not {len(body)}"
    else:
        try:
            await database.run(lambda connection: put(connection, app, name, body, cause))
        except IntegrityError as trouble:  # another process was faster: tried again
            status, error = 409, str(trouble.orig)[:300]
    return Result(status, error, time.monotonic_ns() - began)
