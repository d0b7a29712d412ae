"""Reading a growing journal a batch at a time, without its hashes and signatures. Knows no database."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from msgspec import Struct

from reelroom.domain import lines

BATCH_LINES = 256
BATCH_BYTES = 1 << 20
MAX_LINE = 16 << 20  # a journal's line is some hundred bytes; more than this is no journal
#: Lines that change nothing anybody waits for: they may be indexed a little later, many together.
QUIET = frozenset({b"segment", b"init", b"outputopened", b"gap", b"notice", b"track", b"participant", b"subscribed"})
_TYPE = re.compile(rb'"body":\{"type":"(\w+)"')  # a string within a line has its quotation marks escaped


class Entry(Struct, frozen=True):
    """One journal line as far as the index needs it; hashes and signatures are for `reelroom verify`."""

    n: int
    at_ns: int
    epoch: int
    body: lines.AnyLine


_decoder = msgspec.json.Decoder(Entry)


class JournalBroken(Exception):
    """A complete line of a journal that cannot be read; says which file and where."""


def read(path: Path, offset: int) -> tuple[list[Entry], int]:
    """Whole lines from `offset` on, bounded, and the offset behind them. Raises JournalBroken."""
    found: list[Entry] = []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return found, offset
    with file:
        file.seek(offset)
        start = offset
        while len(found) < BATCH_LINES and offset - start < BATCH_BYTES:
            line = file.readline(MAX_LINE)
            if not line.endswith(b"\n"):
                if len(line) >= MAX_LINE:
                    raise JournalBroken(f"{path} has a line longer than {MAX_LINE} bytes at {offset}")
                break  # being written, or torn: the next recorder cuts it off
            try:
                found.append(_decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise JournalBroken(f"{path} at byte {offset}: {error}") from error
            offset += len(line)
    return found, offset


def quiet(path: Path, offset: int) -> bool:
    """Whether what stands beyond `offset` is short and can wait."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(BATCH_BYTES)
    except FileNotFoundError:
        return True
    return len(data) < BATCH_BYTES and QUIET.issuperset(_TYPE.findall(data))
