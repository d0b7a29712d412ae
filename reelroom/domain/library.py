"""The media library: what a recording says of its files in it, and what a finished file is there. Holds no database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from reelroom.domain.naming import VARIABLES, expand, used

MAX_TAGS = 16
MAX_TAG = 64  # characters
MAX_EXPIRE_S = 100 * 366 * 86_400
MAX_NAME_BYTES = 255
MAX_OFFSET_S = 14 * 3600

#: Of a name in the library; there a file's end is known, a playlist's too.
NAME_VARIABLES = frozenset(VARIABLES) - {"mode", "part"}


class LibrarySpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Said at a start: finished files go into the app's library. `name` and `stream` are patterns as in naming.py."""

    tags: tuple[str, ...] = ()
    expire_s: int = 0  # seconds from when a file is in the library to when it goes from there and storage; 0: never
    name: str = ""  # of a file in the library, without extension; "": the name of its object
    stream: str = ""  # what a vendor calls the stream that a file shows; "": room_identity_source
    sources: tuple[tuple[str, str], ...] = ()  # other words for {source} in both: (("camera", "main"), …)
    utc_offset_s: int = 0  # of the times in both; Tencent's are UTC+8: 28800

    def __post_init__(self) -> None:
        if len(self.tags) > MAX_TAGS or len(set(self.tags)) != len(self.tags):
            raise ValueError(f"library.tags must be at most {MAX_TAGS}, none twice")
        if any(not tag or len(tag) > MAX_TAG or "\0" in tag for tag in self.tags):
            raise ValueError(f"library.tags must have 1 to {MAX_TAG} characters each")
        if not 0 <= self.expire_s <= MAX_EXPIRE_S:
            raise ValueError(f"library.expire_s must be 0 (never) to {MAX_EXPIRE_S} seconds, not {self.expire_s}")
        if abs(self.utc_offset_s) > MAX_OFFSET_S:
            raise ValueError(f"library.utc_offset_s must be within {MAX_OFFSET_S} seconds of UTC")
        for where, pattern in (("name", self.name), ("stream", self.stream)):
            try:
                unknown = used(pattern) - NAME_VARIABLES
            except ValueError as error:
                raise ValueError(f"library.{where}: {error}") from None
            if unknown:
                raise ValueError(f"library.{where} has the unknown variable {{{sorted(unknown)[0]}}}")

    def names(self, values: Mapping[str, str | int], key: str) -> tuple[str, str]:
        """A file's name and stream. `values`: NAME_VARIABLES, times in UTC nanoseconds; `key`: its object."""
        local = dict(values)
        for time in ("started", "start", "end"):
            local[time] = int(local[time]) + self.utc_offset_s * 1_000_000_000
        local["source"] = dict(self.sources).get(str(values["source"]), str(values["source"]))
        name = expand(self.name, local) if self.name else key.rpartition("/")[2].rpartition(".")[0]
        usual = "{room}_{identity}_{source}" if values["identity"] else "{room}_{source}"
        stream = expand(self.stream or usual, local)
        return _short(name), _short(stream)


def media_id(recording: str, key: str) -> str:
    """A file's id: 19 decimal digits, as vendors' ids of media are; the same for the same object of a recording."""
    digest = hashlib.sha256(f"{recording}\n{key}".encode()).digest()
    return str(10**18 + int.from_bytes(digest[:8], "big") % (8 * 10**18))


def _short(name: str) -> str:
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
