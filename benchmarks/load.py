"""The load generator: many WebRTC participants from one process, sending stored packets; measures no server.

Each participant does WHIP, ICE and DTLS once. Then one loop protects and sends pre-packetized RTP at the
clip's times, answers NACKs from a short history (the same packets, no RTX), and sends a report each second.
"""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import select
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.loadpeer import AUDIO_PT, VIDEO_PT, LoadPeer, certificate
from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip, ticks
from tests.packetize import packetize

_HISTORY = 1024
_REPORT_NS = 1_000_000_000
_CONSENT_NS = 5_000_000_000
_LINGER_NS = 700_000_000
_NTP_EPOCH_NS = 2_208_988_800 * 1_000_000_000
_HEADER = struct.Struct("!BBHII")
# The one header extension: mid "0" or "1" as element 1, padded to a word (RFC 8285 section 4.2).
_MID = {"audio": b"\xbe\xde\x00\x01\x100\x00\x00", "video": b"\xbe\xde\x00\x01\x101\x00\x00"}


@dataclass(slots=True)
class Counted:
    """What one participant sent."""

    video_frames: int = 0
    audio_frames: int = 0
    packets: int = 0
    octets: int = 0
    nacked: int = 0
    resent: int = 0


@dataclass(slots=True)
class LoadResult:
    """`cpu_seconds` and `wall_seconds` are of the sending alone, without the handshakes."""

    participants: int
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    latest_ms: float = 0.0
    dropped_by_kernel: int = 0
    srtp_profile: str = ""
    sent: list[Counted] = field(default_factory=list)


@dataclass(slots=True)
class _Step:
    """A frame of the schedule: when it is due after the start of a round, and its packets."""

    due_ns: int
    kind: str
    ticks: int
    payloads: list[bytes]


def schedule(clip: Clip, mtu: int = 1150) -> list[_Step]:
    """A clip's frames as packets, in the order of their times."""
    if clip.spec.codec != "h264":
        raise ValueError(f"the load generator sends h264, not {clip.spec.codec}")
    steps = [_Step(f.pts_ns, "video", ticks(f.pts_ns, 90_000), packetize("h264", f.data, mtu)) for f in clip.video]
    steps += [_Step(f.pts_ns, "audio", ticks(f.pts_ns, 48_000), [f.data]) for f in clip.audio]
    return sorted(steps, key=lambda step: step.due_ns)


@dataclass(slots=True)
class _Stream:
    """The RTP state of one track of one participant."""

    ssrc: int
    payload_type: int
    sequence: int = 1
    octets: int = 0
    packets: int = 0
    history: list[bytes | None] = field(default_factory=lambda: [None] * _HISTORY)


class _Participant:
    """One participant's sending: its place in the schedule, its streams, its reports."""

    __slots__ = (
        "at",
        "base_ns",
        "consent_ns",
        "counted",
        "dropped",
        "peer",
        "report_ns",
        "streams",
        "wall_ns",
    )

    def __init__(self, peer: LoadPeer, base_ns: int, wall_ns: int) -> None:
        self.peer = peer
        self.at = 0
        self.base_ns = base_ns
        self.wall_ns = wall_ns
        self.report_ns = base_ns + _REPORT_NS // 4
        self.consent_ns = base_ns + _CONSENT_NS
        self.counted = Counted()
        self.dropped = 0
        self.streams = {
            "audio": _Stream(peer.audio_ssrc, AUDIO_PT),
            "video": _Stream(peer.video_ssrc, VIDEO_PT),
        }

    def send(self, step: _Step, rtp_ticks: int) -> None:
        """Protect and send one frame."""
        kind, payloads = step.kind, step.payloads
        stream = self.streams[kind]
        protect, send, history = self.peer.tx.protect, self.peer.socket.send, stream.history
        extension, ssrc, last = _MID[kind], stream.ssrc, len(payloads) - 1
        sequence, timestamp = stream.sequence, rtp_ticks & 0xFFFFFFFF
        octets = 0
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == last and kind == "video" else 0
            header = _HEADER.pack(0x90, marker | stream.payload_type, sequence, timestamp, ssrc)
            packet = protect(header + extension + payload)
            history[sequence % _HISTORY] = packet
            sequence = (sequence + 1) & 0xFFFF
            octets += len(payload)
            try:
                send(packet)
            except BlockingIOError:
                self.dropped += 1
            except ConnectionRefusedError:
                pass  # an ICMP answer to an earlier packet; whether the server is there, its frames tell
        stream.sequence = sequence
        stream.packets += len(payloads)
        stream.octets += octets
        counted = self.counted
        counted.packets += len(payloads)
        counted.octets += octets
        if kind == "video":
            counted.video_frames += 1
        else:
            counted.audio_frames += 1

    def report(self, now_ns: int) -> None:
        """Send both tracks' sender reports: this moment by the wall clock and by each RTP clock."""
        media_ns = now_ns - self.base_ns
        ntp = ((self.wall_ns + media_ns + _NTP_EPOCH_NS) << 32) // 1_000_000_000
        for kind, rate in (("audio", 48_000), ("video", 90_000)):
            stream = self.streams[kind]
            report = struct.pack(
                "!BBHIQIII",
                0x80,
                200,
                6,
                stream.ssrc,
                ntp,
                ticks(media_ns, rate) & 0xFFFFFFFF,
                stream.packets & 0xFFFFFFFF,
                stream.octets & 0xFFFFFFFF,
            )
            # Source description: the CNAME "load", so that a receiver knows the tracks for one person's.
            description = struct.pack("!BBHIBB4sxx", 0x81, 202, 3, stream.ssrc, 1, 4, b"load")
            try:
                self.peer.socket.send(self.peer.tx.protect_rtcp(report + description))
            except (BlockingIOError, ConnectionRefusedError):
                self.dropped += 1

    def receive(self) -> None:
        """Read what has come: answer ICE checks and NACKs."""
        sock = self.peer.socket
        while True:
            try:
                data = sock.recv(2048)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            if data[0] < 4:
                self.peer.handle_stun(data)
            elif 128 <= data[0] < 192:
                self._rtcp(self.peer.rx.unprotect_rtcp(data))

    def _rtcp(self, compound: bytes) -> None:
        at = 0
        while at + 12 <= len(compound):
            first, kind, words = struct.unpack_from("!BBH", compound, at)
            end = at + 4 * (words + 1)
            if kind == 205 and first & 31 == 1:
                (ssrc,) = struct.unpack_from("!I", compound, at + 8)
                for entry in range(at + 12, end, 4):
                    self._resend(ssrc, *struct.unpack_from("!HH", compound, entry))
            at = end

    def _resend(self, ssrc: int, sequence: int, mask: int) -> None:
        stream = next((s for s in self.streams.values() if s.ssrc == ssrc), None)
        if stream is None:
            return
        for bit in range(17):
            if bit and not mask >> (bit - 1) & 1:
                continue
            self.counted.nacked += 1
            lost = (sequence + bit) & 0xFFFF
            packet = stream.history[lost % _HISTORY]
            if packet and int.from_bytes(packet[2:4], "big") == lost:
                self.peer.socket.send(packet)
                self.counted.resent += 1


def run_load(
    url: str,
    tokens: Sequence[str | None],
    clip: Clip,
    seconds: float,
    *,
    on: Callable[[str], None] = lambda event: None,
) -> LoadResult:
    """Publish the clip, looping, as `len(tokens)` participants for `seconds`; `url` may contain {i}.

    Participants begin at even distances within one frame time, so that their packets do not come in one
    burst. `on` is called with "connected", "sending" and "sent". Raises LoadError or WhipError when one
    cannot connect.
    """
    steps = schedule(clip)
    identity = certificate()
    result = LoadResult(len(tokens))
    peers: list[LoadPeer] = []
    try:
        for number, token in enumerate(tokens):
            peer = LoadPeer()
            peers.append(peer)
            peer.connect(url.replace("{i}", str(number)), token, identity)
        result.srtp_profile = peers[0].profile.decode()
        on("connected")
        _send(peers, steps, clip, seconds, result, on)
    finally:
        for peer in peers:
            if hasattr(peer, "socket"):
                peer.close()
    return result


def _send(
    peers: list[LoadPeer],
    steps: list[_Step],
    clip: Clip,
    seconds: float,
    result: LoadResult,
    on: Callable[[str], None],
) -> None:
    spread = 1_000_000_000 // clip.spec.fps // len(peers)
    began, wall = time.monotonic_ns(), time.time_ns()
    everybody = [_Participant(p, began + i * spread, wall + i * spread) for i, p in enumerate(peers)]
    poll = select.epoll()
    by_fd = {}
    for participant in everybody:
        by_fd[participant.peer.socket.fileno()] = participant
        poll.register(participant.peer.socket, select.EPOLLIN)
    heap = [(p.base_ns, i) for i, p in enumerate(everybody)]
    heapq.heapify(heap)
    length, duration = len(steps), clip.duration_ns
    stop_ns = round(seconds * 1e9)
    cpu = _cpu_seconds()
    on("sending")
    latest, next_poll = 0, began
    while heap:
        now = time.monotonic_ns()
        due, index = heap[0]
        if due > now or now >= next_poll:
            # Between frames, and at least every 10 ms: what has come in.
            timeout = max(0.0, (due - now) / 1e9)
            for fd, _ in poll.poll(min(timeout, 0.01)):
                by_fd[fd].receive()
            next_poll = time.monotonic_ns() + 10_000_000
            continue
        participant = everybody[index]
        latest = max(latest, now - due)
        rounds, at = divmod(participant.at, length)
        step = steps[at]
        offset = rounds * duration
        rate = 90_000 if step.kind == "video" else 48_000
        participant.send(step, step.ticks + ticks(offset, rate))
        participant.at += 1
        if now >= participant.report_ns:
            participant.report_ns += _REPORT_NS
            participant.report(now)
        if now >= participant.consent_ns:
            participant.consent_ns += _CONSENT_NS
            participant.peer.check()
        rounds, at = divmod(participant.at, length)
        media_ns = rounds * duration + steps[at].due_ns
        if media_ns < stop_ns:
            heapq.heapreplace(heap, (participant.base_ns + media_ns, index))
        else:
            heapq.heappop(heap)
    result.cpu_seconds = _cpu_seconds() - cpu
    result.wall_seconds = (time.monotonic_ns() - began) / 1e9
    result.latest_ms = latest / 1e6
    on("sent")
    linger = time.monotonic_ns() + _LINGER_NS
    while time.monotonic_ns() < linger:
        for fd, _ in poll.poll(0.05):
            by_fd[fd].receive()
    poll.close()
    result.dropped_by_kernel = sum(p.dropped for p in everybody)
    result.sent = [p.counted for p in everybody]


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="WHIP URL; {i} becomes the participant's number")
    parser.add_argument("--participants", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--tokens", help="a JSON file: one bearer token per participant")
    parser.add_argument("--events", action="store_true", help="print each event as a JSON line, the result last")
    options = parser.parse_args()
    tokens: list[str | None] = [None] * options.participants
    if options.tokens:
        with open(options.tokens) as file:
            tokens = json.load(file)[: options.participants]
        if len(tokens) < options.participants:
            parser.error(f"{options.tokens} has {len(tokens)} tokens for {options.participants} participants")

    def say(event: str) -> None:
        if options.events:
            print(json.dumps({"event": event, "time_ns": time.time_ns()}), flush=True)

    result = run_load(options.url, tokens, make_clip(10), options.seconds, on=say)
    json.dump({"event": "result", **asdict(result)}, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
