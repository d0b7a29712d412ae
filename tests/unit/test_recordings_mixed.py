"""Starting and changing mixed recordings in control: what is checked, kept, shown and told to the recorder."""

import base64
import dataclasses
import io
import json
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from PIL import Image
from sqlalchemy import update

from reelroom.config import Settings
from reelroom.control.apps import AppContext
from reelroom.control.changes import Changes
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.pushes import check_push
from reelroom.control.recorders import Recorders
from reelroom.control.recordings import Recordings
from reelroom.control.starts import Starts
from reelroom.dialects.native import wire
from reelroom.dialects.native.mixed import ChangeScene
from reelroom.domain.lines import Change
from reelroom.domain.lines import ChangeScene as Told
from reelroom.domain.mix import Push
from reelroom.domain.recording import RecordingSpec
from reelroom.domain.scene import Preset
from reelroom.record import commands
from reelroom.record.mixed.srt import parse
from reelroom.record.paths import Paths
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.migrations import upgrade
from reelroom.store.secrets import SecretBox

BEYOND = {"x": 1000, "y": 0, "width": 400, "height": 9}
APP = AppContext("a", {"native": {"key": "k"}})


class Folders(Recorders):
    """Real folders and commands; no process is started."""

    async def start(self, recording: str) -> bool:
        return True


class Made:
    def __init__(self, tmp_path: Path, database: Database, **settings: object) -> None:
        box = SecretBox(Fernet.generate_key())
        self.database = database
        self.folder = tmp_path / "recordings"
        self.folder.mkdir()
        run = Path(tempfile.gettempdir())  # no recorder listens there, and a socket's path must be short
        recorders = Folders(self.folder, run)
        chosen = Settings(dev=True, **settings)  # type: ignore[arg-type]
        self.recordings = Recordings(chosen, database, recorders, Changes(), None)  # type: ignore[arg-type]
        self.starts = Starts(chosen, database, box, recorders)

    def wanted(self, mode: str = "mixed", key: str | None = None, **body: object) -> NewRecording:
        return wire.CreateRecording.model_validate({"room": "r", "mode": mode, **body}).in_room(
            APP, "r", time.time_ns(), key
        )

    async def start(self, **body: object) -> tables.Recording:
        return await self.starts.start(self.wanted(**body))  # type: ignore[arg-type]

    def spec(self, id: str) -> RecordingSpec:
        return msgspec.json.decode((self.folder / id / "spec.json").read_bytes(), type=RecordingSpec)

    def told(self, id: str) -> list[object]:
        return list(commands.Reader(Paths(self.folder / id).commands).read())


@pytest.fixture
async def made(tmp_path: Path):
    database = Database("sqlite://")
    await upgrade(database.engine)
    yield Made(tmp_path, database)
    await database.close()


def picture(color: str = "red", size: tuple[int, int] = (4, 4)) -> str:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


async def test_mixed_has_defaults_for_everything(made: Made) -> None:
    row = await made.start()
    mix = made.spec(row.id).mix
    assert mix is not None
    assert (mix.width, mix.height, mix.fps, mix.scene.layout.preset) == (1280, 720, 30, Preset.BEST_FIT)
    assert row.spec["naming"]["mixed"] == "mixed"


async def test_images_are_in_the_folder_under_their_sha256_before_the_recorder_starts(made: Made) -> None:
    mark = {"x": 0, "y": 0, "image": {"data": picture("blue")}}
    row = await made.start(mix={"scene": {"background": {"image": {"data": picture()}}, "watermarks": [mark]}})
    mix = made.spec(row.id).mix
    assert mix is not None
    names = {path.name for path in (made.folder / row.id / "images").iterdir()}
    assert names == mix.scene.images() == {mix.scene.background.image, mix.scene.watermarks[0].image}
    assert (made.folder / row.id / "images" / mix.scene.background.image).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"mix": {"width": 2048}}, "mix.width"),
        ({"mix": {"gop_s": 10}}, "mix.gop_s"),
        ({"mix": {"audio_codec": "opus", "sample_rate": 44100}}, "mix"),
        ({"mix": {"scene": {"layout": {"preset": "custom"}}}}, "mix"),
        ({"mix": {"scene": {"layout": {"preset": "custom", "panes": [BEYOND]}}}}, "mix.scene"),
        ({"mix": {"scene": {"background": {"image": {"data": "aGVsbG8="}}}}}, "mix.scene.background.image"),
        ({"mix": {"scene": {"background": {"image": {"data": "%"}}}}}, "mix.scene.background.image"),
        ({"mix": {"scene": {"background": {"image": {}}}}}, "mix.scene.background.image"),
        ({"mix": {"scene": {"background": {"image": {"url": "http://169.254.169.254/"}}}}},
         "mix.scene.background.image"),
        ({"mix": {"scene": {"background": {"image": {"sha256": "0" * 64}}}}}, "mix.scene.background.image"),
        ({"mix": {"pushes": [{"id": "a", "url": "rtmp://169.254.169.254/a/b"}]}}, "mix.pushes.0.url"),
        ({"mode": "individual", "mix": {}}, ""),
        ({"naming": {"mixed_segment": "mixed"}}, "naming.mixed_segment"),
    ],
)  # fmt: skip
async def test_what_cannot_be_mixed_is_refused_and_leaves_nothing(made: Made, body: dict, where: str) -> None:
    with pytest.raises(ControlError) as refused:
        await made.start(**body)
    assert (refused.value.kind, refused.value.where) == ("invalid", where)
    assert list(made.folder.iterdir()) == []
    assert await made.recordings.list("a") == ([], "")


async def test_a_larger_picture_is_taken_where_it_is_configured(tmp_path: Path) -> None:
    database = Database("sqlite://")
    await upgrade(database.engine)
    row = await Made(tmp_path, database, mix_max_side=3840).start(mix={"width": 3840, "height": 2160})
    assert row.spec["mix"]["width"] == 3840
    await database.close()


async def test_where_it_is_pushed_to_is_in_the_recorders_spec_and_sealed_in_the_database(made: Made) -> None:
    row = await made.start(mix={"pushes": [{"id": "a", "url": "rtmp://127.0.0.1/app/secret-key?x=1"}]})
    shown = wire.recording(row, None).model_dump_json()
    assert "secret-key" not in shown and "rtmp://127.0.0.1/***" in shown
    assert "secret-key" not in json.dumps(row.spec) and b"secret-key" not in (row.pushes or b"")
    spec = made.spec(row.id)
    assert spec.mix is not None and spec.mix.pushes[0].url == "rtmp://127.0.0.1/app/secret-key?x=1"
    assert (made.folder / row.id / "spec.json").stat().st_mode & 0o077 == 0
    # control was killed before the folder was there: the spec is made again, with its secrets
    (made.folder / row.id / "spec.json").unlink()
    assert await made.starts.start_late(0) == 1
    assert made.spec(row.id) == spec


@pytest.mark.parametrize(
    "url",
    ["rtmp://127.0.0.1/", "srt://127.0.0.1", "srt://127.0.0.1:9?mode=listener", "srt://127.0.0.1:9?localip=1.1.1.1",
     "rtmp://nobody.invalid/a/b", "rtmp://127.0.0.1\\@8.8.8.8/a/b", "rtmp://127.0.0.%31/a/b",
     "srt://127.0.0.1:9?maxbw=1", "srt://127.0.0.1:9?passphrase=short", "srt://127.0.0.1:9?pbkeylen=8",
     "srt://127.0.0.1:9?mode=listener&mode=caller"],
)  # fmt: skip
async def test_pushes_that_listen_or_lead_nowhere_are_refused(url: str) -> None:
    with pytest.raises(ControlError):
        await check_push(Push(id="a", url=url), True, "")


async def test_a_start_with_a_taken_id_puts_nothing_into_the_other_s_folder(made: Made) -> None:
    row = await made.start()
    new = made.wanted(mix={"scene": {"background": {"image": {"data": picture("green")}}}})
    again = dataclasses.replace(new, spec=msgspec.structs.replace(new.spec, id=row.id))
    with pytest.raises(ControlError, match="exists already"):
        await made.starts.start(again)
    assert not (made.folder / row.id / "images").exists()
    assert (made.folder / row.id / "spec.json").exists()


@pytest.mark.parametrize(
    "query", ["", "streamid=%23!::r=a/b,m=publish", "passphrase=0123456789&pbkeylen=32&latency=200000&mode=caller",
              "transtype=live&pkt_size=1316"],
)  # fmt: skip
async def test_what_is_taken_of_srt_is_what_can_be_sent(query: str) -> None:
    url = f"srt://127.0.0.1:9?{query}"
    await check_push(Push(id="a", url=url), True, "")
    parse(url)


async def test_pushes_into_the_servers_own_network_are_refused() -> None:
    with pytest.raises(ControlError, match="loopback or private"):
        await check_push(Push(id="a", url="srt://127.0.0.1:9000?streamid=x"), False, "")
    await check_push(Push(id="a", url="srt://127.0.0.1:9000?streamid=x"), True, "")


async def recording(made: Made, **body: object) -> str:
    row = await made.start(**body)
    async with made.database.transaction() as session:
        await session.execute(update(tables.Recording).where(tables.Recording.id == row.id).values(state="recording"))
    return row.id


async def change(made: Made, id: str, **scene: object) -> tables.Recording:
    wanted = ChangeScene.model_validate(scene).to_domain()
    return await made.recordings.change("a", id, scene=wanted)


async def test_a_change_replaces_the_parts_that_it_names_and_keeps_the_rest(made: Made) -> None:
    names = {"size": 30, "texts": {"ann": "安"}}
    id = await recording(made, mix={"scene": {"names": names, "background": {"image": {"data": picture()}}}})
    before = made.spec(id).mix
    assert before is not None
    await change(made, id, layout={"preset": "vertical", "focus": "ann"}, border={"width": 4})
    await change(made, id, focus="bob")
    row = await change(made, id, names=None, watermarks=[{"x": 1, "y": 2, "text": "live"}])
    first, second, third = made.told(id)
    assert isinstance(first, Told) and isinstance(second, Told) and isinstance(third, Told)
    assert (first.scene.layout.focus, first.scene.border.width, first.scene.names) == ("ann", 4, before.scene.names)
    assert second.scene == msgspec.structs.replace(
        first.scene, layout=msgspec.structs.replace(first.scene.layout, focus="bob")
    )
    assert third.scene.names is None and third.scene.watermarks[0].text == "live"
    assert third.scene.background == before.scene.background  # whose image is in the folder still
    assert msgspec.convert(row.spec, RecordingSpec).mix.scene == third.scene  # type: ignore[union-attr]
    assert first.at_ns <= second.at_ns <= third.at_ns


async def test_a_change_of_scene_and_subscription_is_one(made: Made) -> None:
    id = await recording(made)
    subscription = wire.Subscription.model_validate({"video": {"include": ["ann"]}}).to_domain()
    await made.recordings.change("a", id, subscription, ChangeScene(focus="ann").to_domain())
    first, second = made.told(id)
    assert isinstance(first, Change) and isinstance(second, Told)
    assert first.at_ns == second.at_ns


@pytest.mark.parametrize(
    "scene",
    [
        {"background": {"image": {"data": "aGVsbG8="}}},
        {"background": {"image": {"sha256": "0" * 64}}},
        {"layout": {"preset": "custom", "panes": [BEYOND]}},
    ],
)
async def test_a_wrong_change_is_refused_and_not_told(made: Made, scene: dict) -> None:
    id = await recording(made)
    with pytest.raises(ControlError) as refused:
        await change(made, id, **scene)
    assert refused.value.kind == "invalid" and refused.value.where.startswith("scene")
    assert made.told(id) == []


async def test_an_individual_recording_has_no_scene(made: Made) -> None:
    id = await recording(made, mode="individual")
    with pytest.raises(ControlError, match="has no scene"):
        await change(made, id, focus="ann")


async def test_a_key_replays_a_mixed_start_without_looking_at_its_images_again(made: Made) -> None:
    body = {"mix": {"scene": {"background": {"image": {"data": picture()}}}}}
    first, _ = await made.starts.start_once(made.wanted(key="k", **body))
    again, replayed = await made.starts.start_once(made.wanted(key="k", **body))
    assert replayed and again.id == first.id
    assert [path.name for path in made.folder.iterdir()] == [first.id]
