"""The tables. Holds no queries and no rules; migrations are in `store/migrations`."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements INTEGER only


def ordered(type_: String) -> String:
    """Text that every database compares by code points, as SQLite does: an index finds what begins with something."""
    return type_.with_variant(type(type_)(type_.length, collation="C"), "postgresql")


_ONE = text("match IS NOT NULL AND state IN ('starting', 'recording', 'paused')")


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON, int: BigInteger, str: Text}


class App(Base):
    """A tenant. `secrets` is the encrypted JSON of its credentials for every dialect."""

    __tablename__ = "apps"
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    key_hash: Mapped[str] = mapped_column(String(64), index=True)  # SHA-256 of the native bearer key
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    destination: Mapped[str | None] = mapped_column(ForeignKey("destinations.id"))
    created_ns: Mapped[int]


class Destination(Base):
    """Where files go. `options` is the encrypted JSON of opendal's options, credentials among them."""

    __tablename__ = "destinations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    app: Mapped[str] = mapped_column(String(128), index=True)
    service: Mapped[str] = mapped_column(String(32))  # opendal scheme: "fs", "s3", "oss", "azblob"...
    options: Mapped[bytes] = mapped_column(LargeBinary)
    described: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what may be shown: bucket, region…
    created_ns: Mapped[int]


class Recording(Base):
    """The index of one journal, and what a recorder must not know: destination, callback, labels."""

    __tablename__ = "recordings"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    app: Mapped[str] = mapped_column(String(128))
    room: Mapped[str] = mapped_column(String(128))
    mode: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(default="")
    message: Mapped[str] = mapped_column(default="")
    name: Mapped[str] = mapped_column(ordered(Text()), default="")
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    spec: Mapped[dict[str, Any]]
    dialect: Mapped[str] = mapped_column(String(16), default="native")
    dialect_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    task: Mapped[str | None] = mapped_column(String(128))  # what its dialect calls several recordings by
    destination: Mapped[str | None] = mapped_column(ForeignKey("destinations.id"))
    callback: Mapped[bytes | None] = mapped_column(LargeBinary)  # encrypted JSON: url, secret, extra
    pushes: Mapped[bytes | None] = mapped_column(LargeBinary)  # encrypted JSON: URLs by id, which `spec` has masked
    library: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # domain/library.py's LibrarySpec
    match: Mapped[str | None] = mapped_column(String(80))  # domain/rules.py's Match.key, of what a rule started
    created_ns: Mapped[int]
    started_ns: Mapped[int | None]
    stopped_ns: Mapped[int | None]
    finished_ns: Mapped[int | None]
    journal_offset: Mapped[int] = mapped_column(default=0)  # bytes of journal.jsonl that this index holds
    journal_lines: Mapped[int] = mapped_column(default=0)
    event_seq: Mapped[int] = mapped_column(default=0)  # number of the last event made
    __table_args__ = (
        Index("recordings_list", "app", "created_ns", "id"),
        Index("recordings_room", "app", "room", "created_ns", "id", "state"),
        Index("recordings_names", "app", "name", "created_ns", "id"),
        Index("recordings_states", "app", "state", "created_ns", "id"),
        Index("recordings_dialect", "app", "dialect", "state", "created_ns", "id"),
        Index("recordings_task", "app", "dialect", "task", "created_ns"),
        Index("recordings_state", "state", "finished_ns", "id"),  # of all apps
        Index("recordings_match", "match", "created_ns"),
        # What makes two recordings of one match impossible, whoever is killed when.
        Index("recordings_one", "match", unique=True, sqlite_where=_ONE, postgresql_where=_ONE),
    )


class File(Base):
    """One object in storage to be: an init segment, a media segment, a playlist or a finished file."""

    __tablename__ = "files"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    recording: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(16))  # "init", "segment", "playlist", "file"
    output: Mapped[str] = mapped_column(String(16))
    rendition: Mapped[str] = mapped_column(String(8), default="")
    number: Mapped[int] = mapped_column(default=0)
    key: Mapped[str]  # name in storage
    path: Mapped[str]  # within the recording's folder
    format: Mapped[str] = mapped_column(String(8))
    line: Mapped[dict[str, Any]]  # the journal line it comes from, as JSON; identity, codecs, times are there
    bytes: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    state: Mapped[str] = mapped_column(String(16), default="pending")  # pending, uploading, uploaded, deleted
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    due_ns: Mapped[int] = mapped_column(default=0)  # not tried before
    uploaded_ns: Mapped[int | None]
    __table_args__ = (
        UniqueConstraint("recording", "key", name="files_key"),
        Index("files_due", "state", "due_ns"),
        Index("files_pending", "recording", "state", "due_ns"),
        Index("files_recording", "recording", "output", "rendition", "number"),
        Index("files_role", "recording", "role", "output"),  # most of a recording's rows are segments
    )


class Output(Base):
    """What the media segments of an output come to, so that nobody has to go through them."""

    __tablename__ = "outputs"
    recording: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True)
    output: Mapped[str] = mapped_column(String(16), primary_key=True)
    segments: Mapped[int] = mapped_column(default=0)
    bytes: Mapped[int] = mapped_column(default=0)
    end_ns: Mapped[int] = mapped_column(default=0)  # media time
    width: Mapped[int] = mapped_column(default=0)  # of the largest picture, as is `height`
    height: Mapped[int] = mapped_column(default=0)


class Finished(Base):
    """A file that is in storage and will not change, of a recording with a task: dialects list them over recordings."""

    __tablename__ = "finished"
    file: Mapped[int] = mapped_column(
        Id, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    app: Mapped[str] = mapped_column(String(128))
    dialect: Mapped[str] = mapped_column(String(16))
    room: Mapped[str] = mapped_column(String(128))
    task: Mapped[str] = mapped_column(String(128))
    start_ns: Mapped[int]  # room time of its content
    end_ns: Mapped[int]
    __table_args__ = (
        Index("finished_list", "app", "dialect", "start_ns", "file", "end_ns"),
        Index("finished_room", "app", "dialect", "room", "start_ns", "file", "end_ns", "task"),
        Index("finished_task", "app", "dialect", "task", "start_ns", "file", "end_ns", "room"),
    )


class Event(Base):
    """Something that happened to a recording, and how far its delivery got: the outbox."""

    __tablename__ = "events"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    recording: Mapped[str] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    app: Mapped[str] = mapped_column(String(128))
    seq: Mapped[int]  # per recording, from 1, without holes
    type: Mapped[str] = mapped_column(String(48))
    at_ns: Mapped[int]
    data: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="pending")  # pending, delivered, given_up, none
    attempts: Mapped[int] = mapped_column(default=0)
    due_ns: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        UniqueConstraint("recording", "seq", name="events_seq"),
        Index("events_due", "state", "due_ns"),
        Index("events_pending", "recording", "state", "seq"),
        Index("events_type", "recording", "type", "seq"),
    )


class Attempt(Base):
    """One try to deliver an event."""

    __tablename__ = "attempts"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    event: Mapped[str] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    at_ns: Mapped[int]
    took_ns: Mapped[int]
    status: Mapped[int | None]
    error: Mapped[str] = mapped_column(default="")


class Idempotency(Base):
    """What an Idempotency-Key already made."""

    __tablename__ = "idempotency"
    app: Mapped[str] = mapped_column(String(128), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    recording: Mapped[str] = mapped_column(String(64))
    created_ns: Mapped[int]


class DialectState(Base):
    """What a dialect has to remember between calls (Agora's resource ids), with its expiry."""

    __tablename__ = "dialect_state"
    dialect: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(String(512), primary_key=True)
    app: Mapped[str] = mapped_column(String(128))
    data: Mapped[dict[str, Any]]
    created_ns: Mapped[int]
    expires_ns: Mapped[int]
    __table_args__ = (Index("dialect_state_expiry", "dialect", "expires_ns"),)


class Task(Base):
    """A task by an id that its caller chose, which is used once for ever. Recordings name theirs (`Recording.task`)."""

    __tablename__ = "tasks"
    dialect: Mapped[str] = mapped_column(String(16), primary_key=True)
    app: Mapped[str] = mapped_column(String(128), primary_key=True)
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    room: Mapped[str] = mapped_column(String(128))
    stopped: Mapped[bool]
    data: Mapped[dict[str, Any]]
    created_ns: Mapped[int]
    __table_args__ = (
        Index("tasks_list", "dialect", "app", "created_ns", "id"),
        Index("tasks_room", "dialect", "app", "room", "created_ns", "id", "stopped"),
        Index("tasks_stopped", "dialect", "app", "stopped", "created_ns", "id"),
    )


class Media(Base):
    """A finished file in an app's library. It outlives its recording; `key` is its main object in storage."""

    __tablename__ = "media"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # domain/library.py's media_id
    app: Mapped[str] = mapped_column(String(128))
    recording: Mapped[str] = mapped_column(String(64), index=True)
    dialect: Mapped[str] = mapped_column(String(16))  # of the recording, as are `mode` and `data`
    mode: Mapped[str] = mapped_column(String(16))
    room: Mapped[str] = mapped_column(String(128))
    identity: Mapped[str] = mapped_column(String(128))  # "": the mix
    source: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(8))  # "av", "audio", "video"
    stream: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(ordered(String(255)))
    tags: Mapped[list[str]]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the recording's dialect_data
    format: Mapped[str] = mapped_column(String(8))
    destination: Mapped[str | None] = mapped_column(ForeignKey("destinations.id"))  # None: the server's own storage
    key: Mapped[str]
    bytes: Mapped[int]  # with all of its segments
    sha256: Mapped[str] = mapped_column(String(64))  # of the main object
    duration_ns: Mapped[int]
    start_ns: Mapped[int]  # room time of its content
    end_ns: Mapped[int]
    video_codec: Mapped[str] = mapped_column(String(16))
    audio_codec: Mapped[str] = mapped_column(String(16))
    width: Mapped[int]
    height: Mapped[int]
    created_ns: Mapped[int]
    expires_ns: Mapped[int]  # 0: never
    __table_args__ = (
        Index("media_list", "app", "created_ns", "id", "expires_ns"),
        Index("media_room", "app", "room", "created_ns", "id", "expires_ns"),
        Index("media_names", "app", "name", "created_ns", "id", "expires_ns"),
        Index("media_expiry", "expires_ns"),
    )


class MediaObject(Base):
    """An object that goes with a media file's main one: a playlist's segments."""

    __tablename__ = "media_objects"
    media: Mapped[str] = mapped_column(ForeignKey("media.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(1024), primary_key=True)


class MediaTag(Base):
    """One of a media file's `tags`, which they are found by."""

    __tablename__ = "media_tags"
    media: Mapped[str] = mapped_column(ForeignKey("media.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(64), primary_key=True)
    app: Mapped[str] = mapped_column(String(128))
    __table_args__ = (Index("media_tags_list", "app", "tag", "media"),)


class Template(Base):
    """A start that is kept by name. `body` is the encrypted JSON of what its dialect calls a start."""

    __tablename__ = "templates"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    app: Mapped[str] = mapped_column(String(128))
    dialect: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_ns: Mapped[int]
    changed_ns: Mapped[int]
    __table_args__ = (Index("templates_list", "app", "dialect", "created_ns"),)


class Rule(Base):
    """An auto-record rule; `rule` is domain/rules.py's."""

    __tablename__ = "rules"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    app: Mapped[str] = mapped_column(String(128), index=True)
    dialect: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    template: Mapped[str] = mapped_column(ForeignKey("templates.id"), index=True)
    rule: Mapped[dict[str, Any]]
    created_ns: Mapped[int]


class Queue(Base):
    """A message queue of an app."""

    __tablename__ = "queues"
    app: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    visibility_s: Mapped[int]  # how long a received message is hidden from others
    retention_s: Mapped[int]  # how long a message is kept
    created_ns: Mapped[int]


class Message(Base):
    """A message in a queue; `receipt` is of the last one who received it."""

    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    app: Mapped[str] = mapped_column(String(128))
    queue: Mapped[str] = mapped_column(String(128))
    cause: Mapped[str] = mapped_column(String(64))  # the same cause puts one message only, while that is there
    body: Mapped[bytes] = mapped_column(LargeBinary)
    receipt: Mapped[str] = mapped_column(String(64), default="")
    received: Mapped[int] = mapped_column(default=0)
    first_ns: Mapped[int] = mapped_column(default=0)  # when it was received first
    visible_ns: Mapped[int]
    created_ns: Mapped[int]
    __table_args__ = (
        UniqueConstraint("app", "queue", "cause", name="messages_cause"),
        Index("messages_next", "app", "queue", "visible_ns"),
    )


#: The tables that change with every segment, for statements without the ORM.
RECORDINGS, FILES, OUTPUTS, EVENTS = (cast(Table, table.__table__) for table in (Recording, File, Output, Event))
