"""Files that are made while the disk is full: waited for, each made once. Fills no disk: the error is made up."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelroom.domain import lines
from reelroom.record import finishing


def test_a_full_disk_is_waited_out_and_what_was_made_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Any] = []
    tries: list[int] = []

    def made(name: str) -> lines.File:
        return lines.File(
            output="001", identity="ann", source="camera", kind="av", format=name, path=f"files/001.{name}", bytes=1,
            sha256="", start_ns=0, end_ns=1, media_start_ns=0, duration_ns=1, sequence=1,
        )  # fmt: skip

    def make_files(folder: Path, spec: Any, found: Any, progress: Any) -> Iterator[lines.File]:
        tries.append(sum(isinstance(line, lines.File) for line in found))
        if not tries[-1]:
            yield made("mp4")
            raise OSError(errno.ENOSPC, "no space")
        yield made("webm")

    def patiently(work: Callable[[], Any]) -> Any:
        while True:
            try:
                return work()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    monkeypatch.setattr(finishing.finisher, "make_files", make_files)
    monkeypatch.setattr(finishing.journals, "lines", lambda path: list(written))
    journal = SimpleNamespace(append=written.extend)
    where, spec = SimpleNamespace(folder=tmp_path, journal=tmp_path / "journal"), SimpleNamespace(id="x", mix=None)
    finishing.finish(where, spec, journal, patiently)  # type: ignore[arg-type]
    assert tries == [0, 1]
    assert [line.format for line in written[:-1]] == ["mp4", "webm"]
    assert written[-1] == lines.Finished(files=2, failed=())
