"""`reelroom demo` and `reelroom verify` as a person runs them: what is printed, what is left behind, exit codes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelroom.demo.run import EVERYBODY
from tests.judge import ffmpeg_says, ffprobe_json
from tests.live.calls import call
from tests.needs import need
from tests.servers import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def reelroom(
    *words: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reelroom", *words]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment)


def served_files(said: dict[str, Any]) -> dict[str, int]:
    """The MP4 files that the demo's server has while it is kept, and how many bytes of each it serves."""
    with httpx.Client(base_url=said["url"], headers={"Authorization": "Bearer dev-secret"}, trust_env=False) as api:
        files = api.get(f"/api/v1/recordings/{said['recording']}/files").raise_for_status().json()["files"]
        mp4 = [file for file in files if file["format"] == "mp4"]
        return {Path(file["key"]).name: len(api.get(file["url"]).raise_for_status().content) for file in mp4}


def test_the_demo_records_three_people_whatever_the_settings_around_it_are(tmp_path: Path) -> None:
    need("aiortc", "ffmpeg", "ffprobe")
    (tmp_path / "reelroom.toml").write_text('data = "not-this"\n')
    theirs = {"REELROOM_DATABASE_URL": f"sqlite:///{tmp_path}/not-this.db", "REELROOM_RTC_HOST": "192.0.2.1"}
    words = ["demo", "--json", "--keep", "--seconds", "3", "--out", "left"]
    demo = subprocess.Popen(
        [sys.executable, "-m", "reelroom", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | theirs,
    )
    assert demo.stdout is not None
    try:
        said = json.loads(demo.stdout.readline())
        served = served_files(said)
        demo.send_signal(signal.SIGINT)
    finally:
        rest, errors = demo.communicate(timeout=60)
    assert (demo.returncode, rest) == (0, ""), errors  # one object and nothing else
    assert said["url"] in errors  # says where to look
    assert served == {Path(file["path"]).name: file["bytes"] for file in said["files"] if file["format"] == "mp4"}
    files = {(file["participant"], file["format"]): file for file in said["files"]}
    assert files.keys() == {(who, format) for who in ("alice", "bob", "carol", EVERYBODY) for format in ("hls", "mp4")}
    for (who, format), file in files.items():
        path = tmp_path / file["path"]
        assert path.parent == tmp_path / "left"
        assert file["codecs"] == ["h264", "aac" if who == EVERYBODY else "opus"]
        assert file["seconds"] > 2.5
        assert ffmpeg_says(path) == ""
        if format == "mp4":
            assert path.stat().st_size == file["bytes"]
            assert abs(float(ffprobe_json(path)["format"]["duration"]) - file["seconds"]) < 0.2  # type: ignore[index]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left", "reelroom.toml"]


async def test_verify_tells_a_whole_recording_from_one_that_was_changed(server: Server, tmp_path: Path) -> None:
    with call(server, tmp_path) as people:
        await people.join("ann")
        recording = people.start(hls={"segment_s": 2})
        await asyncio.sleep(5)
        await people.stop(recording)
        await people.end()
    folder = server.data / "recordings" / recording

    def verify(*words: str) -> subprocess.CompletedProcess[str]:
        return reelroom("verify", *words, "--data", str(server.data))

    for named in (recording, str(folder)):
        whole = await asyncio.to_thread(verify, named)
        assert whole.returncode == 0, whole.stdout + whole.stderr
        assert "everything is as the journal says" in whole.stdout
    segment = max(folder.rglob("*.m4s"), key=lambda path: path.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(content)
    changed = await asyncio.to_thread(verify, recording, "--json")
    report = json.loads(changed.stdout)
    assert changed.returncode == 1
    assert report["ok"] is False
    assert any(segment.name in problem for problem in report["problems"])
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert (await asyncio.to_thread(verify, recording, "--no-decode")).returncode == 1
    for nothing in ("0" * 32, "../../etc"):
        assert (await asyncio.to_thread(verify, nothing)).returncode == 2
