"""Random bodies, tokens and ranges of the native API: valid ones are translated whole, others refused in words."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import time
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.tokens import Grant, verify
from reelroom.dialects.native import content, mixed, templates, wire
from reelroom.dialects.native.mixed import ChangeScene
from reelroom.dialects.native.rooms import TokenRequest
from reelroom.domain import events
from reelroom.domain import scene as domain
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.domain.scene import Fit, Preset
from tests.anyjson import json_of, paths

APP = AppContext("a", {"native": {"key": "k" * 32}})
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
colors = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)
identities = st.lists(names, max_size=4)
selections = (
    st.booleans() | st.fixed_dictionaries({"exclude": identities}) | st.fixed_dictionaries({"include": identities})
)
fits = st.sampled_from([str(one) for one in Fit])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def whole(least: int, most: int) -> st.SearchStrategy[Any]:
    """A whole number in either of JSON's spellings."""
    return st.integers(least, most) | st.integers(least, most).map(float)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    preset = draw(st.sampled_from([str(one) for one in Preset]))
    layout = draw(
        some(fit=fits, screen_fit=fits, large_fit=fits | st.none(), focus=names | st.just(""), max_panes=whole(1, 64))
    )
    if preset == "custom":
        unit = st.floats(0, 0.5)
        pane = st.fixed_dictionaries(
            {"x": unit, "y": unit, "width": st.floats(0.1, 0.5), "height": st.floats(0.1, 0.5)},
            optional={"z": whole(-100, 100), "alpha": st.floats(0, 1), "source": st.sampled_from(["", "camera"])},
        )
        layout["panes"] = draw(st.lists(pane, min_size=1, max_size=5))
    if preset == "tables":
        table = {"columns": 4, "rows": 4, "large": [0, 0, 2, 2], "runs": [{"x": 2, "y": 0, "width": 1, "height": 1}]}
        layout["tables"] = [table]
    return layout | {"preset": preset}


surfaces = some(color=colors, fit=fits)
scenes = some(
    layout=layouts(),
    background=surfaces,
    placeholder=surfaces,
    placeholders=st.dictionaries(names, surfaces, max_size=3),
    hold_s=st.floats(0, 3600),
    border=some(width=whole(0, 64), color=colors),
    names=st.none() | some(size=whole(8, 200), texts=st.dictionaries(names, names, max_size=3)),
    watermarks=st.lists(st.fixed_dictionaries({"x": whole(0, 3840), "y": whole(0, 3840), "text": names}), max_size=3),
)
mixes = some(
    width=whole(8, 960).map(lambda half: half * 2),
    height=whole(8, 960).map(lambda half: half * 2),
    fps=whole(1, 60),
    video_codec=st.sampled_from(["h264", "h265", "vp9", "av1"]),
    audio_codec=st.sampled_from(["aac", "opus", "mp3"]),
    channels=whole(1, 2),
    individual=st.booleans(),
    scene=scenes,
)


@st.composite
def starts(draw: st.DrawFn) -> dict[str, Any]:
    """Bodies that are right."""
    body = {"room": draw(names)} | draw(
        some(
            name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
            labels=st.dictionaries(names, names, max_size=3),
            formats=st.lists(st.sampled_from([str(one) for one in Format]), min_size=1, unique=True),
            hls=some(container=st.sampled_from(["fmp4", "ts"]), segment_s=st.floats(2, 30)),
            tracks=st.sampled_from(["together", "apart"]),
            audio_bitrate=whole(16_000, 320_000),
            split_s=st.just(0) | whole(10, 86_400),
            gaps=some(audio=st.sampled_from(["leave", "silence"])),
            naming=some(prefix=st.just("{app}/{recording}/"), file=st.just("{identity}_{source}_{start}")),
            preroll_s=st.floats(0, 60),
            limits=some(idle_s=st.floats(0, 9e5), duration_s=whole(0, 900)),
            destination=st.none() | st.just({"service": "fs", "options": {"root": "x"}}),
            callback=st.none()
            | st.fixed_dictionaries(
                {"url": st.just("https://example.com/")},
                optional={"events": st.none() | st.lists(st.sampled_from(events.TYPES), max_size=4)},
            ),
            library=st.none() | some(tags=st.lists(names, max_size=3, unique=True), retention_days=st.floats(0, 900)),
        )
    )
    subscription = draw(some(audio=selections, video=selections, sources=st.none() | st.just(["camera"])))
    if subscription.get("audio", True) is not False or subscription.get("video", True) is not False:
        body["subscription"] = subscription
    if draw(st.booleans()):
        body["mode"] = "mixed"
        mix = draw(st.none() | mixes)
        if mix is not None and mix.get("audio_codec") == "opus":
            mix["sample_rate"] = 48_000
        if mix is not None and mix.get("video_codec") == "av1":
            mix |= {side: max(64, mix[side]) for side in ("width", "height") if side in mix}
        body["mix"] = mix
        if mix is None or not mix.get("individual"):
            body.pop("tracks", None)
    return body


def translated(body: dict[str, Any]) -> NewRecording:
    """As the route does it."""
    wanted = wire.CreateRecording.model_validate(body)
    return wanted.in_room(APP, wanted.room, 1, None)


def said(new: NewRecording) -> tuple[object, ...]:
    """All that a start says, without its id."""
    spec = msgspec.structs.replace(new.spec, id="0" * 32)
    return spec, new.name, new.labels, new.destination, new.callback, new.library


@MANY
@given(starts())
def test_valid_starts_are_translated(body: dict[str, Any]) -> None:
    new = translated(json.loads(json.dumps(body)))
    assert new.spec.room == body["room"]
    assert [str(one) for one in new.spec.formats] == body.get("formats", ["hls"])
    assert (new.spec.mix is not None) == (body.get("mode") == "mixed")


@MANY
@given(starts())
def test_a_template_starts_what_the_body_would(body: dict[str, Any]) -> None:
    room = body.pop("room")
    shape = wire.RecordingShape.model_validate(body)
    kept = json.loads(json.dumps(templates.kept(shape)))
    assert said(templates.new_recording(APP, kept, room, 1, None)) == said(shape.in_room(APP, room, 1, None))
    over = wire.CreateRecording.model_validate({"room": room}).over(kept)
    assert said(over.in_room(APP, room, 1, None)) == said(shape.in_room(APP, room, 1, None))


@MANY
@given(scenes, scenes)
def test_a_change_is_what_it_names_over_what_was_there(before: dict[str, Any], change: dict[str, Any]) -> None:
    def scene(body: dict[str, Any]) -> domain.Scene:
        return mixed.Scene.model_validate(body).to_domain(mixed.Images(), "scene")

    asked = mixed.ChangeScene.model_validate(change).to_domain()
    assert asked.edit(scene(before)) == scene(before | change)
    focused = mixed.ChangeScene.model_validate({"focus": "ann"}).to_domain().edit(scene(before))
    assert focused.layout == msgspec.structs.replace(scene(before).layout, focus="ann")


#: JSON as `json.loads` reads it from a request: halves of surrogates, NaN and numbers beyond all others among it.
anything = json_of(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, 2**63, 2**64])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "a\0", "\x7f", "", "5", "true", "{recording", "{start:%", "../x", "*"])
)


@MANY
@given(starts(), st.data())
def test_a_start_with_anything_in_it_is_translated_or_refused(body: dict[str, Any], data: st.DataObject) -> None:
    body = copy.deepcopy(body)
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(paths(body)))
        place: Any = body
        try:
            for key in path:
                place = place[key]
            place[last] = data.draw(anything)
        except (KeyError, IndexError, TypeError):
            continue  # what it was in has been replaced
    try:
        new = translated(body)
    except (ValidationError, ControlError):
        return
    assert msgspec.json.decode(msgspec.json.encode(new.spec), type=RecordingSpec) == new.spec  # a recorder reads it


@MANY
@example(wire.ChangeRecording, {"scene": {}})  # parts that are left out are not null
@given(
    st.sampled_from([wire.CreateRecording, wire.ChangeRecording, wire.Subscription, TokenRequest]),
    st.dictionaries(st.sampled_from(["room", "identity", "formats", "scene", "audio", "ttl_s"]) | st.text(), anything),
)
def test_any_body_is_one_or_is_refused(model: type[BaseModel], body: dict[str, Any]) -> None:
    try:
        found = model.model_validate(body)
    except ValidationError:
        return
    assert model.model_validate(found.model_dump(mode="json", exclude_unset=True)) == found


@pytest.mark.parametrize(
    "body",
    [
        {"split_s": "60"},
        {"split_s": True},
        {"audio_bitrate": "64000"},
        {"mode": "mixed", "mix": {"individual": "yes"}},
        {"mode": "mixed", "mix": {"channels": True}},
        {"mode": "mixed", "mix": {"width": 1280.5}},
        {"subscription": {"audio": 1}},
        {"callback": {"url": "https://example.com/", "events": ["recording.begun"]}},
        {"template": "x"},
        {"subscription": {"audio": {"include": ["a\0"]}}},
        {"limits": {"idle_s": float("nan")}},
    ],
)
def test_what_the_schema_does_not_allow_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        wire.CreateRecording.model_validate({"room": "r", **body})


@pytest.mark.parametrize(
    ("sound", "most"),
    [
        ({"sample_rate": 16_000, "channels": 1}, 96_000),
        ({"audio_codec": "opus", "channels": 1}, 256_000),
        ({"audio_codec": "mp3", "sample_rate": 16_000}, 160_000),
    ],
)
def test_more_bits_than_a_mix_s_sound_can_have_are_refused(sound: dict[str, Any], most: int) -> None:
    def start(bitrate: int) -> NewRecording:
        return translated({"room": "r", "mode": "mixed", "mix": {**sound, "audio_bitrate": bitrate}})

    assert start(most)
    with pytest.raises(ControlError, match=f"{most} bit/s") as refused:
        start(most + 1)
    assert "mix.audio_bitrate" in f"{refused.value.where}: {refused.value.message}"


@pytest.mark.parametrize(
    ("body", "where"),
    [({"mix": {"video_codec": "vp9", "profile": "main"}}, "mix.profile"), ({"tracks": "apart"}, "tracks")],
)
def test_what_a_mix_would_ignore_is_refused(body: dict[str, Any], where: str) -> None:
    with pytest.raises(ControlError) as refused:
        translated({"room": "r", "mode": "mixed", **body})
    assert refused.value.where == where


@pytest.mark.parametrize("name", sorted(ChangeScene.model_fields.keys() - {"names"}))
def test_a_part_of_a_scene_is_left_out_and_not_null(name: str) -> None:
    with pytest.raises(ValidationError):
        ChangeScene.model_validate({name: None})
    assert ChangeScene.model_validate({"names": None}).to_domain()


class Known:
    """One app."""

    async def by_id(self, id: str) -> AppContext | None:
        return APP if id == APP.id else None


def checked(token: str, expired_ok: bool) -> Grant | ControlError:
    try:
        return asyncio.run(verify(Known(), token, expired_ok))  # type: ignore[arg-type]
    except ControlError as error:
        return error


def unsigned(header: bytes, claims: bytes) -> str:
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims, b"x")).decode()


@MANY
@given(st.text(max_size=60) | st.builds(unsigned, st.binary(max_size=60), st.binary(max_size=60)), st.booleans())
@example(unsigned(b'{"alg":"HS256"}', b"[" * 2900), True)
@example(unsigned(b"[" * 2900, b"{}"), False)
@example(unsigned(b'{"alg":"none"}', b'{"iss":"a"}'), False)
@example(unsigned(b'{"alg":"HS256"}', b'{"iss":"\\ud800"}'), False)
def test_no_token_but_a_signed_one_is_taken(token: str, expired_ok: bool) -> None:
    refused = checked(token, expired_ok)
    assert isinstance(refused, ControlError) and refused.kind == "unauthorized"


@MANY
@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "room", "sub", "identity", "permissions", "source", "aud", "jti"]),
        anything,
    ),
    st.booleans(),
)
@example({"exp": 1e400}, False)
@example({"exp": "soon"}, True)
@example({"exp": None}, True)
def test_whatever_an_app_signs_is_understood_or_refused(claims: dict[str, Any], expired_ok: bool) -> None:
    body = {"iss": "a", "room": "r", "sub": "s", "permissions": ["watch"], "exp": int(time.time()) + 60, **claims}
    found = checked(jwt.encode(body, APP.key, "HS256") if _signable(body) else "", expired_ok)
    assert isinstance(found, Grant) or found.kind == "unauthorized"


def _signable(claims: dict[str, Any]) -> bool:
    """Whether PyJWT would sign it: it has opinions of its own on iss and times."""
    try:
        jwt.encode(claims, APP.key, "HS256")
    except (TypeError, ValueError):
        return False
    return True


@MANY
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 50), st.none() | st.integers(0, 50)), max_size=4), st.integers(0, 30)
)
def test_ranges_are_those_that_were_asked_for(specs: list[tuple[int | None, int | None]], size: int) -> None:
    asked = "bytes=" + ", ".join(f"{'' if a is None else a}-{'' if b is None else b}" for a, b in specs)
    found = content.read_ranges(asked, size)
    if not specs or any((a is None and b is None) or (None not in (a, b) and a > b) for a, b in specs):  # type: ignore[operator]
        assert found is None
        return
    wanted = [
        set(range(size)[-b:] if b else ()) if a is None else set(range(size)[a : size if b is None else b + 1])
        for a, b in specs
        if (a, b) != (None, None)
    ]
    assert found is not None
    assert [set(range(first, last + 1)) for first, last in found] == [one for one in wanted if one]


@MANY
@given(st.text(max_size=30), st.integers(0, 30))
def test_any_range_header_is_read(asked: str, size: int) -> None:
    for text in (asked, "bytes=" + asked):
        for first, last in content.read_ranges(text, size) or ():
            assert 0 <= first <= last < size
