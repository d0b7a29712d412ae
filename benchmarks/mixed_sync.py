"""`./run bench mixed-sync`: how far sound and picture of four odd senders are apart in a long mixed recording.

Measures no cost. Each pane is judged against its own sender's beeps in the mixed sound.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelroom.demo.publisher import AiortcPublisher
from tests.judge import Verdict
from tests.live.calls import Call, call
from tests.live.mixed import end_mixed, judge_pane, panes, start_mixed
from tests.servers import Server

CLIP_S = 30  # sent again and again
STALL_S, STALL_EVERY_S = 2.5, 45
SAY_S = 60


@dataclass(frozen=True, slots=True)
class Sender:
    """One participant: their number in the clips, pictures a second, and how fast their clock runs."""

    participant: int
    fps: int = 30
    ppm: int = 0
    stalls: bool = False


SENDERS = {
    "plain": Sender(5),
    "fast": Sender(9, ppm=100),
    "film": Sender(13, fps=16, ppm=-100),
    "stalls": Sender(17, stalls=True),
}


def run(minutes: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Record for so long, stop, and judge the MP4. Milliseconds; + is sound that is late."""
    with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
        server = Server(Path(folder) / "data").start()
        try:
            path, gaps = asyncio.run(_record(server, Path(folder), minutes * 60, say))
        finally:
            server.stop()
        say("judging")
        return {"minutes": minutes, "gaps": gaps, "panes": {name: _judged(path, name) for name in SENDERS}}


async def _record(server: Server, folder: Path, seconds: float, say: Callable[[str], None]) -> tuple[Path, list[Any]]:
    fetched = folder / "mixed-sync"
    fetched.mkdir()
    with call(server, fetched) as people:
        there = {name: await _join(people, name, sender, seconds) for name, sender in SENDERS.items()}
        await asyncio.sleep(2)
        recording = start_mixed(people, formats=["mp4"])
        began = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(_stall(there[name])) for name, sender in SENDERS.items() if sender.stalls]
        while (left := began + seconds - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, SAY_S))
            say(f"{asyncio.get_running_loop().time() - began:.0f} of {seconds:.0f} s")
        for task in tasks:
            task.cancel()
        timeline, files = await end_mixed(people, recording, fetched)
    (output,) = timeline["outputs"]
    gaps = [
        {"identity": gap["identity"], "kind": gap["kind"], "reason": gap["reason"],
         "s": round((gap["to_ns"] - gap["from_ns"]) / 1e9, 2)}
        for gap in output["gaps"]
    ]  # fmt: skip
    return files["mp4"][0], gaps


async def _join(people: Call, name: str, sender: Sender, seconds: float) -> AiortcPublisher:
    return await people.join(
        name, seconds=CLIP_S, last_s=seconds + 60, ppm=sender.ppm, fps=sender.fps, participant=sender.participant
    )


async def _stall(publisher: AiortcPublisher) -> None:
    while True:
        await asyncio.sleep(STALL_EVERY_S)
        publisher.stall(STALL_S)


def _judged(path: Path, name: str) -> dict[str, Any]:
    sender = SENDERS[name]
    fps = sender.fps
    verdict = judge_pane(
        path, panes(list(SENDERS))[name], sender.participant, fps=fps, changes=True, loop_frames=CLIP_S * fps
    )
    return {
        "pictures": len(verdict.shown),
        "beeps": len(verdict.beeps),
        "missing_beeps": len(verdict.missing_beeps),
        "p50_ms": round(verdict.av_p50_ms, 1),
        "p95_ms": round(verdict.av_p95_ms, 1),
        "worst_ms": round(max(map(abs, verdict.av_offsets_ms)), 1),
        "first_and_last_minute_p50_ms": [_median(verdict, 0, 60), _median(verdict, verdict.duration_s - 60, 1e9)],
        "gaps_in_sound": len(verdict.audio_gaps),
        "unreadable": verdict.unreadable,
    }


def _median(verdict: Verdict, from_s: float, to_s: float) -> float:
    offsets = sorted(b.offset_ms for b in verdict.beeps if not b.cut and from_s <= b.file_s < to_s)
    return round(offsets[len(offsets) // 2], 1) if offsets else float("nan")
