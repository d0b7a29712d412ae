"""Native API: the shapes of requests and answers about recordings, and their translation. Holds no routes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from reelroom.control.apps import AppContext
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.listing import new_id
from reelroom.control.new_recording import CallbackSpec, NewRecording
from reelroom.control.openapi import shape_of
from reelroom.dialects.native.mixed import ChangeScene, Images, Mix
from reelroom.dialects.native.shapes import NO_CONTROL, NO_NUL, Body, Identity, Made
from reelroom.domain import events
from reelroom.domain import library as domain_library
from reelroom.domain import recording as domain
from reelroom.domain.library import MAX_TAG, MAX_TAGS
from reelroom.store import tables

Label = Annotated[str, Field(max_length=256, pattern=NO_NUL)]
LabelName = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG, pattern=NO_NUL)]
Option = Annotated[str, Field(max_length=16_384)]
Pattern = Annotated[str, Field(max_length=512, pattern=NO_CONTROL)]
Once: dict[str, Any] = {"uniqueItems": True}  # of lists that name nothing twice


def iso(ns: int | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if ns is None:
        return None
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns // 1_000_000 % 1000:03d}Z"


def _known_event(name: str) -> str:
    if name not in events.TYPES:
        raise ValueError("no such event; there are " + ", ".join(events.TYPES))
    return name


EventType = Annotated[str, AfterValidator(_known_event), WithJsonSchema({"type": "string", "enum": list(events.TYPES)})]
Format = Annotated[domain.Format, Field(strict=False)]


class Selection(Body):
    include: list[Identity] | None = Field(default=None, max_length=1000, description="only these identities")
    exclude: list[Identity] = Field(default=[], max_length=1000, description="everybody but these")

    def to_domain(self) -> domain.Selection:
        if self.include is not None and self.exclude:
            raise ValueError("a selection takes include or exclude, not both")
        include = None if self.include is None else tuple(self.include)
        return domain.Selection(include=include, exclude=tuple(self.exclude))


class Subscription(Body):
    """Whose tracks: `true` everybody's, `false` nobody's, or a selection."""

    audio: bool | Selection = True
    video: bool | Selection = True
    sources: list[Literal["microphone", "camera", "screen", "screen_audio"]] | None = Field(default=None, max_length=4)
    layer: Literal["high", "low"] = Field(
        default="high", description="of pictures that come in several sizes the largest that flows, or the smallest"
    )

    def to_domain(self) -> domain.Subscription:
        def one(value: bool | Selection) -> domain.Selection | None:
            if isinstance(value, Selection):
                return value.to_domain()
            return domain.Selection() if value else None

        sources = None if self.sources is None else tuple(domain.Source(name) for name in self.sources)
        audio, video = one(self.audio), one(self.video)
        return domain.Subscription(audio=audio, video=video, sources=sources, layer=self.layer)


class Hls(Body):
    container: Literal["fmp4", "ts"] = "fmp4"
    segment_s: float = Field(default=6, ge=2, le=30)


class Gaps(Body):
    audio: Literal["leave", "silence"] = "leave"
    video: Literal["leave", "last", "black"] = "leave"


class Naming(Body):
    prefix: Pattern = "{recording}/"
    file: Pattern = "{identity}_{source}"
    segment: Pattern = "{identity}_{source}_{sequence:05d}"
    mixed: Pattern = Field(default="mixed", description="as `file`, of the mix")
    mixed_segment: Pattern = Field(default="mixed_{sequence:05d}", description="as `segment`, of the mix")
    mixed_file: Pattern = Field(default="", description="of the mix's finished files; default: as `mixed`")


class Limits(Body):
    idle_s: float = Field(default=0, ge=0, le=30 * 86_400, description="ends after so long without anybody; 0: never")
    duration_s: float = Field(default=0, ge=0, le=30 * 86_400, description="ends after so long; 0: never")


class Destination(Body):
    service: str = Field(max_length=32, examples=["s3"], description="fs, s3, oss, cos, obs, gcs, azblob, …")
    options: dict[LabelName, Option] = Field(default={}, description="opendal's options; credentials are encrypted")


class Callback(Body):
    url: str = Field(max_length=2048, examples=["https://example.com/hook"])
    secret: str = Field(default="", max_length=256, description="signs the callbacks; default: the app's key")
    events: list[EventType] | None = Field(default=None, max_length=len(events.TYPES), description="default: all")


class Library(Body):
    """Finished files go into the app's media library: `/api/v1/media`."""

    tags: list[Tag] = Field(default=[], max_length=MAX_TAGS, json_schema_extra=Once)
    retention_days: float = Field(
        default=0, ge=0, le=36_500, description="after so long a file goes from the library and storage; 0: never"
    )
    name: Pattern = Field(
        default="",
        description="pattern of a file's name in the library, as `naming.file`, with {end} too; default: its object's",
        examples=["{room}_{identity}_{start:%Y-%m-%d-%H-%M-%S}"],
    )

    def to_domain(self) -> domain_library.LibrarySpec:
        return domain_library.LibrarySpec(
            tags=tuple(self.tags), expire_s=math.ceil(self.retention_days * 86_400), name=self.name
        )


class RecordingShape(Body):
    """What a recording is to be, wherever it is. Everything has a default."""

    mode: Literal["individual", "mixed", "page", "snapshot"] = Field(
        default="individual", description="individual or mixed; page and snapshot are not supported yet"
    )
    mix: Mix | None = Field(default=None, description="with mode mixed; default: all of its defaults")
    name: str = Field(default="", max_length=256, pattern=NO_NUL)
    labels: dict[LabelName, Label] = Field(default={}, max_length=32)
    subscription: Subscription = Subscription()
    formats: list[Format] = Field(
        default=[domain.Format.HLS], min_length=1, max_length=len(domain.Format), json_schema_extra=Once
    )
    hls: Hls = Hls()
    tracks: Literal["together", "apart"] = Field(
        default="together",
        description="a participant's picture and sound in one file, or each its own; not of a mix",
    )
    audio_codec: Literal["auto", "aac"] = "auto"
    audio_bitrate: int = Field(default=64_000, ge=16_000, le=320_000)
    video_bitrate: int = Field(default=1_500_000, ge=50_000, le=20_000_000)
    split_s: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="longest file in seconds (10 or more); 0: no split",
        json_schema_extra={"anyOf": [{"const": 0}, {"minimum": 10}]},
    )
    gaps: Gaps = Gaps()
    naming: Naming = Naming()
    preroll_s: float = Field(
        default=0, ge=0, le=60, description="begin so long before this call, at most the ring's length"
    )
    limits: Limits = Limits()
    destination: Destination | None = Field(default=None, description="default: the app's, else the server's disk")
    library: Library | None = Field(default=None, description="instead of `destination`, the app's own storage")
    callback: Callback | None = None

    def in_room(self, app: AppContext, room: str, now_ns: int, idempotency_key: str | None) -> NewRecording:
        """ControlError("invalid") on what only the domain's rules refuse."""
        images = Images()
        mix = self.mix
        if mix is None and self.mode == "mixed":
            mix = Mix()
        if mix is not None and not mix.individual and self.tracks == "apart":
            message = "a mix has its picture and sound together; participants' own are apart (with mix.individual)"
            raise ControlError("invalid", message, "tracks")
        try:
            library = None if self.library is None else self.library.to_domain()
            spec = domain.RecordingSpec(
                id=new_id(),
                app=app.id,
                room=room,
                mode=domain.Mode(self.mode),
                subscription=self.subscription.to_domain(),
                formats=tuple(self.formats),
                hls=domain.Hls(**self.hls.model_dump()),
                tracks=self.tracks,
                audio_codec=self.audio_codec,
                audio_bitrate=self.audio_bitrate,
                video_bitrate=self.video_bitrate,
                split_s=self.split_s,
                gaps=domain.Gaps(**self.gaps.model_dump()),
                naming=domain.Naming(**self.naming.model_dump()),
                preroll_s=self.preroll_s,
                limits=domain.Limits(**self.limits.model_dump()),
                requested_ns=now_ns,
                mix=None if mix is None else mix.to_domain(images),
            )
        except ValueError as error:
            raise ControlError("invalid", str(error)) from error
        destination = callback = None
        if self.destination is not None:
            destination = DestinationSpec(self.destination.service, dict(self.destination.options))
        if self.callback is not None:
            wanted = self.callback.events
            events = None if wanted is None else tuple(wanted)
            callback = CallbackSpec(self.callback.url, self.callback.secret or app.key, events)
        return NewRecording(
            app=app,
            spec=spec,
            name=self.name,
            labels=self.labels,
            destination=destination,
            callback=callback,
            idempotency_key=idempotency_key,
            images=images.sources,
            library=library,
        )


class CreateRecording(RecordingShape):
    """A recording to start. Everything but `room` has a default."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"room": "demo", "formats": ["hls", "mp4"], "callback": {"url": "https://example.com/hook"}}
        },
    )

    room: Identity
    template: Made | None = Field(default=None, description="a template's id: what is not given here is as it says")

    def over(self, template: dict[str, Any]) -> CreateRecording:
        """`template` with what this call gives put over it, field by field."""
        given = self.model_dump(mode="json", exclude_unset=True, exclude={"template"})
        try:
            return CreateRecording.model_validate({**template, **given})
        except ValidationError as error:  # of another version of the server
            raise ControlError("invalid", f"the template does not fit: {error}"[:500], "template") from error


class ChangeRecording(Body):
    """What is given changes from now on; the rest stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "scene": {"layout": {"preset": "vertical", "focus": "teacher"}, "background": {"color": "#102030"}}
            }
        },
    )

    subscription: Subscription | None = Field(default=None, description="replaces the one before as a whole")
    scene: ChangeScene | None = Field(default=None, description="of a recording of mode mixed")


class PlannedTrack(BaseModel):
    """A track of somebody who is there now. `formats` and `mixed`: "copy", "dropped", or "transcode to" a codec."""

    identity: str
    source: str
    kind: str
    codec: str
    formats: dict[str, str]
    mixed: str | None = Field(default=None, description="into what a mix turns it")


class Plan(BaseModel):
    """What is copied and what is transcoded: by format and codec, and for the tracks that are there now."""

    formats: dict[str, dict[str, str]]
    tracks: list[PlannedTrack]


class Recording(BaseModel):
    id: str
    room: str
    mode: domain.Mode
    state: domain.State
    reason: str = Field(description="why it ended: requested, idle, max_duration, disk_full or error")
    message: str
    name: str
    labels: dict[str, str]
    dialect: str
    created_at: str | None
    started_at: str | None
    stopped_at: str | None
    finished_at: str | None
    subscription: Annotated[dict[str, Any], WithJsonSchema(shape_of(domain.Subscription))]
    formats: list[domain.Format]
    spec: Annotated[dict[str, Any], WithJsonSchema(shape_of(domain.RecordingSpec))] = Field(
        description="everything that was asked for, defaults filled in"
    )
    destination: dict[str, str] = Field(description="service and what may be shown of it; never credentials")
    library: Annotated[dict[str, Any], WithJsonSchema(shape_of(domain_library.LibrarySpec))] | None = Field(
        description="with what its files go into the library, if they do"
    )
    rule: str | None = Field(description="the auto-record rule that started it, if one did")
    callback: bool = Field(description="whether events are sent somewhere")
    plan: Plan | None = Field(default=None, description="in the answer to a start")


class Recordings(BaseModel):
    recordings: list[Recording]
    next: str = Field(description="cursor of the next page; empty: there is none")


def recording(row: tables.Recording, destination: tables.Destination | None, plan: Plan | None = None) -> Recording:
    """A row as the API shows it."""
    spec = {name: value for name, value in row.spec.items() if name not in ("id", "app", "requested_ns")}
    shown = {"service": "fs"} if destination is None else {"service": destination.service, **destination.described}
    if shown["service"] == "fs":
        shown.pop("root", None)  # a path of the server
    return Recording(
        id=row.id,
        room=row.room,
        mode=domain.Mode(row.mode),
        state=domain.State(row.state),
        reason=row.reason,
        message=row.message,
        name=row.name,
        labels=row.labels,
        dialect=row.dialect,
        created_at=iso(row.created_ns),
        started_at=iso(row.started_ns),
        stopped_at=iso(row.stopped_ns),
        finished_at=iso(row.finished_ns),
        subscription=row.spec["subscription"],
        formats=[domain.Format(name) for name in row.spec["formats"]],
        spec=spec,
        destination=shown,
        library=row.library,
        rule=row.match.partition(":")[0] if row.match else None,
        callback=row.callback is not None,
        plan=plan,
    )
