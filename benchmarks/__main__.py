"""`./run bench NAME`: runs a benchmark and prints its table. Holds no measurement."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import individual as individual_bench

app = typer.Typer(add_completion=False, no_args_is_help=True)
RECORDERS = ("reelroom", "gstreamer", "aiortc")


@app.callback()
def _benchmarks() -> None:
    """Benchmarks of Reelroom, each beside its peers in one run on one machine."""


@app.command()
def individual(
    seconds: Annotated[float, typer.Option(min=2, help="length of each measured window")] = 12,
    participants: Annotated[str, typer.Option(help="numbers of participants")] = "1,10,60",
    recorders: Annotated[str, typer.Option(help="who records")] = ",".join(RECORDERS),
    json: Annotated[bool, typer.Option("--json", help="the figures as JSON")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="a picture of the figures")] = None,
) -> None:
    """720p30 H.264 at 1.5 Mbit/s and Opus, copied from the wire into closed segments on disk."""
    counts = [int(count) for count in participants.split(",")]
    names = recorders.split(",")
    unknown = set(names) - set(RECORDERS)
    if unknown:
        raise typer.BadParameter(f"unknown recorder {', '.join(unknown)}: known are {', '.join(RECORDERS)}")
    rows = individual_bench.run(counts, seconds, names, _say)
    if plot is not None:
        from benchmarks.plot import bars

        bars(rows, plot)
    if json:
        print(individual_bench.as_json(rows))
        return
    table = Table("recorder", "participants", "CPU of a core each", "memory each", "lost", "sent", "load each")
    for row in rows:
        table.add_row(
            row.recorder,
            str(row.participants),
            f"{row.cpu_percent:.2f} %",
            f"{row.rss_mb:.1f} MB",
            str(row.frames_lost),
            str(row.frames_sent),
            f"{row.load_percent:.2f} %",
        )
    Console().print(table)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@app.command()
def mixed(
    seconds: Annotated[int, typer.Option(min=5, help="length of each measured window")] = 20,
    participants: Annotated[str, typer.Option(help="numbers of participants")] = "2,4,9,16",
    sizes: Annotated[str, typer.Option(help="heights of the participants' pictures: 720, 360")] = "720,360",
    recorders: Annotated[str, typer.Option(help="who mixes")] = "reelroom,ffmpeg,gstreamer,floor",
    json: Annotated[bool, typer.Option("--json", help="the figures as JSON")] = False,
) -> None:
    """Everybody's H.264 and Opus into one picture of 1280x720 at 30 frames a second and one sound."""
    from benchmarks import mixed as bench

    counts, heights = ([int(n) for n in text.split(",")] for text in (participants, sizes))
    rows = bench.run(counts, heights, seconds, recorders.split(","), _say)
    if json:
        print(bench.as_json(rows))
        return
    table = Table("recorder", "participants", "cores", "pictures", "due")
    for row in rows:
        who = f"{row.participants} at {row.lines}p"
        table.add_row(row.recorder, who, f"{row.cores:.2f}", str(row.frames), str(row.frames_due))
    Console().print(table)


@app.command("mixed-sound")
def mixed_sound() -> None:
    """CPU of the mix's sound alone: 1, 4 and 16 voices, each codec."""
    from benchmarks import mixed_sound as bench

    print(dumps(bench.run(), indent=2))


@app.command("mixed-sync")
def mixed_sync(minutes: Annotated[float, typer.Option(min=0.2, help="how long")] = 10) -> None:
    """Sound against picture in a mix of four senders: a fast clock, a slow one at 16 frames, one that stalls."""
    from benchmarks import mixed_sync as bench

    print(dumps(bench.run(minutes, _say), indent=2))


@app.command()
def start(starts: Annotated[int, typer.Option(min=20, help="how many")] = 100) -> None:
    """From the start call to the first frame on disk."""
    from benchmarks import lifecycle

    print(dumps(lifecycle.start_latency(starts, _say), indent=2))


@app.command()
def hour(
    minutes: Annotated[float, typer.Option(min=1)] = 60,
    formats: Annotated[str, typer.Option(help="formats, with commas")] = "hls,mp4",
) -> None:
    """From the stop call to the last file in local storage, after an hour of recording."""
    from benchmarks import lifecycle

    print(dumps(lifecycle.hour(minutes, formats, _say), indent=2))


@app.command()
def thousand(
    recordings: Annotated[int, typer.Option(min=10)] = 1000,
    at_once: Annotated[int, typer.Option(min=1, max=50)] = 8,
) -> None:
    """The server's memory before and after many recordings."""
    from benchmarks import lifecycle

    print(dumps(lifecycle.thousand(recordings, at_once, _say), indent=2))


@app.command()
def api(
    dialects: Annotated[str, typer.Option(help="whose API")] = "native,agora,aliyun_live,aliyun_rtc,tencent,zego",
    running: Annotated[int, typer.Option(min=0, help="recordings of empty rooms that run throughout")] = 200,
    starts: Annotated[int, typer.Option(min=10, help="starts and stops of each")] = 100,
    queries: Annotated[int, typer.Option(min=10, help="queries of each")] = 1000,
    at_once: Annotated[int, typer.Option(min=2, help="clients of the second round of queries")] = 8,
    json: Annotated[bool, typer.Option("--json", help="the figures as JSON")] = False,
) -> None:
    """Start, query and stop in each dialect while many recordings run: calls a second, and how long one takes."""
    from benchmarks import api as bench

    names = dialects.split(",")
    if unknown := set(names) - set(bench.DIALECTS):
        raise typer.BadParameter(f"unknown {', '.join(unknown)}: known are {', '.join(bench.DIALECTS)}")
    rows = bench.run(names, running, starts, queries, at_once, _say)
    if json:
        print(bench.as_json(rows))
        return
    table = Table("dialect", "call", "clients", "calls", "calls a second", "p50", "p99")
    for row in rows:
        figures = (str(row.at_once), str(row.calls), f"{row.per_second:.0f}", f"{row.p50_ms} ms", f"{row.p99_ms} ms")
        table.add_row(row.dialect, row.call, *figures)
    Console().print(table)


@app.command()
def queries(
    past: Annotated[int, typer.Option(min=10, help="recordings, segments of a long one, events…")] = 10_000,
    few: Annotated[int, typer.Option(min=10, help="... and how many to compare with")] = 10,
    against: Annotated[Path | None, typer.Option(metavar="FOLDER", help="another checkout, of 0004 or later")] = None,
    json: Annotated[bool, typer.Option("--json", help="the figures as JSON")] = False,
) -> None:
    """CPU of a query, in milliseconds, with little and with much in the database (SQLite)."""
    from benchmarks import queries as bench

    rows = bench.run(few, past, against, _say)
    print(dumps(rows, indent=2) if json else bench.table(rows))


if __name__ == "__main__":
    app()
