"""What FFmpeg's own RTP muxer sends, depacketized: an independent reading of the RFCs. Loopback sockets only."""

from __future__ import annotations

import socket
from fractions import Fraction

import av
import pytest

from reelroom.rtc.depacketize import make_depacketizer
from reelroom.scheduling import same_priority
from tests.depacketize_clips import ENCODERS, decoded, encoded, nal_units, without_delimiter


def rtp_payloads(codec: str, frames: tuple[bytes, ...]) -> list[list[tuple[bytes, bool]]]:
    """The (payload, marker) of each frame, as they leave FFmpeg's muxer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        port = receiver.getsockname()[1]
        url = f"rtp://127.0.0.1:{port}?pkt_size=1200&rtcpport={port}"
        sent = []
        with av.open(url, "w", format="rtp", options={"strict": "experimental"}) as output:
            stream = output.add_stream(ENCODERS[codec][0], rate=30)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
            with same_priority():
                output.start_encoding()
            for number, frame in enumerate(frames):
                packet = av.Packet(frame)
                packet.stream, packet.time_base = stream, Fraction(1, 30)
                packet.pts = packet.dts = number
                packet.is_keyframe = number % 6 == 0
                output.mux(packet)
                sent.append(receive_frame(receiver))
    return sent


def receive_frame(receiver: socket.socket) -> list[tuple[bytes, bool]]:
    packets = []
    while not packets or not packets[-1][1]:
        datagram = receiver.recv(2048)
        if 192 <= datagram[1] <= 223:
            continue  # RTCP
        assert datagram[0] == 0x80  # no extension, no contributing sources, no padding
        packets.append((datagram[12:], bool(datagram[1] & 0x80)))
    return packets


@pytest.mark.parametrize("codec", list(ENCODERS))
def test_what_ffmpeg_sends_comes_back(codec: str) -> None:
    original = encoded(codec)
    depacketizer = make_depacketizer(codec, {})
    frames, keys = [], []
    for packets in rtp_payloads(codec, original):
        results = [depacketizer.push(payload, marker) for payload, marker in packets]
        assert results[:-1] == [None] * (len(results) - 1)
        assert results[-1] is not None
        frames.append(results[-1])
        keys.append(depacketizer.keyframe)
    assert depacketizer.malformed == 0
    assert keys == [number % 6 == 0 for number in range(12)]
    for frame, before in zip(frames, original, strict=True):
        if codec in ("h264", "h265"):
            assert sorted(nal_units(frame)) == sorted(nal_units(before))
        else:
            assert frame == without_delimiter(before)
    assert len(decoded(codec, frames)) == 12
