"""`./run bench start|hour|thousand`: how long starting and stopping take, and what recordings leave in memory."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec.structs import replace

from benchmarks.finish_hour import SEGMENT_S, record
from benchmarks.individual import KEY, _tree
from benchmarks.peers.measure import cpu_and_rss
from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.domain.lines import AnyLine, File, Init, Opened, Segment
from reelroom.domain.recording import Format, RecordingSpec
from reelroom.record.journal import Journal, make_key, sync_and_hash
from reelroom.record.paths import Paths
from tests.servers import Server

Say = Callable[[str], None]


def start_latency(starts: int, say: Say) -> dict[str, Any]:
    """Milliseconds from the start call to the answer and to the first frame on disk, with one person in the room."""
    with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
        server = Server(Path(folder) / "data").start()
        try:
            return asyncio.run(_start_latency(server, starts, say))
        finally:
            server.stop()


async def _start_latency(server: Server, starts: int, say: Say) -> dict[str, Any]:
    answered, on_disk, before_call = [], [], 0
    async with httpx.AsyncClient(base_url=server.url, headers=KEY, timeout=30, trust_env=False) as api:
        publisher = await _publish(api, server.url)
        speaking = asyncio.create_task(publisher.run(3600))
        await asyncio.sleep(2)
        for index in range(starts):
            wall_ns, began = time.time_ns(), time.perf_counter()
            made = (await api.post("/api/v1/recordings", json={"room": "bench", "formats": ["hls"]})).json()
            answered.append((time.perf_counter() - began) * 1e3)
            where = Paths(server.data / "recordings" / made["id"])
            while not any(path.stat().st_size > 4096 for path in where.wal.glob("*.wal")):
                await asyncio.sleep(0.002)
            on_disk.append((time.perf_counter() - began) * 1e3)
            await api.post(f"/api/v1/recordings/{made['id']}/stop", params={"wait_s": 20})
            opened = next(b for b in _bodies(where.journal) if b["type"] == "outputopened")
            before_call += opened["start_ns"] <= wall_ns
            if (index + 1) % 20 == 0:
                say(f"{index + 1} of {starts}")
        speaking.cancel()
        await publisher.close()
    return {
        "starts": starts,
        "answer_ms": _spread(answered),
        "first_frame_on_disk_ms": _spread(on_disk),
        "began_at_or_before_the_call": before_call,
    }


def hour(minutes: float, formats: str, say: Say) -> dict[str, Any]:
    """Seconds from the stop call to the last file in local storage, of a recording that is an hour long already.

    The hour is written into the data folder as a recorder writes it, from six real seconds; the server finds
    it unfinished, its recorder takes it over, and then it is stopped through the API.
    """
    with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
        data = Path(folder) / "data"
        made = tuple(Format(name) for name in formats.split(","))
        begin_ns = time.time_ns() - int(minutes * 60e9)
        spec = RecordingSpec(id="f" * 32, app="dev", room="bench", formats=made, requested_ns=begin_ns)
        say("writing the hour")
        _write_recording(data, spec, minutes, begin_ns)
        server = Server(data).start()
        try:
            with httpx.Client(base_url=server.url, headers=KEY, timeout=120, trust_env=False) as api:
                _wait_uploaded(api, spec.id, round(minutes * 60 / SEGMENT_S))
                say("stopping")
                began = time.perf_counter()
                ended = api.post(f"/api/v1/recordings/{spec.id}/stop", params={"wait_s": 60}).json()
                took = time.perf_counter() - began
                files = api.get(f"/api/v1/recordings/{spec.id}/files").json()["files"]
        finally:
            server.stop()
    if ended["state"] != "finished":
        raise RuntimeError(f"the recording is {ended['state']}, not finished: {ended['message']}")
    return {
        "media_s": minutes * 60,
        "formats": formats,
        "stop_to_last_file_s": round(took, 3),
        "bytes": sum(file["bytes"] for file in files),
        "files": len(files),
    }


def thousand(recordings: int, at_once: int, say: Say) -> dict[str, Any]:
    """Resident memory of the whole server before and after many recordings were started and stopped."""
    with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
        server = Server(Path(folder) / "data").start()
        try:
            return asyncio.run(_thousand(server, recordings, at_once, say))
        finally:
            server.stop()


async def _thousand(server: Server, recordings: int, at_once: int, say: Say) -> dict[str, Any]:
    memory: list[tuple[int, float]] = []
    async with httpx.AsyncClient(base_url=server.url, headers=KEY, timeout=60, trust_env=False) as api:
        publisher = await _publish(api, server.url)
        speaking = asyncio.create_task(publisher.run(36_000))
        await asyncio.sleep(2)
        done = 0
        while done <= recordings:
            if done in (0, 100) or done == recordings or done % max(recordings // 5, 1) == 0:
                await asyncio.sleep(1)
                memory.append((done, sum(cpu_and_rss(pid)[1] for pid in _tree(server.pid)) / 1e6))
                say(f"{done} recordings: {memory[-1][1]:.0f} MB")
            if done == recordings:
                break
            batch = min(at_once, recordings - done, 100 - done if done < 100 else at_once)
            await asyncio.gather(*(_one(api) for _ in range(batch)))
            done += batch
        speaking.cancel()
        await publisher.close()
    return {"recordings": recordings, "rss_mb": dict(memory)}


async def _one(api: httpx.AsyncClient) -> None:
    made = (await api.post("/api/v1/recordings", json={"room": "bench", "formats": ["hls", "mp4"]})).json()
    await asyncio.sleep(0.3)
    ended = (await api.post(f"/api/v1/recordings/{made['id']}/stop", params={"wait_s": 60})).json()
    if ended["state"] != "finished":
        raise RuntimeError(f"recording {made['id']} is {ended['state']}: {ended['message']}")


async def _publish(api: httpx.AsyncClient, url: str) -> AiortcPublisher:
    token = (await api.post("/api/v1/rooms/bench/tokens", json={"identity": "ann"})).json()["token"]
    clip = await asyncio.to_thread(make_clip, 10, size=(640, 360), video_kbps=700)
    publisher = AiortcPublisher(f"{url}/whip/bench", token, clip, loop=True)
    await publisher.start()
    return publisher


def _write_recording(data: Path, spec: RecordingSpec, minutes: float, begin_ns: int) -> None:
    where = Paths(data / "recordings" / spec.id)
    where.folder.mkdir(parents=True)
    where.spec.write_bytes(msgspec.json.encode(spec))
    where.commands.touch()
    body, _, _ = record(where.folder, spec, round(minutes * 60 / SEGMENT_S))
    journal = Journal(where.journal, make_key(data))
    journal.next_epoch()
    opened = Opened(room_ns=begin_ns, spec_sha256="", ingest="none", public_key=journal.public_key)
    journal.append([opened, *(_true(where.folder, line, begin_ns) for line in body)])
    journal.close()


def _true(folder: Path, line: AnyLine, begin_ns: int) -> AnyLine:
    """A line of `record` with the size, hash and room times that a recorder would have written."""
    if isinstance(line, Init | Segment):
        size, digest = sync_and_hash(folder / line.path)
        line = replace(line, bytes=size, sha256=digest)
    if isinstance(line, Segment):
        line = replace(line, start_ns=begin_ns + line.media_start_ns, end_ns=begin_ns + line.media_end_ns)
    elif not isinstance(line, Init | File) and hasattr(line, "start_ns"):
        line = replace(line, start_ns=begin_ns)
    return line


def _wait_uploaded(api: httpx.Client, recording: str, segments: int) -> None:
    for _ in range(600):
        answer = api.get(f"/api/v1/recordings/{recording}/files", params={"segments": True})
        if answer.is_success:
            files = answer.json()["files"]
            there = [file for file in files if file["role"] == "segment" and file["state"] == "uploaded"]
            if len(there) >= segments:
                return
        time.sleep(0.5)
    raise RuntimeError("the hour's segments were not uploaded within 300 s")


def _bodies(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["body"] for line in journal.read_text().splitlines()]


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {"p50": round(statistics.median(values), 1), "p95": round(cuts[18], 1), "max": round(max(values), 1)}
