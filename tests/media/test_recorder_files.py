"""Logs and journals as files: torn, garbled, fenced, tampered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelroom.domain import lines
from reelroom.record import journal
from reelroom.record.journal import FencedError, Journal, make_key
from reelroom.record.verify import verify
from reelroom.record.wal import Contents, Frame, Header, Wal, WalError
from reelroom.rooms import protocol
from tests.fakebus import camera

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
HEADER = Header(
    output="001", identity="a", source="camera", kind="av", output_start_ns=1, ingest="life", number=1, start_ns=1
)


def written(path: Path, frames: int = 3) -> list[int]:
    """A log with a track and some frames; the offsets behind each record."""
    track = camera(1, "alice", 0)
    wal = Wal.create(path, HEADER)
    ends = [len(wal.buffer)]
    wal.buffer += protocol.encode(protocol.TrackAdded(info=track.info, room_ns=0))
    ends.append(len(wal.buffer))
    for index in range(frames):
        wal.buffer += track.frame(index)[1]
        ends.append(len(wal.buffer))
    wal.flush()
    wal.close()
    assert wal.size == ends[-1] == path.stat().st_size
    return ends


def test_a_log_is_read_back_as_it_came(tmp_path: Path) -> None:
    written(tmp_path / "a.wal")
    contents = Contents(tmp_path / "a.wal")
    added, *frames = contents.records()
    track = camera(1, "alice", 0)
    assert contents.header == HEADER
    assert isinstance(added, protocol.TrackAdded) and added.info == track.info
    assert [f.seq for f in frames if isinstance(f, Frame)] == [1, 2, 3]
    assert bytes(frames[0].payload) == track.frames[0][1]  # type: ignore[union-attr]
    assert frames[0].flags == protocol.KEY  # type: ignore[union-attr]


def test_a_log_torn_anywhere_keeps_its_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "a.wal"
    ends = written(path, frames=2)
    data = path.read_bytes()
    for size in [*range(ends[0], ends[1] + 60), *range(ends[2] - 3, ends[2] + 3), len(data) - 1]:
        path.write_bytes(data[:size])
        contents = Contents(path)
        whole = sum(end <= size for end in ends) - 1
        assert len(list(contents.records())) == whole
        assert contents.end == ends[whole]


def test_a_log_goes_on_behind_its_last_whole_record(tmp_path: Path) -> None:
    path = tmp_path / "a.wal"
    written(path, frames=2)
    with path.open("ab") as file:
        file.write(b"\x00\x00\x10\x00\x01torn")
    contents = Contents(path)
    assert len(list(contents.records())) == 3
    wal = Wal.reopen(contents, {1})
    wal.buffer += camera(1, "alice", 0).frame(2)[1]
    wal.flush()
    wal.close()
    assert [r.seq for r in Contents(path).records() if isinstance(r, Frame)] == [1, 2, 3]


@pytest.mark.parametrize("garbage", [b"", b"RRWAL", os.urandom(200), b"RRWAL\x00\x01\n\x00\x00\x00\x05abcde"])
def test_what_is_no_log_is_refused(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "a.wal").write_bytes(garbage)
    with pytest.raises(WalError):
        Contents(tmp_path / "a.wal")


def test_garbage_behind_a_log_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wal"
    ends = written(path)
    for garbage in (bytes(4096), b"\xff" * 100, b"\x00\x00\x00\x02\x7f\x00"):
        path.write_bytes(path.read_bytes()[: ends[-1]] + garbage)
        contents = Contents(path)
        assert len(list(contents.records())) == 4
        assert contents.end == ends[-1]


def opened(keeper: Journal, ingest: str = "life") -> lines.Opened:
    return lines.Opened(room_ns=1, spec_sha256="", ingest=ingest, public_key=keeper.public_key)


def test_a_torn_last_line_is_cut_off_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Journal(path, KEY)
    first.append([opened(first), lines.Paused(at_ns=1)])
    first.close()
    with path.open("ab") as file:
        file.write(b'{"n":3,"at_ns":')
    assert [entry.n for entry in journal.read_from(path)[0]] == [1, 2]
    second = Journal(path, KEY)
    assert second.epoch == 2
    second.append([opened(second)])
    assert [(entry.n, entry.epoch) for entry in journal.read_from(path)[0]] == [(1, 1), (2, 1), (3, 2)]
    assert verify(tmp_path).problems == []


def test_a_recorder_that_was_replaced_can_append_nothing(tmp_path: Path) -> None:
    old = Journal(tmp_path / "journal.jsonl", KEY)
    old.append([opened(old)])
    new = Journal(tmp_path / "journal.jsonl", KEY)
    new.append([opened(new)])
    with pytest.raises(FencedError, match="another recorder"):
        old.append([lines.Paused(at_ns=1)])
    assert verify(tmp_path).problems == []


def test_following_takes_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert journal.read_from(path) == ([], 0)
    keeper = Journal(path, KEY)
    keeper.append([opened(keeper)])
    entries, offset = journal.read_from(path)
    assert len(entries) == 1 and offset == path.stat().st_size
    keeper.append([lines.Paused(at_ns=1)])
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert journal.read_from(path, offset) == ([], offset)
    path.write_bytes(data)
    assert [entry.body for entry in journal.read_from(path, offset)[0]] == [lines.Paused(at_ns=1)]


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    keeper = Journal(path, KEY)
    keeper.append([opened(keeper)])
    before = path.read_bytes()
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:20], at))
    with pytest.raises(OSError, match="No space"):
        keeper.append([lines.Paused(at_ns=1)])
    assert path.read_bytes() == before
    monkeypatch.undo()
    keeper.append([lines.Paused(at_ns=1)])
    assert verify(tmp_path).problems == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"at_ns":7}', b'"at_ns":8}', "signature is wrong"),
        (b'"n":2,', b'"n":3,', "says it is line 3"),
        (b'"epoch":1,"prev":"00000000', b'"epoch":2,"prev":"00000000', "signature is wrong"),
    ],
)
def test_a_changed_line_is_found(tmp_path: Path, old: bytes, new: bytes, problem: str) -> None:
    path = tmp_path / "journal.jsonl"
    keeper = Journal(path, KEY)
    keeper.append([opened(keeper), lines.Paused(at_ns=7), lines.Resumed(at_ns=9)])
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    report = verify(tmp_path)
    assert any(problem in found for found in report.problems)
    assert any("chain is broken" in found for found in report.problems)


def test_a_removed_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    keeper = Journal(path, KEY)
    keeper.append([opened(keeper), lines.Paused(at_ns=7), lines.Resumed(at_ns=9)])
    raw = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(raw[0] + raw[2])
    assert any("chain is broken" in found for found in verify(tmp_path).problems)


def test_a_line_signed_with_another_key_than_the_given_one_is_found(tmp_path: Path) -> None:
    keeper = Journal(tmp_path / "journal.jsonl", KEY)
    keeper.append([opened(keeper)])
    assert verify(tmp_path, public_key=keeper.public_key).ok
    other = journal.public_text(Ed25519PrivateKey.generate())
    assert any("another key" in found for found in verify(tmp_path, public_key=other).problems)


def test_a_path_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    keeper = Journal(tmp_path / "journal.jsonl", KEY)
    init = lines.Init(output="001", rendition="hls", number=1, path="../../etc/passwd", bytes=1, sha256="")
    keeper.append([opened(keeper), init])
    assert any("outside" in found for found in verify(tmp_path).problems)


def test_the_signing_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    assert (tmp_path / "keys" / "journal.pem").stat().st_mode & 0o777 == 0o600
    assert journal.public_text(make_key(tmp_path)) == journal.public_text(key)
    assert (tmp_path / "keys" / "journal.pub").read_text().strip() == journal.public_text(key)
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["journal.pem", "journal.pub"]
