"""Agora's postponed transcoding and mixing: what a start becomes, what calls list, what is told. No processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.dialects.agora import delivery, postponed, translate
from reelroom.dialects.agora.callbacks import render
from reelroom.dialects.agora.errors import ServiceError
from reelroom.dialects.agora.wire import StartRequest, parse
from reelroom.domain import events, lines
from reelroom.domain.naming import Names
from reelroom.domain.recording import Format, Mode, RecordingSpec
from reelroom.store import tables
from tests.unit.agora_server import STORAGE, Server, refused, serving

SID = "9f0c6a1e2b7d4835a1c0de55f0e4b621"
POLICY = {"combinationPolicy": "postpone_transcoding"}
START_NS = 1_785_226_400_390 * 10**6


def spec(
    recording: dict[str, Any] | None = None,
    options: Any = None,
    scene: int = 2,
    policy: Any = POLICY,
    mode: str = "individual",
    **more: Any,
) -> RecordingSpec:
    body = {"storageConfig": STORAGE, "recordingConfig": recording, "appsCollection": policy, **more}
    request = parse(StartRequest, body | ({} if options is None else {"transcodeOptions": options}), "clientRequest")
    names = {"sid": SID, "app": "dev", "cname": "room-7"}
    return translate.spec(request, **names, prefix="dirA/", requested_ns=1, mode=mode, scene=scene)[0]


def options(mode: str, format_: str | None = None, **audio: str) -> dict[str, Any]:
    made: dict[str, Any] = {"transConfig": {"transMode": mode}}
    if format_ is not None:
        made["container"] = {"format": format_}
    return made | ({"audio": audio} if audio else {})


def wrong(*args: Any, **named: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        spec(*args, **named)
    assert (caught.value.status, caught.value.code) == (400, 2)
    return caught.value.reason


def file(format_: str, kind: str, identity: str, output: str) -> lines.File:
    return lines.File(
        output=output, identity=identity, source="camera" if identity else "mixed", kind=kind, format=format_, path="x",
        bytes=1, sha256="", start_ns=START_NS, end_ns=0, media_start_ns=0, duration_ns=0,
    )  # fmt: skip


@pytest.mark.parametrize("asked", [None, options("postponeTranscoding"), options("postponeTranscoding", "mp4")])
def test_postponed_transcoding_is_one_mp4_of_each_users_picture_and_sound_beside_hls(asked: Any) -> None:
    made = spec(options=asked)
    assert (made.mode, made.formats, made.merged, made.tracks) == (
        Mode.INDIVIDUAL, (Format.HLS, Format.MP4), True, "apart",
    )  # fmt: skip
    assert postponed.mode_of(made) == postponed.TRANSCODE
    names = Names(made)
    for kind in ("av", "audio", "video"):  # who sent only one of them has an MP4 of that
        assert names.file(file("mp4", kind, "41", "001")) == f"dirA/{SID}_room-7__uid_s_41__uid_e_0.mp4"


@pytest.mark.parametrize("streams", ["default", "standard"])
def test_postponed_transcoding_goes_with_both_kinds_of_indexes(streams: str) -> None:
    assert spec({"streamMode": streams}).joined == (streams == "standard")


@pytest.mark.parametrize(
    ("asked", "format_", "codec"),
    [(None, "mp3", "mp3"), ("mp3", "mp3", "mp3"), ("m4a", "m4a", "aac"), ("aac", "aac", "aac")],
)
def test_postponed_mixing_is_one_sound_of_everybody_beside_each_users_hls(
    asked: str | None, format_: str, codec: str
) -> None:
    made = spec({"streamTypes": 0, "streamMode": "original"}, options("audioMix", asked))
    assert made.mix is not None
    assert (made.mode, made.formats, made.audio_codec) == (Mode.MIXED, (Format.HLS,), "auto")
    assert (made.mix.individual, made.mix.formats, made.mix.audio_codec) == (True, (format_,), codec)
    assert (made.mix.sample_rate, made.mix.audio_bitrate, made.mix.channels) == (48_000, 48_000, 2)
    assert made.subscription.video is None
    assert postponed.mode_of(made) == postponed.AUDIO_MIX
    assert Names(made).file(file(format_, "audio", "", "000")) == f"dirA/{SID}_room-7_0.{format_}"
    output = lines.OutputOpened(output="001", identity="41", source="camera", kind="audio", start_ns=0)
    assert Names(made).playlist(output) == f"dirA/{SID}_room-7__uid_s_41__uid_e_audio.m3u8"


def test_the_sound_of_a_postponed_mix() -> None:
    made = spec({"streamTypes": 0}, options("audioMix", sampleRate="16000", bitrate="48000", channels="1"))
    assert made.mix is not None
    assert (made.mix.sample_rate, made.mix.audio_bitrate, made.mix.channels) == (16_000, 48_000, 1)
    assert made.audio_codec == "aac"


@pytest.mark.parametrize("scene", [0, 2])
def test_editions_differ_in_the_scene_that_postponed_work_needs(scene: int) -> None:
    assert postponed.mode_of(spec(scene=scene)) == postponed.TRANSCODE


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"policy": None}, "combinationPolicy"),
        ({"policy": {"combinationPolicy": "default"}}, "combinationPolicy"),
        ({"policy": {"combinationPolicy": "later"}}, "appsCollection.combinationPolicy"),
        ({"policy": None, "scene": 0, "options": options("audioMix")}, "transcodeOptions needs"),
        ({"mode": "mix"}, "mode individual"),
        ({"options": {}}, "transConfig"),
        ({"options": options("both")}, "transMode"),
        ({"options": options("postponeTranscoding", "mp3")}, "container.format must be 'mp4'"),
        ({"options": options("postponeTranscoding", channels="1")}, "transcodeOptions.audio"),
        ({"recording": {"streamTypes": 0, "streamMode": "original"}}, "streamMode 'original'"),
        ({"options": options("audioMix")}, "streamTypes must be 0"),
        ({"recording": {"streamTypes": 0}, "options": options("audioMix", "mp4")}, "container.format"),
        ({"recording": {"streamTypes": 0}, "options": options("audioMix", "ogg")}, "container.format"),
        ({"recording": {"streamTypes": 0}, "options": options("audioMix", sampleRate="44100")}, "audio.sampleRate"),
        ({"recording": {"streamTypes": 0}, "options": options("audioMix", bitrate="96000")}, "audio.bitrate"),
        ({"recording": {"streamTypes": 0}, "options": options("audioMix", channels="3")}, "audio.channels"),
        ({"recordingFileConfig": {"avFileType": ["hls", "mp4"]}}, "avFileType"),
    ],
)
def test_what_does_not_go_together_is_said(named: dict[str, Any], says: str) -> None:
    assert says in wrong(**named)


def test_what_clients_send_for_nothing_is_nothing() -> None:
    made = spec(policy={"combinationPolicy": ""}, scene=0)
    assert postponed.mode_of(made) == "" and made.formats == (Format.HLS,)
    python = {"transConfig": {"transMode": "postponeTranscoding"}, "container": None, "audio": {"bitrate": None}}
    assert postponed.mode_of(spec(options=python)) == postponed.TRANSCODE


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as made:
        yield made


async def test_scene_2_needs_its_policy_at_start(server: Server) -> None:
    resource_id = await server.acquire(scene=2)
    refused(await server.start(resource_id), 400, 2, "combinationPolicy")
    assert (await server.start(resource_id, appsCollection=POLICY)).status_code == 200


async def postpones(server: Server) -> tuple[str, str]:
    """A recording with an index and a slice in storage, whose MP4 is not."""
    resource_id = await server.acquire(scene=2)
    sid = (await server.start(resource_id, appsCollection=POLICY)).json()["sid"]
    await server.slice(sid, "audio", "001", START_NS)
    made: dict[str, Any] = {"recording": sid, "output": "001", "path": "", "format": "mp4", "state": "pending"}
    opened = {"output": "001", "identity": "41", "source": "camera", "kind": "audio", "start_ns": START_NS}
    async with server.database.transaction() as session:
        session.add(tables.File(role="file", key=f"dirA/{sid}_0.mp4", line=opened, **made))
    return resource_id, sid


async def test_stop_does_not_wait_for_what_is_postponed_and_does_not_list_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "STOP_WAIT_S", 3600.0)
    resource_id, sid = await postpones(server)
    server.recorders.end = "finishing"  # type: ignore[assignment]
    async with asyncio.timeout(120):
        answer = (await server.call("stop", resource_id, sid)).json()["serverResponse"]
    index = f"dirA/{sid}_room-7__uid_s_41__uid_e_audio.m3u8"
    assert (answer["uploadingStatus"], [each["fileName"] for each in answer["fileList"]]) == ("uploaded", [index])
    assert (await server.call("query", resource_id, sid)).json()["serverResponse"]["status"] == 6


async def test_stop_waits_for_what_was_recorded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "STOP_WAIT_S", 0.6)
    monkeypatch.setattr(delivery, "BACKUP_AFTER_S", 0.3)
    resource_id, sid = await postpones(server)
    await server.slice(sid, "video", "002", START_NS, state="pending")
    server.recorders.end = "finishing"  # type: ignore[assignment]
    refused(await server.call("stop", resource_id, sid), 500, 50)


def listed(role: str, identity: str, key: str) -> dict[str, Any]:
    return {"role": role, "key": key, "identity": identity, "kind": "audio", "output": "001", "start_ns": START_NS}


def told(mode: str, *files: dict[str, Any]) -> list[dict[str, Any]]:
    recording: Any = SimpleNamespace(
        id=SID, room="room-7", dialect_data={"uid": "900001", "mode": "individual", "postponed": mode}
    )
    event: Any = SimpleNamespace(type=events.FINISHED, id="e", at_ns=START_NS, data={"files": list(files)})
    return [json.loads(made.body) for made in render(event, recording, {"url": "http://x"}, None)]


def test_the_end_is_told_in_two_phases() -> None:
    made = told(
        postponed.TRANSCODE,
        listed("playlist", "41", "a.m3u8"),
        listed("file", "41", "41_0.mp4"),
        listed("file", "41", "41_1.mp4"),
        listed("playlist", "7", "b.m3u8"),
        listed("file", "7", "7_0.mp4"),
    )
    assert [(each["eventType"], each["payload"]["serviceType"]) for each in made] == [
        (33, 2), (31, 2), (11, 0), (80, 7), (81, 7), (1001, 0),
    ]  # fmt: skip
    first, later = "postpone_transcode::rtc_record", "postpone_transcode::transcode"
    assert [each["payload"]["serviceScene"] for each in made] == [first] * 3 + [later] * 3
    details = [each["payload"]["details"] for each in made]
    assert [each["fileName"] for each in details[1]["fileList"]] == ["a.m3u8", "b.m3u8"]
    assert details[4] == {
        "msgName": "transcoder_completed",
        "result": "all_success",
        "uids": [
            {"uid": "7", "result": "success", "fileList": [{"fileName": "7_0.mp4", "filename": "7_0.mp4"}]},
            {
                "uid": "41",
                "result": "success",
                "fileList": [{"fileName": f"41_{n}.mp4", "filename": f"41_{n}.mp4"} for n in range(2)],
            },
        ],
    }
    assert details[5]["result"] == "total_success"
    assert {each["fileName"] for each in details[5]["fileList"]} == {"7_0.mp4", "41_0.mp4", "41_1.mp4"}


def test_what_could_not_be_made_is_told() -> None:
    index, other = listed("playlist", "41", "a.m3u8"), listed("playlist", "57", "b.m3u8")
    some = told(postponed.TRANSCODE, index, other, listed("file", "57", "57_0.mp4"))
    assert (some[4]["payload"]["details"]["result"], some[5]["payload"]["details"]["result"]) == (
        "partial_success", "partial_success",
    )  # fmt: skip
    assert some[4]["payload"]["details"]["uids"][0] == {"uid": "41", "result": "fail", "fileList": []}
    none = told(postponed.TRANSCODE, index, other)
    assert (none[4]["payload"]["details"]["result"], none[5]["payload"]["details"]["result"]) == ("fail", "failed")


def test_a_postponed_mix_is_everybodys() -> None:
    made = told(postponed.AUDIO_MIX, listed("playlist", "41", "a.m3u8"), listed("file", "", "mix_0.mp3"))
    assert made[4]["payload"]["details"]["uids"] == [
        {"uid": "0", "result": "success", "fileList": [{"fileName": "mix_0.mp3", "filename": "mix_0.mp3"}]}
    ]
    failed = told(postponed.AUDIO_MIX, listed("playlist", "41", "a.m3u8"))
    assert failed[5]["payload"]["details"]["result"] == "failed"


def test_without_anything_recorded_there_is_nothing_to_transcode() -> None:
    assert [each["eventType"] for each in told(postponed.TRANSCODE)] == [11]
