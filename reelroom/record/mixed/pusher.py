"""The process that holds one push's connection: frames on its standard input, libav's output to the URL.

A process of its own, because connecting holds Python's lock in libav for as long as the other side likes. Decides
nothing: `push.py` starts it, feeds it and ends it. On its standard output it says b"C" when it is connected, or
b"E" and why it is not. Everything it is told comes over standard input: command lines are for all to see.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from fractions import Fraction
from typing import IO, Any

import av
import av.error
import msgspec
from av.container.output import OutputContainer
from av.packet import PacketSideData

from reelroom.record.mixed.srt import PAYLOAD, Srt
from reelroom.record.mux.annexb import to_lengths
from reelroom.record.mux.ts import adts

FRAME = struct.Struct("!IBq")  # payload's length, flags, room time in ns
VIDEO, KEY, HEADERS = 1, 2, 4  # HEADERS: no frame, but an `init` that holds from the next picture on
MAX_PAYLOAD = 64 << 20
_BASE = Fraction(1, 1_000_000)
_NEW_EXTRADATA = 1  # AV_PKT_DATA_NEW_EXTRADATA
_CONNECT_US = 15_000_000


class Line(msgspec.Struct, frozen=True):
    """What is to be sent where. `init`: an fMP4 initialisation segment that describes both tracks."""

    url: str
    init: bytes
    video: str  # codec, "" for none
    audio: str
    rate: int
    channels: int


def main(source: IO[bytes], sink: IO[bytes]) -> int:
    """Send until the input ends. Returns the process's exit code."""
    size = int.from_bytes(source.read(4), "big")
    line = msgspec.msgpack.decode(source.read(size), type=Line)
    try:
        with contextlib.ExitStack() as stack:
            out = _connect(line, stack)
            streams = _streams(out, line)
            out.start_encoding()
            sink.write(b"C")
            sink.flush()
            _send(source, out, streams, line)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # PyAV's own text would name the URL, which may hold a key.
        ours = not isinstance(error, av.error.FFmpegError)
        reason = getattr(error, "strerror", None) or (str(error) if ours else "") or type(error).__name__
        sink.write(b"E" + reason.encode())
        sink.flush()
        return 1
    return 0


def _connect(line: Line, stack: contextlib.ExitStack) -> OutputContainer:
    if line.url.startswith("srt:"):
        sink = Srt(line.url)
        stack.callback(sink.close)
        return stack.enter_context(av.open(sink, "w", format="mpegts", buffer_size=8 * PAYLOAD))
    # A server that takes no duration or size in the end cannot seek back for them.
    options = {"flvflags": "no_duration_filesize", "rw_timeout": str(_CONNECT_US), "rtmp_live": "live"}
    return stack.enter_context(av.open(line.url, "w", format="flv", options=options))


def _streams(out: OutputContainer, line: Line) -> dict[bool, Any]:
    """Video? → stream. FLV wants the codecs' headers first; transport streams have them in their frames."""
    streams: dict[bool, Any] = {}
    if out.format.name == "mpegts":
        if line.video:
            name = "hevc" if line.video == "h265" else line.video
            streams[True] = out.add_mux_stream(name, width=16, height=16)
        if line.audio:
            streams[False] = out.add_mux_stream(line.audio, rate=line.rate)
        return streams
    with av.open(io.BytesIO(line.init), format="mov") as described:
        for template in described.streams:
            streams[template.type == "video"] = out.add_stream_from_template(template, opaque=True)
    return streams


def _send(source: IO[bytes], out: OutputContainer, streams: dict[bool, Any], line: Line) -> None:
    flv = out.format.name == "flv"
    begin_ns: int | None = None
    headers = b""
    while len(head := source.read(FRAME.size)) == FRAME.size:
        size, flags, room_ns = FRAME.unpack(head)
        if size > MAX_PAYLOAD:
            raise ValueError(f"a frame of {size} bytes")
        payload = source.read(size)
        if flags & HEADERS:
            headers = payload
            continue
        video = bool(flags & VIDEO)
        if begin_ns is None:
            begin_ns = room_ns
        if room_ns < begin_ns or len(payload) < size:
            continue
        if video:
            payload = to_lengths(payload) if flv and line.video in ("h264", "h265") else payload
        elif not flv and line.audio == "aac":
            payload = adts(payload, line.channels, line.rate)
        packet = av.Packet(payload)
        packet.stream = streams[video]
        packet.time_base = _BASE
        packet.pts = packet.dts = (room_ns - begin_ns) // 1000
        packet.is_keyframe = not video or bool(flags & KEY)
        if video and headers and flv:  # transport streams have them in their frames
            _announce(packet, headers)
            headers = b""
        out.mux(packet)


def _announce(packet: av.Packet[Any], init: bytes) -> None:
    """Hand the muxer the video codec's header that holds from this packet on."""
    with av.open(io.BytesIO(init), format="mov") as described:
        extradata = described.streams.video[0].codec_context.extradata or b""
    data = PacketSideData(_NEW_EXTRADATA, len(extradata))  # type: ignore[call-arg]  # stub lacks it
    data.update(extradata)
    packet.set_sidedata(data)


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
