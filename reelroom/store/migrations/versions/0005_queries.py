"""What queries ask for, by columns and sums of their own: tasks, finished files, outputs, tags, names; more indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BATCH = 1000
#: The tables as they are now: what later versions add is not there yet.
RECORDINGS = sa.table(
    "recordings",
    *(sa.column(name) for name in ("id", "app", "room", "dialect", "task")),
    sa.column("dialect_data", sa.JSON()),
)
FILES = sa.table(
    "files",
    *(sa.column(name) for name in ("id", "recording", "role", "output", "number", "state", "bytes")),
    sa.column("line", sa.JSON()),
)
STATE = sa.table(
    "dialect_state",
    *(sa.column(name) for name in ("dialect", "key", "app", "created_ns")),
    sa.column("data", sa.JSON()),
)
MEDIA = sa.table("media", sa.column("id"), sa.column("app"), sa.column("tags", sa.JSON()))
INDEXES = (
    ("recordings_list", "recordings", ["app", "created_ns", "id"]),
    ("recordings_room", "recordings", ["app", "room", "created_ns", "id", "state"]),
    ("recordings_names", "recordings", ["app", "name", "created_ns", "id"]),
    ("recordings_states", "recordings", ["app", "state", "created_ns", "id"]),
    ("recordings_dialect", "recordings", ["app", "dialect", "state", "created_ns", "id"]),
    ("recordings_task", "recordings", ["app", "dialect", "task", "created_ns"]),
    ("recordings_state", "recordings", ["state", "finished_ns", "id"]),
    ("events_pending", "events", ["recording", "state", "seq"]),
    ("events_type", "events", ["recording", "type", "seq"]),
    ("dialect_state_expiry", "dialect_state", ["dialect", "expires_ns"]),
    ("media_list", "media", ["app", "created_ns", "id", "expires_ns"]),
    ("media_room", "media", ["app", "room", "created_ns", "id", "expires_ns"]),
    ("media_names", "media", ["app", "name", "created_ns", "id", "expires_ns"]),
)
_OLD = (
    *(("recordings", name) for name in ("recordings_list", "recordings_room", "recordings_state")),
    *(("media", name) for name in ("media_list", "media_names")),
    ("dialect_state", "ix_dialect_state_expires_ns"),
)


def upgrade() -> None:
    op.add_column("recordings", sa.Column("task", sa.String(length=128), nullable=True))
    for table, name in _OLD:
        op.drop_index(name, table)
    if op.get_bind().dialect.name == "postgresql":  # names are compared by code points, as SQLite does
        op.execute('ALTER TABLE recordings ALTER COLUMN name TYPE TEXT COLLATE "C"')
        op.execute('ALTER TABLE media ALTER COLUMN name TYPE VARCHAR(255) COLLATE "C"')
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns, unique=False)
    op.execute(
        RECORDINGS.update()
        .where(RECORDINGS.c.dialect == "aliyun_rtc")
        .values(task=RECORDINGS.c.dialect_data["task"].as_string())
    )
    _outputs()
    _finished()
    _tasks()
    _tags()


def _outputs() -> None:
    outputs = op.create_table(
        "outputs",
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("output", sa.String(length=16), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("segments", "bytes", "end_ns", "width", "height")
        ),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("recording", "output"),
    )
    of, whole = FILES.alias("of"), sa.func.coalesce
    one = sa.and_(of.c.recording == FILES.c.recording, of.c.output == FILES.c.output, of.c.role == "segment")
    sums = (
        sa.select(
            FILES.c.recording,
            FILES.c.output,
            sa.func.count(of.c.id),
            sa.cast(whole(sa.func.sum(of.c.bytes), 0), sa.BigInteger),
            *(whole(sa.func.max(_number(of.c.line, name)), 0) for name in ("media_end_ns", "width", "height")),
        )
        .select_from(FILES.outerjoin(of, one))
        .where(FILES.c.role == "playlist", FILES.c.number == 0)
        .group_by(FILES.c.recording, FILES.c.output)
    )
    op.execute(outputs.insert().from_select([column.name for column in outputs.c], sums))


def _finished() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    finished = op.create_table(
        "finished",
        sa.Column("file", big, autoincrement=False, nullable=False),
        sa.Column("app", sa.String(length=128), nullable=False),
        sa.Column("dialect", sa.String(length=16), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("task", sa.String(length=128), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["file"], ["files.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file"),
    )
    row, line = RECORDINGS.c, FILES.c.line
    there = (
        sa.select(
            FILES.c.id, row.app, row.dialect, row.room, row.task, _number(line, "start_ns"), _number(line, "end_ns")
        )
        .select_from(FILES.join(RECORDINGS, row.id == FILES.c.recording))
        .where(row.task.is_not(None), FILES.c.state == "uploaded", FILES.c.role.in_(("playlist", "file")))
        .where((FILES.c.role == "file") | _number(line, "last").is_not(None))
    )
    op.execute(finished.insert().from_select([column.name for column in finished.c], there))
    ends = ["start_ns", "file", "end_ns"]
    op.create_index("finished_list", "finished", ["app", "dialect", *ends], unique=False)
    op.create_index("finished_room", "finished", ["app", "dialect", "room", *ends, "task"], unique=False)
    op.create_index("finished_task", "finished", ["app", "dialect", "task", *ends, "room"], unique=False)


def _tasks() -> None:
    tasks = op.create_table(
        "tasks",
        sa.Column("dialect", sa.String(length=16), nullable=False),
        sa.Column("app", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("room", sa.String(length=128), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dialect", "app", "id"),
    )
    connection, mine = op.get_bind(), STATE.c.dialect == "aliyun_rtc"
    query = sa.select(STATE.c.app, STATE.c.key, STATE.c.data, STATE.c.created_ns).where(mine)
    rows = [
        {
            "dialect": "aliyun_rtc",
            "app": row.app,
            "id": row.key.removeprefix(f"{row.app}/"),
            "room": row.data.get("ChannelId", ""),
            "stopped": bool(row.data.get("stopped")),
            "data": {name: value for name, value in row.data.items() if name not in ("ChannelId", "stopped")},
            "created_ns": row.created_ns,
        }
        for row in connection.execute(query)
    ]
    for begin in range(0, len(rows), BATCH):
        connection.execute(tasks.insert(), rows[begin : begin + BATCH])
    connection.execute(STATE.delete().where(mine))
    own = ["dialect", "app"]
    op.create_index("tasks_list", "tasks", [*own, "created_ns", "id"], unique=False)
    op.create_index("tasks_room", "tasks", [*own, "room", "created_ns", "id", "stopped"], unique=False)
    op.create_index("tasks_stopped", "tasks", [*own, "stopped", "created_ns", "id"], unique=False)


def _tags() -> None:
    tags = op.create_table(
        "media_tags",
        sa.Column("media", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("app", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["media"], ["media.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("media", "tag"),
    )
    connection = op.get_bind()
    found = connection.execute(sa.select(MEDIA.c.id, MEDIA.c.app, MEDIA.c.tags)).all()
    rows = [{"media": row.id, "tag": tag, "app": row.app} for row in found for tag in dict.fromkeys(row.tags)]
    for begin in range(0, len(rows), BATCH):
        connection.execute(tags.insert(), rows[begin : begin + BATCH])
    op.create_index("media_tags_list", "media_tags", ["app", "tag", "media"], unique=False)


def _number(line: sa.ColumnElement[object], name: str) -> sa.ColumnElement[int]:
    """Of a journal line; `as_integer` would be 32 bits on PostgreSQL."""
    return sa.cast(line[name].as_string(), sa.BigInteger)
