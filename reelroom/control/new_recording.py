"""What a start of a recording says, and whether it may be. Starts nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from reelroom.config import Settings
from reelroom.control.apps import AppContext
from reelroom.control.destinations import DestinationSpec
from reelroom.control.errors import ControlError
from reelroom.control.images import ImageSource
from reelroom.domain.layout import check_layout
from reelroom.domain.library import LibrarySpec
from reelroom.domain.mix import Mix
from reelroom.domain.naming import check_naming, used
from reelroom.domain.recording import Format, Mode, RecordingSpec


@dataclass(frozen=True, slots=True)
class CallbackSpec:
    """Where events go. `events` None: all; `extra`: what a dialect needs to render them."""

    url: str
    secret: str = field(repr=False, default="")
    events: tuple[str, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRecording:
    """Everything a start needs. `spec.id` is chosen by the caller (`new_id`), `spec.app` must be `app.id`."""

    app: AppContext
    spec: RecordingSpec
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    destination: DestinationSpec | None = None  # None: the app's, else local storage
    callback: CallbackSpec | None = None
    dialect: str = "native"
    dialect_data: dict[str, Any] = field(default_factory=dict)
    task: str | None = None  # what the dialect calls several recordings by; finished files are listed by it
    idempotency_key: str | None = None
    must_resolve: bool = True  # the destination's host, now; False for providers' own, which no caller made up
    images: Mapping[str, ImageSource] = field(default_factory=dict)  # of the scene, by the name that it has there
    library: LibrarySpec | None = None  # finished files go into the app's library; then `destination` is None
    match: str = ""  # a rule started it, for this (domain/rules.py's Match.key)


def check(new: NewRecording, settings: Settings) -> None:
    """What RecordingSpec cannot check by itself. ControlError."""
    spec = new.spec
    if spec.mode not in (Mode.INDIVIDUAL, Mode.MIXED):
        raise ControlError("not_supported", f"mode {spec.mode} is not supported; use individual or mixed", "mode")
    if spec.preroll_s > settings.ring_s:
        raise ControlError("invalid", f"must be at most the ring's length, {settings.ring_s:g} s", "preroll_s")
    if spec.mix is not None:
        _check_mix(spec, spec.mix, settings.mix_max_side)
    try:
        check_naming(spec.naming, spec.formats, bool(spec.hls.split_s))
    except ValueError as error:
        where, _, message = str(error).partition(" ")
        raise ControlError("invalid", message, where) from error
    if new.library is not None:
        _check_library(new)


def _check_library(new: NewRecording) -> None:
    if new.destination is not None:
        message = "files of the library are in the app's own storage: leave destination out"
        raise ControlError("invalid", message, "destination")
    if "recording" not in used(new.spec.naming.prefix):
        raise ControlError("invalid", "must have {recording} for files of the library", "naming.prefix")


def _check_mix(spec: RecordingSpec, mix: Mix, max_side: int) -> None:
    for name, side in (("width", mix.width), ("height", mix.height)):
        if side > max_side:
            raise ControlError("invalid", f"must be at most {max_side} pixels on this server", f"mix.{name}")
    if Format.HLS in spec.formats and mix.gop_s > spec.hls.segment_s:
        raise ControlError("invalid", f"must be at most the segments' length, {spec.hls.segment_s:g} s", "mix.gop_s")
    try:
        check_layout(mix.scene.layout, mix.width, mix.height)
    except ValueError as error:
        raise ControlError("invalid", str(error), "mix.scene") from error


def fingerprint(new: NewRecording) -> str:
    """The same for the same request: without what each call makes anew."""
    spec = msgspec.structs.replace(new.spec, id="0" * 32, requested_ns=0)
    destination = new.destination and (new.destination.service, dict(sorted(new.destination.options.items())))
    callback = new.callback and (
        new.callback.url,
        new.callback.secret,
        new.callback.events,
        new.callback.extra,
    )
    said: tuple[object, ...] = (spec, new.name, dict(sorted(new.labels.items())), destination, callback, new.dialect)
    if new.library is not None:
        said += (new.library,)
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()
