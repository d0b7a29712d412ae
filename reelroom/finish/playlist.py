"""HLS playlists (RFC 8216) of closed segments. Writes no file and decides nothing about uploads.

A playlist grows (`EXT-X-PLAYLIST-TYPE:EVENT`) until it is ended. RFC 8216, 6.2.1: its target duration must
not change meanwhile, and 4.3.3.1: no segment may be longer. Segments end at the first key frame after
`segment_s`, so the target is chosen with room for a sender that is late with it (`target_duration`). One
that sends none for longer still makes the target grow: players read it again with every reload, whereas a
segment beyond the target makes them stop.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from reelroom.domain.lines import Init, Segment
from reelroom.domain.naming import TIME_FORMS
from reelroom.domain.recording import PlaylistTags

NAMES = Callable[[Segment | Init], str]  # the URI, relative to the playlist, of a segment or an init segment

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what would end a line
_HOLE_NS = 100_000_000  # a jump in media time that players do not bridge by themselves
_DRIFT_NS = 2_000_000  # what a wall clock may differ from the sum of durations before it is said anew


def target_duration(segment_s: float) -> int:
    """EXT-X-TARGETDURATION, whole seconds, for segments cut at the first key frame after `segment_s`."""
    return math.ceil(segment_s * 1.5) + 1


class Growing:
    """A media playlist to which segments are appended. What it has said of a segment it never changes."""

    def __init__(self, target_s: int, first: int = 1, dated: bool = False, tags: Tags | None = None) -> None:
        """`first`: the number of the segment that it begins with. `dated`: each has its time, needed or not."""
        self._target = target_s
        self._dated = dated
        self._first = first
        self._tags = tags
        self._head: list[str] = []  # of tags
        self._body: list[str] = []
        self._last: Segment | None = None
        self._init = 0
        self._fmp4 = False
        self._independent = True
        self._gaps = False
        self._clock_ns = 0  # wall clock at the end of what stands there, as a player counts it

    @property
    def segments(self) -> int:
        """How many segments it names; their numbers have no holes."""
        return self.last - self._first + 1

    @property
    def last(self) -> int:
        """The number of the last segment that it names, or of the one before its first."""
        return self._last.number if self._last else self._first - 1

    def add(self, segment: Segment, inits: dict[int, Init], names: NAMES, *, missing: bool = False) -> None:
        """Append the next segment; `missing`: its object will never exist, and EXT-X-GAP says so.

        Raises ValueError for a segment out of turn, or one whose init segment is not in `inits`.
        """
        last = self._last
        if segment.number != self.last + 1:
            raise ValueError(f"segment {segment.number} of output {segment.output} after {self.last}")
        duration = segment.media_end_ns - segment.media_start_ns
        if duration < 0:
            raise ValueError(f"segment {segment.number} of output {segment.output} ends before it starts")
        lines: list[str] = []
        hole = last is not None and abs(segment.media_start_ns - last.media_end_ns) > _HOLE_NS
        cut = last is not None and (segment.discontinuity or hole or segment.init != self._init)
        if cut:
            lines.append("#EXT-X-DISCONTINUITY")
        if segment.init and segment.init != self._init:
            if segment.init not in inits:
                raise ValueError(f"segment {segment.number} of {segment.output} needs init {segment.init}")
            lines.append(f'#EXT-X-MAP:URI="{names(inits[segment.init])}"')
        if self._dated or last is None or cut or abs(segment.start_ns - self._clock_ns) > _DRIFT_NS:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date(segment.start_ns)}")
            self._clock_ns = segment.start_ns
        if missing:
            lines.append("#EXT-X-GAP")
        if self._tags is not None:
            self._head = self._head or self._tags.head(segment)
            if last is None or (segment.width, segment.height) != (last.width, last.height):
                lines += self._tags.sizes(segment)
            if last is None or hole:
                lines += self._tags.starts(segment)
            lines += self._tags.each(segment)
        lines.append(f"#EXTINF:{duration / 1e9:.6f},")
        lines.append(names(segment))
        self._clock_ns += duration
        self._body.append("\n".join(lines) + "\n")
        self._target = max(self._target, round(duration / 1e9), 1)
        self._independent &= segment.key
        self._fmp4 |= bool(segment.init)
        self._gaps |= missing
        self._init = segment.init
        self._last = segment

    def text(self, ended: bool) -> str:
        """The playlist; `ended`: nothing more will come."""
        version = 8 if self._gaps else 7 if self._fmp4 else 3
        head = ["#EXTM3U", f"#EXT-X-VERSION:{version}", f"#EXT-X-TARGETDURATION:{self._target}"]
        head += ["#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:EVENT"]
        if self._independent and self._body:
            head.append("#EXT-X-INDEPENDENT-SEGMENTS")
        head += self._head
        return "\n".join(head) + "\n" + "".join(self._body) + ("#EXT-X-ENDLIST\n" if ended else "")


class Tags:
    """A dialect's own tags in the playlist of one output."""

    def __init__(self, tags: PlaylistTags, identity: str, source: str, kind: str) -> None:
        self._tags = tags
        self._kind = kind
        names = {"identity": _CONTROL.sub("?", identity), "source": tags.sources.get(source, source), "kind": kind}
        self._output: dict[str, str] = names

    def head(self, first: Segment) -> list[str]:
        return self._said(self._tags.head.get(self._kind, ()), first)

    def each(self, segment: Segment) -> list[str]:
        return self._said(self._tags.each, segment)

    def starts(self, segment: Segment) -> list[str]:
        return self._said(self._tags.starts.get(self._kind, ()), segment)

    def sizes(self, segment: Segment) -> list[str]:
        return self._said(self._tags.sizes.get(self._kind, ()), segment)

    def _said(self, lines: Sequence[str], segment: Segment) -> list[str]:
        values = {
            "start_ms": segment.start_ns // 1_000_000,
            "start_digits": TIME_FORMS["digits"](segment.start_ns),
            "bytes": segment.bytes,
            "width": segment.width,
            "height": segment.height,
            "channels": segment.channels,
            "sample_rate": segment.sample_rate,
        }
        return [line.format(**self._output, **values) for line in lines]


def playlist(
    segments: Sequence[Segment],
    inits: Iterable[Init],
    names: NAMES,
    ended: bool,
    target_s: int = 0,
    dated: bool = False,
) -> str:
    """The media playlist of some of an output's segments; ValueError unless their numbers have no hole."""
    growing = Growing(target_s, segments[0].number if segments else 1, dated)
    known = {init.number: init for init in inits}
    for segment in segments:
        growing.add(segment, known, names)
    return growing.text(ended)


class Variant(NamedTuple):
    """One media playlist within a multivariant playlist."""

    uri: str
    identity: str
    bandwidth: int  # bit/s, the highest of any segment
    width: int = 0
    height: int = 0


def multivariant(video: Variant, audio: Sequence[Variant]) -> str:
    """A multivariant playlist (RFC 8216, 4.3.4) that joins a video with the audio recorded apart from it."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for number, one in enumerate(audio):
        name = one.identity.replace('"', "'").replace("\n", " ")
        default = "YES" if number == 0 else "NO"
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="{name}",DEFAULT={default},AUTOSELECT=YES,URI="{one.uri}"'
        )
    attributes = [f"BANDWIDTH={max(1, video.bandwidth + max((one.bandwidth for one in audio), default=0))}"]
    if video.width and video.height:
        attributes.append(f"RESOLUTION={video.width}x{video.height}")
    if audio:
        attributes.append('AUDIO="audio"')
    lines += ["#EXT-X-STREAM-INF:" + ",".join(attributes), video.uri]
    return "\n".join(lines) + "\n"


def relative_uri(key: str, playlist_key: str) -> str:
    """`key` as a percent-encoded URI reference from the playlist beside it (both are names in storage)."""
    here, there = playlist_key.split("/")[:-1], key.split("/")
    same = 0
    while same < min(len(here), len(there) - 1) and here[same] == there[same]:
        same += 1
    parts = [".."] * (len(here) - same) + there[same:]
    safe = "!$&'()*,;=@~:"  # not "+", which Amazon's S3 takes for a space
    if ":" in parts[0]:  # or what stands before it would look like a scheme (RFC 3986, 4.2)
        parts.insert(0, ".")
    return "/".join(quote(part, safe=safe) for part in parts)


def _date(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns // 1_000_000 % 1000:03d}Z"
