"""`reelroom verify DIR|ID`: the report of `reelroom/record/verify.py`, printed. Checks nothing itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelroom.cli import common

if TYPE_CHECKING:
    from reelroom.record.verify import Report


def command(
    recording: Annotated[str, typer.Argument(metavar="DIR|ID", help="a recording's folder or its id")],
    key: Annotated[
        str, typer.Option(metavar="FILE", help="public key that must have signed; default DATA/keys/journal.pub")
    ] = "",
    decode: Annotated[bool, typer.Option(help="decode every segment")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    config: common.Config = None,
    data: common.Data = None,
) -> None:
    """Check a recording's hashes, chain and signatures, decode every segment, and print the gaps."""
    from rich.progress import Progress

    from reelroom.record.verify import verify

    folder = Path(recording)
    if not folder.is_dir():
        settings = common.settings(config, data=data)
        folder = settings.recordings / recording
        if not recording.isalnum() or not folder.is_dir():
            common.fail(f"{recording!r} is no folder, nor the id of a recording in {settings.recordings}", 2)
    public = Path(key) if key else folder.parent.parent / "keys" / "journal.pub"
    if key and not public.is_file():
        common.fail(f"there is no key {public}", 2)
    expected = public.read_text().strip() if public.is_file() else None
    with Progress(console=common.errors, transient=True) as progress:
        task = progress.add_task("verify", total=1.0)
        try:
            report = verify(folder, decode, expected, lambda share: progress.update(task, completed=share))
        except FileNotFoundError:
            common.fail(f"{folder} has no journal", 2)
    typer.echo(json.dumps(_as_json(report, expected)) if as_json else "\n".join(_text(report, expected)))
    raise typer.Exit(0 if report.ok else 1)


def _as_json(report: Report, expected: str | None) -> dict[str, object]:
    import msgspec

    shown: dict[str, object] = msgspec.to_builtins(report, enc_hook=str)
    return shown | {"folder": str(report.folder), "ok": report.ok, "key_known": expected is not None}


def _text(report: Report, expected: str | None) -> list[str]:
    state = "finished" if report.finished else "stopped" if report.stopped else "going on"
    text = [
        f"{report.folder}: {state}" + (f" ({report.stopped})" if report.stopped else ""),
        f"{report.journal_lines} journal lines in {report.epochs} epochs, {report.segments} segments, "
        f"{report.files} files, {report.bytes} bytes, {report.decoded_frames} frames decoded",
    ]
    if expected is None:
        text.append("signed with the journal's own key: it was not changed, but anybody could have made it (--key)")
    if report.torn:
        text.append("the last line is torn: its recorder was killed or is writing")
    for gap in report.gaps:
        length = (gap.to_ns - gap.from_ns) / 1e9
        filled = f", filled with {gap.filled}" if gap.filled else ""
        text.append(
            f"gap: output {gap.output} {gap.kind} of {gap.identity}: {length:.3f} s from {gap.from_ns}: "
            f"{gap.reason}, {gap.packets} packets{filled}"
        )
    text += [f"PROBLEM: {problem}" for problem in report.problems]
    text.append("everything is as the journal says" if report.ok else f"{len(report.problems)} problems")
    return text
