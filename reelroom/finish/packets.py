"""WebM, FLV and Ogg through FFmpeg's muxers, one packet after the other, without transcoding."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.packet import PacketSideData

from reelroom.finish.part import Made, digest, settle
from reelroom.finish.source import FinishError, Piece, Step

_FORMATS = {"webm": "webm", "flv": "flv", "opus": "ogg"}
_BASE_NS = 1_000_000_000
_NEW_EXTRADATA = 1  # AV_PKT_DATA_NEW_EXTRADATA


class _Stream:
    """One track of the file: its stream, and the packets of a piece."""

    def __init__(self, out: av.container.OutputContainer, piece: Piece, base_ns: int) -> None:
        # WebM's codecs say in their own frames what changes; FLV's need a new header in front.
        self._in_header = out.format.name == "flv"
        with av.open(io.BytesIO(piece.init), format="mov") as source:
            kind = piece.header.kind
            template = next(stream for stream in source.streams if stream.type == kind)
            self._stream = out.add_stream_from_template(template, opaque=True)
        self._entry = piece.header.entries[0]
        self._scale = piece.header.scale
        self._base = (base_ns * self._scale + _BASE_NS // 2) // _BASE_NS
        self._time_base = Fraction(1, self._scale)
        self._audio = kind == "audio"

    def packets(self, piece: Piece, data: bytes) -> list[tuple[float, av.Packet[Any]]]:
        changed = piece.header.entries[0] != self._entry
        self._entry = piece.header.entries[0]
        table = piece.table
        out: list[tuple[float, av.Packet[Any]]] = []
        times = (table.dts - self._base).tolist()
        rows = zip(
            times,
            table.durations.tolist(),
            table.keys.tolist(),
            table.offsets.tolist(),
            table.sizes.tolist(),
            strict=True,
        )
        for time, duration, key, offset, size in rows:
            if time < 0 and self._audio:
                continue  # sound of before a split: in the file before
            packet = av.Packet(data[offset : offset + size])
            packet.stream = self._stream
            packet.time_base = self._time_base
            packet.pts = packet.dts = time
            packet.duration = duration
            packet.is_keyframe = key
            if changed and self._in_header:
                _announce(packet, piece)
                changed = False
            out.append((time / self._scale, packet))
        return out


def _announce(packet: av.Packet[Any], piece: Piece) -> None:
    """Hand the muxer the codec header that holds from this packet on."""
    with av.open(io.BytesIO(piece.init), format="mov") as source:
        stream = next(stream for stream in source.streams if stream.type == piece.header.kind)
        extradata = stream.codec_context.extradata or b""
    data = PacketSideData(_NEW_EXTRADATA, len(extradata))  # type: ignore[call-arg]  # stub lacks it
    data.update(extradata)
    packet.set_sidedata(data)


def write(
    path: Path,
    format_: str,
    steps: Iterable[Step],
    kinds: tuple[str, ...],
    base_ns: int,
    progress: Callable[[float], None],
) -> Made:
    """Write the file; media time `base_ns` is its time 0. `kinds` are the tracks that it will have.

    Raises FinishError, OSError, or av.error.FFmpegError where the muxer refuses.
    """
    part = path.with_name(path.name + ".part")
    try:
        with av.open(str(part), "w", format=_FORMATS[format_]) as out:
            streams: dict[str, _Stream] = {}
            waiting: list[Step] = []
            for step in steps:
                # The header names every track, so it waits for the first piece of each.
                for kind, piece in (("video", step.video), ("audio", step.audio)):
                    if piece is not None and kind not in streams:
                        streams[kind] = _Stream(out, piece, base_ns)
                waiting.append(step)
                if len(streams) == len(kinds):
                    for item in waiting:
                        _step(out, streams, item)
                    waiting.clear()
            for item in waiting:
                _step(out, streams, item)
            if not streams:
                raise FinishError("there is neither picture nor sound")
        progress(0.8)
        made = digest(part)
        settle(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    progress(1.0)
    return made


def _step(out: av.container.OutputContainer, streams: dict[str, _Stream], step: Step) -> None:
    packets: list[tuple[float, av.Packet[Any]]] = []
    files: dict[Path, bytes] = {}
    for kind, piece in (("video", step.video), ("audio", step.audio)):
        if piece is None:
            continue
        if piece.path not in files:
            files[piece.path] = piece.path.read_bytes()
        packets += streams[kind].packets(piece, files[piece.path])
    packets.sort(key=lambda item: item[0])
    for _, packet in packets:
        out.mux_one(packet)
