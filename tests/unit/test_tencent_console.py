"""What an app's settings switch on: rules and templates, and what these record. No sockets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.control.apps import AppContext
from reelroom.control.errors import ControlError
from reelroom.control.rules import Rules
from reelroom.control.templates import Declined, Templates, recording_of
from reelroom.dialects.tencent import console, given
from reelroom.dialects.tencent.settings import check_settings
from reelroom.domain.library import LibrarySpec
from reelroom.domain.recording import Format
from reelroom.domain.rules import Match
from reelroom.store.secrets import SecretBox
from tests.unit.agora_server import KEY
from tests.unit.tencent_server import SDK_APP_ID, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        made.rooms.identities = ["somebody"]
        yield made


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"formats": "hls,avi"}, "formats"),
        ({"formats": "hls,hls"}, "none twice"),
        ({"file_minutes": "0"}, "file_minutes"),
        ({"retention_days": "1801"}, "retention_days"),
        ({"resume_s": "1801"}, "resume_s"),
        ({"stream_ids": "md5"}, "needs bizid"),
        ({"generation": "new", "auto_record": "true"}, "auto_record"),
        ({"generation": "classic", "auto_task": "true"}, "auto_task"),
        ({"task_formats": "mp4,aac"}, "task_formats must be"),
        ({"task_formats": "aac"}, "task_streams audio"),
        ({"task_resume_s": "0"}, "task_resume_s"),
        ({"console": "2020", "file_minutes": "4"}, "console 2020"),
        ({"console": "2020", "retention_days": "1081"}, "console 2020"),
        ({"console": "2020", "resume_s": "301"}, "console 2020"),
        ({"unheard": "1"}, "unheard"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_settings(wrong)


async def test_settings_become_rules_and_change_and_go(server: Server) -> None:
    templates = Templates(server.database, SecretBox(KEY))
    rules = Rules(server.database, templates)
    app: AppContext = (await server.apps.list())[0]
    library: Any = SimpleNamespace(key=b"k" * 32)

    async def apply(**defaults: str) -> dict[str, Any]:
        app.defaults["tencent"] = defaults
        await console.apply(app, templates, rules, library)
        made = {}
        for stored in rules.list("dev", "tencent"):
            template = await templates.get("dev", "tencent", stored.rule.template)
            made[stored.name.rpartition(" ")[2]] = (template.body["formats"], stored.rule.resume_s)
        return made

    assert await apply() == {}
    on = {"auto_record": "true", "formats": "hls,mp4,flv,aac", "file_minutes": "5", "retention_days": "2"}
    assert await apply(**on) == {"all": (["hls", "mp4", "flv", "aac"], 1)}
    assert await apply(**on, resume_s="300") == {"hls": (["hls"], 300), "files": (["mp4", "flv", "aac"], 1)}
    stored = next(rule for rule in rules.list("dev") if rule.name.endswith("files"))
    template = await templates.get("dev", "tencent", stored.rule.template)
    match = Match(rule=stored.id, app="dev", room="1001", identity="anchor01", output="screen")
    new = await recording_of(template, app, "1001", time.time_ns(), match)
    assert new.spec.split_s == 300
    assert new.dialect_data["stream"] == f"{SDK_APP_ID}_1001_anchor01_aux"
    assert not new.dialect_data["pushes"]
    assert new.library is not None
    assert new.library.expire_s == 2 * 86_400
    begin = 1_581_826_332 * 10**9  # 2020-02-16 12:12:12 in UTC+8
    values: dict[str, str | int] = {
        "app": "dev", "room": "1001", "recording": "r", "identity": "anchor01", "source": "screen", "kind": "av",
        "output": "001", "format": "mp4", "started": begin, "start": begin, "end": begin + 3661 * 10**9, "sequence": 1,
        "index": 0,
    }  # fmt: skip
    spec: LibrarySpec = new.library
    named = f"{SDK_APP_ID}_1001_anchor01_aux"
    assert spec.names(values, "r/x.mp4") == (f"{named}_2020-02-16-12-12-12_2020-02-16-13-13-13", named)
    given.remember(("dev", "1001", "anchor01", "screen"), "stream1001", "lesson7")
    own = await recording_of(template, app, "1001", time.time_ns(), match)
    given.remember(("dev", "1001", "anchor01", "screen"), "", "")
    assert own.library is not None
    assert own.library.names(values, "r/x.mp4") == (
        "lesson7_aux_2020-02-16-12-12-12_2020-02-16-13-13-13", "stream1001",
    )  # fmt: skip
    assert "userdefinerecordid=lesson7" in own.dialect_data["stream_param"]
    with pytest.raises(ControlError):
        given.remember(("dev", "1001", "anchor01", "screen"), "a/b", "")
    assert await apply(formats="hls") == {}
    assert not rules.list("dev")


async def test_only_streams_with_a_record_id_are_recorded_where_users_are_specified(server: Server) -> None:
    templates, app = Templates(server.database, SecretBox(KEY)), (await server.apps.list())[0]
    chosen = check_settings({"auto_record": "true", "streams": "specified"})
    ((body, _, _),) = console.wanted(chosen, "00").values()
    template = await templates.create("dev", "tencent", "t", body)
    match = Match(rule="r", app="dev", room="1001", identity="anchor01", output="camera")
    with pytest.raises(Declined):
        await recording_of(template, app, "1001", 1, match)
    given.remember(("dev", "1001", "anchor01", "camera"), "", "lesson7")
    made = await recording_of(template, app, "1001", 1, match)
    given.remember(("dev", "1001", "anchor01", "camera"), "", "")
    assert made.library is not None
    assert made.library.name.startswith("lesson7_main_")


async def test_tasks_that_nobody_calls_for(server: Server) -> None:
    templates = Templates(server.database, SecretBox(KEY))
    rules = Rules(server.database, templates)
    app: AppContext = (await server.apps.list())[0]

    async def task(room: str, **settings: str) -> Any:
        app.defaults["tencent"] = {"auto_task": "true", **settings}
        await console.apply(app, templates, rules, SimpleNamespace(key=b"k" * 32))  # type: ignore[arg-type]
        (stored,) = rules.list("dev", "tencent")
        assert stored.rule.per == "room"
        template = await templates.get("dev", "tencent", stored.rule.template)
        match = Match(rule=stored.id, app="dev", room=room)
        return stored.rule, await recording_of(template, app, room, time.time_ns(), match)

    rule, made = await task("1001", retention_days="2")
    assert (rule.resume_s, made.spec.formats, made.spec.mode) == (30, (Format.MP4,), "individual")
    assert (made.spec.split_s, made.spec.split_bytes, made.library.expire_s) == (86_400, 2 * 1024**3, 172_800)
    assert made.spec.naming.finished.startswith(f"{SDK_APP_ID}_1001__UserId_s_")
    assert made.dialect_data["auto"]
    more = {"task_mode": "mixed", "task_formats": "hls,aac", "task_streams": "audio", "task_resume_s": "5"}
    rule, made = await task("a b", task_storage="app", **more)
    assert (rule.resume_s, made.spec.formats, made.spec.mode) == (5, (Format.HLS, Format.AAC), "mixed")
    assert (made.library, made.destination, made.spec.subscription.video) == (None, None, None)
    assert made.spec.naming.mixed == f"{SDK_APP_ID}_YSBi"
    with pytest.raises(ControlError, match="letters"):
        await task("\u4e2d")
