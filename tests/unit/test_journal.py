"""Journal lines as bytes: chaining, signing, and what a changed byte does. And which commands count."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain import lines
from reelroom.domain.recording import Subscription
from reelroom.record import journal, recovery
from reelroom.record.commands import Effective, carried_out
from reelroom.record.journal import Entry

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def entry(body: lines.AnyLine, n: int = 1, epoch: int = 1) -> Entry:
    return Entry(n=n, at_ns=1, epoch=epoch, prev=journal.ZERO, body=body)


def test_a_line_ends_with_its_signature_over_itself_without_it() -> None:
    raw = journal.sign(KEY, entry(lines.Paused(at_ns=5)))
    assert raw.startswith(b'{"n":1,"at_ns":1,"epoch":1,"prev":"0000')
    journal.check_signature(raw, KEY.public_key())
    assert journal.parse(raw).body == lines.Paused(at_ns=5)


@given(st.data())
def test_no_byte_of_a_line_can_be_changed(data: st.DataObject) -> None:
    raw = bytearray(journal.sign(KEY, entry(lines.Notice(code="x", message="ü", output="001"))))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((InvalidSignature, ValueError)):
        journal.check_signature(bytes(raw), KEY.public_key())


def test_what_is_no_line_is_named() -> None:
    with pytest.raises(journal.JournalError, match="not a journal line"):
        journal.parse(b'{"n":1}')


def segment(through: dict[int, int], number: int = 1) -> lines.Segment:
    return lines.Segment(
        output="001", rendition="hls", container="fmp4", number=number, path="p", bytes=1, sha256="", start_ns=0,
        end_ns=9, media_start_ns=0, media_end_ns=9, through=through,
    )  # fmt: skip


def opened(ingest: str) -> lines.Opened:
    return lines.Opened(room_ns=1, spec_sha256="", ingest=ingest, public_key="")


def test_positions_belong_to_the_life_of_one_ingest() -> None:
    bodies = [opened("a"), segment({1: 10}), segment({1: 20, 2: 5}, 2), opened("b"), segment({1: 3}, 3)]
    found = recovery.read(entry(body) for body in bodies)
    assert (found.ingest, found.through) == ("b", {1: 3})
    assert recovery.read(entry(body) for body in bodies[:3]).through == {1: 20, 2: 5}


def test_commands_without_effect_do_not_count() -> None:
    effective = Effective()
    given_ = [
        lines.Resume(at_ns=1),
        lines.Pause(at_ns=2),
        lines.Pause(at_ns=3),
        lines.Resume(at_ns=4),
        lines.Change(at_ns=5, subscription=Subscription()),
        lines.Stop(at_ns=6),
        lines.Stop(at_ns=7),
        lines.Pause(at_ns=8),
    ]
    assert [command.at_ns for command in given_ if effective.take(command)] == [2, 4, 5, 6]


def test_the_journal_says_how_many_commands_were_carried_out() -> None:
    done = [
        lines.Paused(at_ns=2),
        segment({}),
        lines.Resumed(at_ns=4),
        lines.Subscribed(at_ns=5, subscription=Subscription()),
    ]
    assert carried_out(done) == 3
    assert recovery.read(entry(body) for body in done).commands == 3
