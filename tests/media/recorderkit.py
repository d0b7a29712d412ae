"""A fork server, recordings and their files, for the tests of the recorder. Holds no test."""

from __future__ import annotations

import itertools
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import av
import msgspec

from reelroom.domain import lines
from reelroom.domain.recording import Format, Hls, RecordingSpec
from reelroom.fleet import client
from reelroom.record import commands, journal, paths
from reelroom.record.paths import Paths
from reelroom.record.verify import verify
from tests.fakebus import Track, camera, microphone

LATER_S = 60.0  # nothing takes longer, even where others keep the machine busy


class Fleet:
    """A fork server with its own data folder. `flags`: of its command line, besides; `module`: what is run."""

    def __init__(self, *flags: str, module: str = "reelroom.fleet") -> None:
        self.flags = flags
        self.module = module
        self.folder = tempfile.TemporaryDirectory(prefix="rr")
        self.data = Path(self.folder.name)
        self.run = self.data / "run"
        self.run.mkdir()
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, "--data", self.data, "--run", self.run, *self.flags]
        )
        wait(self.answers, 60)
        return process

    def answers(self) -> bool:
        try:
            client.running(self.run)
        except client.FleetError:
            return False
        return True

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(LATER_S)
        self.folder.cleanup()


class Recording:
    def __init__(self, fleet: Fleet, **spec: object) -> None:
        self.fleet = fleet
        self.id = secrets.token_hex(16)
        self.where = Paths(fleet.data / "recordings" / self.id)
        self.where.folder.mkdir(parents=True)
        settings: dict[str, object] = {
            "hls": Hls(segment_s=2),
            "formats": (Format.HLS,),
            "requested_ns": time.time_ns(),
        }
        self.spec = RecordingSpec(id=self.id, app="app", room="room", **(settings | spec))  # type: ignore[arg-type]
        self.where.spec.write_bytes(msgspec.json.encode(self.spec))

    def start(self) -> int:
        return client.start(self.fleet.run, self.id)

    def say(self, command: lines.AnyCommand) -> None:
        commands.append(self.where.commands, command)
        commands.wake(paths.wake_socket(self.fleet.run, self.id))

    def stop(self) -> None:
        self.say(lines.Stop(at_ns=time.time_ns()))
        self.finished()

    def finished(self, timeout_s: float = LATER_S) -> None:
        wait(lambda: journal.is_finished(self.where.journal), timeout_s)

    def lines(self, kind: type[lines.Line]) -> list:  # type: ignore[type-arg]
        return [line for line in journal.lines(self.where.journal) if isinstance(line, kind)]

    def segments(self, output: str = "001") -> list[lines.Segment]:
        """Of the rendition for playlists."""
        return [s for s in self.lines(lines.Segment) if s.output == output and s.rendition == "hls"]

    def times(self, kind: str, output: str = "001") -> list[float]:
        """Seconds of media time of every frame in an output's segments."""
        found: list[float] = []
        inits = {
            i.number: self.where.folder / i.path
            for i in self.lines(lines.Init)
            if (i.output, i.rendition) == (output, "hls")
        }
        for segment in self.segments(output):
            data = inits[segment.init].read_bytes() + (self.where.folder / segment.path).read_bytes()
            with av.open(BytesIO(data), "r", format="mp4") as container:
                streams = [s for s in container.streams if s.type == kind]
                for packet in container.demux(streams):
                    if packet.size:
                        found.append(float(packet.pts * packet.time_base))
        return found

    def sound(self) -> None:
        report = verify(self.where.folder)
        assert report.problems == []
        assert report.finished
        assert not list(self.where.wal.glob("*"))


def wait(condition: Callable[[], object], timeout_s: float = LATER_S) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def uneven(times: list[float], step_s: float, within_s: float = 0.001) -> list[tuple[float, float]]:
    """Neighbours that are not `step_s` apart: a frame is missing between them, or there twice."""
    return [(a, b) for a, b in itertools.pairwise(times) if abs(b - a - step_s) > within_s]


def even(times: list[float], step_s: float) -> None:
    """No frame is missing, none is there twice."""
    assert times
    assert uneven(times, step_s) == []


def pair(ago_s: float = 3.0, identity: str = "alice", first: int = 1) -> list[Track]:
    start = time.time_ns() - round(ago_s * 1e9)
    return [camera(first, identity, start), microphone(first + 1, identity, start)]
