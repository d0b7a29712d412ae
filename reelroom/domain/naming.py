"""File name patterns: which variables there are and what a recording's objects are called in storage.

Pure text work. Holds no storage, no extension of anybody else's and no knowledge of which names are taken
already: a caller that finds a name taken asks `distinct` for another.
"""

from __future__ import annotations

import base64
import hashlib
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from reelroom.domain import lines
from reelroom.domain.recording import Format, Naming, RecordingSpec, Source

#: Variables and what they stand for. `start` is the file's own beginning, in a prefix the recording's.
VARIABLES: dict[str, str] = {
    "app": "app id",
    "room": "room name",
    "recording": "recording id",
    "mode": "individual, mixed, page or snapshot",
    "identity": "participant",
    "source": "camera or screen; mixed",
    "stream": "participant, with ~screen for a screen; mixed",
    "kind": "av, audio or video",
    "letters": "VA, A or V: the same in another form",
    "output": "number of the output within the recording, three digits",
    "format": "hls, mp4, webm, flv, aac, mp3, opus or m4a",
    "started": "when the recording was asked for",
    "start": "when this file's content begins",
    "end": "when this file's content ends",
    "sequence": "number of the segment or part, from 1",
    "index": "the same from 0",
    "part": "_1, _2… of a finished file that was split; of a whole one nothing",
}
_TIMES = frozenset({"started", "start", "end"})
_NUMBERS = frozenset({"sequence", "index"})
_IN_PREFIX = frozenset(VARIABLES) - {"format", "end", "sequence", "index", "part"}

#: Forms of a time after the colon, as in `{start:digits}`; else `%Y %m %d %H %M %S %y %j %f` (strftime). UTC.
TIME_FORMS: dict[str, Callable[[int], str]] = {
    "": lambda ns: _utc(ns).strftime("%Y%m%dT%H%M%SZ"),
    "compact": lambda ns: _utc(ns).strftime("%Y%m%dT%H%M%SZ"),
    "digits": lambda ns: _utc(ns).strftime("%Y%m%d%H%M%S") + f"{ns // 1_000_000 % 1000:03d}",
    "iso": lambda ns: _utc(ns).strftime("%Y-%m-%dT%H-%M-%S") + f".{ns // 1_000_000 % 1000:03d}Z",
    "s": lambda ns: str(ns // 1_000_000_000),
    "ms": lambda ns: str(ns // 1_000_000),
    "ns": str,
}


def base64_name(value: str) -> str:
    """Base64 of the UTF-8 without `/` and `=`, as Tencent's file names have user ids."""
    return base64.b64encode(value.encode()).decode().replace("/", "-").replace("=", ".")


#: Forms of a text after the colon, by variable and form.
TEXT_FORMS: dict[str, dict[str, Callable[[str], str]]] = {
    "identity": {"base64": base64_name},
    "room": {"base64": base64_name},
    "source": {"main": lambda value: {"camera": "main", "screen": "aux", "mixed": "mix"}.get(value, value)},
    "kind": {"long": lambda value: "audio_video" if value == "av" else value},
}
_STRFTIME = re.compile(r"(?:%[YymdHMSjf]|[\w.\-/: ])+")
_INTEGER = re.compile(r"0?[0-9]{0,2}d?")

MAX_PATTERN = 512  # characters
MAX_OFFSET_S = 14 * 3600  # of times from UTC
MAX_VALUE_BYTES = 120  # of one variable within one path segment
MAX_SEGMENT_BYTES = 220  # of one path segment: file systems take 255, and ".part" files need room
MAX_KEY_BYTES = 900  # S3 and OSS take 1024 bytes; a destination's own root comes on top
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

EXTENSIONS: dict[str, str] = {
    "hls": ".m3u8",
    "mp4": ".mp4",
    "webm": ".webm",
    "flv": ".flv",
    "aac": ".aac",
    "mp3": ".mp3",
    "opus": ".ogg",
    "m4a": ".m4a",
    "sw": ".sw",
}
SEGMENT_EXTENSIONS: dict[str, str] = {"fmp4": ".m4s", "ts": ".ts", "webm": ".webm"}

LETTERS = {"av": "VA", "audio": "A", "video": "V"}
SCREEN = "~screen"  # at the end of a stream's name

_Piece = tuple[str, str, str]  # literal before, variable ("" at the end), format spec


def check_naming(naming: Naming, formats: Iterable[Format], split: bool = False) -> None:
    """ValueError, saying which pattern and why, unless every object of the formats can be named.

    `split`: playlists are split, too. One whose name has {end} is in storage when it has ended, not before.
    """
    formats = tuple(formats)
    for where, pattern, allowed in (
        ("naming.prefix", naming.prefix, _IN_PREFIX),
        ("naming.file", naming.file, frozenset(VARIABLES)),
        ("naming.segment", naming.segment, frozenset(VARIABLES)),
        ("naming.mixed", naming.mixed, frozenset(VARIABLES)),
        ("naming.mixed_segment", naming.mixed_segment, frozenset(VARIABLES)),
        ("naming.mixed_file", naming.mixed_file, frozenset(VARIABLES)),
        ("naming.finished", naming.finished, frozenset(VARIABLES)),
    ):
        _parse(where, pattern, allowed)
    if naming.prefix and not naming.prefix.endswith("/"):
        raise ValueError(f"naming.prefix must be empty or end with '/', not {naming.prefix!r}")
    for where, pattern in (("naming.file", naming.file), ("naming.mixed", naming.mixed)):
        _check_name(where, pattern)
        if Format.HLS in formats and "end" in used(pattern) and not split:
            raise ValueError(f"{where} must not have {{end}} with format hls: a playlist's end is not known yet")
    again = [("copies", format_, pattern) for format_, patterns in naming.copies.items() for pattern in patterns]
    for name, format_, pattern in [*(("files", *each) for each in naming.files.items()), *again]:
        if format_ not in EXTENSIONS or format_ == Format.HLS:
            raise ValueError(f"naming.{name} has no format {format_!r} of finished files")
        _parse(f"naming.{name}.{format_}", pattern, frozenset(VARIABLES))
        _check_name(f"naming.{name}.{format_}", pattern)
    if abs(naming.utc_offset_s) > MAX_OFFSET_S:
        raise ValueError(f"naming.utc_offset_s must be within {MAX_OFFSET_S} seconds of UTC")
    for where, pattern in (("naming.mixed_file", naming.mixed_file), ("naming.finished", naming.finished)):
        if pattern:
            _check_name(where, pattern)
    for where, pattern in (("naming.segment", naming.segment), ("naming.mixed_segment", naming.mixed_segment)):
        _check_name(where, pattern)
        if not used(pattern) & {"sequence", "index", "start"}:
            raise ValueError(f"{where} must have {{sequence}}, {{index}} or {{start}}: each segment needs its own name")


def _check_name(where: str, pattern: str) -> None:
    if not pattern:
        raise ValueError(f"{where} must not be empty")
    if pattern.endswith("/"):
        raise ValueError(f"{where} must end with a file's name, not with '/'")


def stream_name(identity: str, source: str) -> str:
    """What an output is called where streams have names and people may have several."""
    if source == Source.MIXED:
        return "mixed"
    return identity + SCREEN if source == Source.SCREEN else identity


def used(pattern: str) -> frozenset[str]:
    """The variables in a pattern; ValueError when it is malformed."""
    return frozenset(name for _, name, _ in _parse("pattern", pattern, frozenset(VARIABLES)) if name)


def expand(pattern: str, values: Mapping[str, str | int]) -> str:
    """The pattern with its variables put in, safe as a relative path; ValueError for an unknown variable.

    Text values are made safe for one path segment by `safe`; times are room time in nanoseconds.
    """
    out: list[str] = []
    for literal, name, spec in _parse("pattern", pattern, frozenset(values)):
        out.append(unicodedata.normalize("NFC", literal))
        if not name:
            continue
        value = values[name]
        if name in _TIMES:
            out.append(_time(int(value), spec))
        elif isinstance(value, int):
            out.append(format(value, spec if not spec or spec.endswith("d") else spec + "d"))
        elif name == "part":
            out.append(value)
        else:
            form = TEXT_FORMS.get(name, {}).get(spec)
            out.append(safe(form(value) if form else value))
    return "/".join(_bounded(part) for part in "".join(out).split("/"))


def safe(value: str) -> str:
    """`value` as part of one path segment: NFC, no separator, no control character, bounded, never empty.

    A value that had to be changed gets eight hexadecimal digits of its hash, so that two different values
    never become the same name.
    """
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", value)).strip()
    if text in ("", ".", ".."):
        text = "_"
    if text == value and len(text.encode()) <= MAX_VALUE_BYTES:
        return text
    return _cut(text, MAX_VALUE_BYTES, value)


class Names:
    """Keys (names in storage) of one recording's objects, from its spec's patterns."""

    def __init__(self, spec: RecordingSpec) -> None:
        check_naming(spec.naming, spec.formats, bool(spec.hls.split_s))
        self._offset_ns = spec.naming.utc_offset_s * 1_000_000_000
        self._naming = spec.naming
        self._together = spec.tracks == "together"
        self._merged = spec.merged
        self._sound_alone = spec.sound_alone
        self._common: dict[str, str | int] = {
            "app": spec.app,
            "room": spec.room,
            "recording": spec.id,
            "mode": str(spec.mode),
            "started": spec.requested_ns,
        }

    def playlist(self, output: lines.OutputOpened, number: int = 1, start_ns: int = 0, end_ns: int = 0) -> str:
        """Key of the output's playlist: `<file>.m3u8`; of a part of it with its number, start and end."""
        return self._stem(output, number, start_ns or output.start_ns, end_ns or output.start_ns) + ".m3u8"

    def ends(self, output: lines.OutputOpened) -> bool:
        """Whether its playlists are called by their end, so that they have no name before."""
        return "end" in used(self._file(output.source))

    def joined(self, output: lines.OutputOpened) -> str:
        """Key of the playlist that joins picture and sound recorded apart; `output` has kind "av"."""
        return self._stem(output) + ".m3u8"

    def init(self, output: lines.OutputOpened, init: lines.Init) -> str:
        """Key of an fMP4 initialisation segment: `<file>_init<N>.mp4`."""
        return f"{self._stem(output)}_init{init.number}.mp4"

    def segment(self, output: lines.OutputOpened, segment: lines.Segment) -> str:
        """Key of a media segment of the "hls" rendition."""
        values: dict[str, str | int] = {
            "format": "hls",
            "start": segment.start_ns,
            "end": segment.end_ns,
            "sequence": segment.number,
            "index": segment.number - 1,
            "part": "",
        }
        pattern = self._naming.mixed_segment if output.source == Source.MIXED else self._naming.segment
        name = self._key(pattern, output.identity, output.source, self._kind(output), output.output, values)
        return name + SEGMENT_EXTENSIONS[segment.container]

    def file(self, file: lines.File) -> str:
        """Key of a finished file; parts of a split get `_2`, `_3`... if the pattern has neither number nor time."""
        own = self._naming.mixed_file if file.source == Source.MIXED else self._naming.finished
        return self._finished(file, self._naming.files.get(file.format, own))

    def copies(self, file: lines.File) -> list[str]:
        """Further keys under which a finished file is stored."""
        return [self._finished(file, own) for own in self._naming.copies.get(file.format, ())]

    def _finished(self, file: lines.File, own: str) -> str:
        values: dict[str, str | int] = {
            "format": file.format,
            "start": file.start_ns,
            "end": file.end_ns,
            "sequence": file.sequence,
            "index": file.sequence - 1,
            "part": f"_{file.sequence}" if file.parts > 1 else "",
        }
        mixed = file.source == Source.MIXED
        pattern = own or self._file(file.source)
        # One that says "part" and no kind does not want to hear of it: what has the same name is told apart below. Nor
        # is there a kind to tell where picture and sound are in one file.
        one = "part" in used(own) or (self._merged and file.format == Format.MP4)
        silent = own and not mixed and one and not used(own) & {"kind", "letters"}
        kind = "av" if silent else file.kind
        name = self._key(pattern, file.identity, file.source, kind, file.output, values)
        if file.sequence > 1 and not used(pattern) & {"start", "end", "sequence", "index", "part"}:
            name += f"_{file.sequence}"
        return name + EXTENSIONS[file.format]

    def _stem(self, output: lines.OutputOpened, number: int = 1, start_ns: int = 0, end_ns: int = 0) -> str:
        values: dict[str, str | int] = {
            "format": "hls", "start": start_ns or output.start_ns, "end": end_ns, "sequence": number,
            "index": number - 1, "part": f"_{number}" if number > 1 else "",
        }  # fmt: skip
        pattern = self._file(output.source)
        name = self._key(pattern, output.identity, output.source, self._kind(output), output.output, values)
        if number > 1 and not used(pattern) & {"start", "end", "sequence", "index", "part"}:
            name += f"_{number}"
        return name

    def _kind(self, output: lines.OutputOpened) -> str:
        """What its playlist and segments hold."""
        return "video" if self._sound_alone and output.kind == "av" else output.kind

    def _file(self, source: str) -> str:
        return self._naming.mixed if source == Source.MIXED else self._naming.file

    def _key(self, pattern: str, identity: str, source: str, kind: str, output: str, own: dict[str, str | int]) -> str:
        common = self._common | {"identity": identity, "source": source, "kind": kind, "output": output}
        common |= {"stream": stream_name(identity, source), "letters": LETTERS[kind]}
        local = common | own
        if self._offset_ns:
            local |= {time: int(local[time]) + self._offset_ns for time in _TIMES & local.keys()}
        name = expand(pattern, local)
        alone = source == Source.MIXED and self._together  # there is one mix: nothing is to be told apart
        if kind != "av" and not alone and not used(pattern) & {"kind", "letters", "output"}:
            name += f"_{kind}"  # audio and video apart share everything else
        began = int(self._common["started"]) + self._offset_ns
        prefix = expand(self._naming.prefix, common | {"start": began, "started": began})
        key = (prefix + name) if prefix else name
        if len(key.encode()) <= MAX_KEY_BYTES:
            return key
        kept = key.encode()[: MAX_KEY_BYTES - MAX_SEGMENT_BYTES].decode(errors="ignore").rpartition("/")[0]
        return f"{kept}/{_cut(name.rpartition('/')[2], 200, key)}".removeprefix("/")


def distinct(key: str, output: str, taken: Callable[[str], bool]) -> str:
    """`key`, or the same with the output's number and a counter before its extension, whichever is free."""
    if not taken(key):
        return key
    folder, slash, name = key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    for suffix in (f"_{output}", *(f"_{output}_{n}" for n in range(2, 10_000))):
        candidate = f"{folder}{slash}{stem}{suffix}{dot}{extension}"
        if not taken(candidate):
            return candidate
    raise ValueError(f"no free name left beside {key!r}: put {{output}} or {{sequence}} into the pattern")


def _parse(where: str, pattern: str, known: frozenset[str]) -> list[_Piece]:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"{where} must be at most {MAX_PATTERN} characters")
    pieces: list[_Piece] = []
    skeleton: list[str] = []
    try:
        parsed = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"{where} {pattern!r} is malformed: {error}") from None
    for literal, name, spec, conversion in parsed:
        skeleton.append(literal)
        if name is None:
            pieces.append((literal, "", ""))
            continue
        if name not in known:
            have = ", ".join(variable for variable in VARIABLES if variable in known)
            raise ValueError(f"{where} has the unknown variable {{{name}}}; there are {have}")
        if conversion:
            raise ValueError(f"{where}: {{{name}!{conversion}}} has a conversion, which is not supported")
        _check_spec(where, name, spec or "")
        skeleton.append("x")
        pieces.append((literal, name, spec or ""))
    text = "".join(skeleton)
    if _UNSAFE.search(text.replace("/", "")):
        raise ValueError(f"{where} must not contain a backslash or control characters")
    parts = text.removesuffix("/").split("/") if text else []
    if any(part.strip() in ("", ".", "..") for part in parts):
        raise ValueError(f"{where} {pattern!r} must be a relative path without empty, '.' or '..' parts")
    return pieces


def _check_spec(where: str, name: str, spec: str) -> None:
    if name in _TIMES:
        if spec not in TIME_FORMS and not ("%" in spec and _STRFTIME.fullmatch(spec)):
            forms = ", ".join(form for form in TIME_FORMS if form)
            raise ValueError(f"{where}: {{{name}:{spec}}} is no form of a time; there are {forms}, %Y, %m...")
    elif name in _NUMBERS:
        if not _INTEGER.fullmatch(spec):
            raise ValueError(f"{where}: {{{name}:{spec}}} is no form of a number, as {{{name}:05d}} is")
    elif spec and spec not in TEXT_FORMS.get(name, {}):
        raise ValueError(f"{where}: {{{name}:{spec}}} takes no form")


def _time(ns: int, spec: str) -> str:
    form = TIME_FORMS.get(spec)
    return form(ns) if form else _utc(ns).strftime(spec)


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns // 1000 % 1_000_000)


def _bounded(part: str) -> str:
    text = part.strip()
    if text in (".", ".."):
        text = "_"
    return text if len(text.encode()) <= MAX_SEGMENT_BYTES else _cut(text, MAX_SEGMENT_BYTES, part)


def _cut(text: str, limit: int, original: str) -> str:
    mark = "-" + hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return text.encode()[: limit - len(mark)].decode(errors="ignore").rstrip() + mark
