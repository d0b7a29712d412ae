"""A real ingest process at its Unix socket and its UDP port: clients that misbehave, addresses nobody knows."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reelroom.domain.recording import Subscription
from reelroom.rooms import protocol
from reelroom.rtc.dtls import DtlsTransport, Role
from reelroom.rtc.srtp import SrtpTransport
from tests.rtcpeer import MID, binding_request, certificate, offer_text

_SERVE = """
import asyncio, os, sys
out = os.dup(1)
os.dup2(2, 1)  # log lines are not for the test
from pathlib import Path
from reelroom.rooms.ingest import Ingest, IngestConfig
async def main():
    ingest = Ingest(IngestConfig(index=0, socket=Path(sys.argv[1]), hosts=sys.argv[2].split(","), port=0, announce=()))
    ingest.start(asyncio.get_running_loop())
    os.write(out, b"%d\\n" % ingest.udp.port)
    await ingest.run(asyncio.Event())
asyncio.run(main())
"""


@dataclass
class Ingest:
    process: subprocess.Popen[str]
    path: Path
    port: int

    def connect(self) -> Client:
        return Client(self.path)

    @property
    def rss(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect(str(path))

    def send(self, message: Any) -> None:
        self.socket.sendall(protocol.encode(message))

    def read(self) -> tuple[int, bytes]:
        length, kind = protocol.PREFIX.unpack(self._exactly(5))
        return kind, self._exactly(length - 1)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def call(self, method: str, **params: Any) -> protocol.Reply:
        self.send(protocol.Request(id=1, method=method, params=params))
        kind, body = self.read()
        assert kind == protocol.REPLY
        reply = protocol.decode(kind, body)
        assert isinstance(reply, protocol.Reply)
        return reply

    def closed(self) -> bool:
        try:
            return self.socket.recv(65536) == b""
        except ConnectionError:
            return True


def started(hosts: str) -> Iterator[Ingest]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "i.sock"
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(path), hosts],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        try:
            yield Ingest(process, path, int(process.stdout.readline()))
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def ingest() -> Iterator[Ingest]:
    yield from started("127.0.0.1,::1")


def frame(length: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!IB", length, kind) + body


@pytest.mark.parametrize(
    "data",
    [
        frame(0, 35, b""),
        frame(0xFFFFFFFF, 35, b""),
        frame(3, 35, b"\xc1\xc1"),
        frame(3, 99, b"\x80\x80"),
        frame(2, 32, b"\x80"),
        frame(5, 1, b"\0\0\0\0"),
        protocol.encode(protocol.Hello(ingest="x", room_ns=0, ring_s=1.0)),
        protocol.encode(protocol.Keyframe(track=1)),
        protocol.encode(protocol.Update(subscription=Subscription(), at_ns=0)),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["zero", "huge", "msgpack", "type", "fields", "frame", "hello", "keyframe", "update", "http"],
)
def test_a_malformed_message_ends_that_connection_alone(ingest: Ingest, data: bytes) -> None:
    other, bad = ingest.connect(), ingest.connect()
    bad.socket.sendall(data)
    assert bad.closed()
    assert other.call("stats").error == ""
    assert ingest.process.poll() is None


def test_messages_in_pieces_and_several_at_once_are_all_answered(ingest: Ingest) -> None:
    client = ingest.connect()
    data = b"".join(protocol.encode(protocol.Request(id=n, method="stats")) for n in range(50))
    for at in range(0, len(data), 7):
        client.socket.sendall(data[at : at + 7])
    ids = [protocol.decode(*client.read()).id for _ in range(50)]
    assert ids == list(range(50))


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", {}, "invalid"),
        ("whip.create", {}, "invalid"),
        ("whip.create", {"app": "a", "room": "r", "identity": 5, "sdp": "v=0"}, "invalid"),
        ("whip.create", {"app": "a", "room": "r", "identity": "i", "sdp": {"x": 1}}, "invalid"),
        ("whip.create", {"app": "a", "room": "r", "identity": "i", "sdp": "v=0"}, "sdp"),
        ("whip.create", {"app": "a", "room": "r\0", "identity": "i", "sdp": offer_text()}, "invalid"),
        ("whep.create", {"app": "a", "room": "none", "identity": "i", "sdp": "v=0"}, "not_found"),
        ("peer.patch", {"app": "a", "room": "r", "identity": "i", "session": "none", "sdpfrag": ""}, "not_found"),
        ("peer.delete", {"app": "a", "room": "r", "identity": "i", "session": ["x"]}, "invalid"),
        ("peer.delete", {"session": "x"}, "invalid"),
        ("rooms.get", {"app": "a", "room": None}, "invalid"),
    ],
)
def test_bad_requests_are_refused_with_their_kind(ingest: Ingest, method: str, params: Any, code: str) -> None:
    reply = ingest.connect().call(method, **params)
    assert reply.code == code and reply.error


def test_who_asks_is_told_again_and_again_how_far_everything_has_been_sent(ingest: Ingest) -> None:
    asks, other = ingest.connect(), ingest.connect()
    for client, heard in ((asks, True), (other, False)):
        what = {"app": "a", "room": "heard", "recording": "r", "since_ns": 0, "subscription": Subscription()}
        client.send(protocol.Subscribe(**what, heard=heard))
    times: list[int] = []
    while len(times) < 5:
        kind, body = asks.read()
        if kind == protocol.HEARD:
            times.append(protocol.decode(kind, body).room_ns)
    assert times == sorted(set(times))
    other.socket.setblocking(False)
    waiting, kinds = other.socket.recv(65536), []
    while waiting:
        length, kind = protocol.PREFIX.unpack_from(waiting)
        kinds.append(kind)
        waiting = waiting[4 + length :]
    assert kinds == [protocol.HELLO, protocol.CAUGHT_UP]


def test_a_client_that_reads_no_replies_grows_no_memory_and_hurts_nobody(ingest: Ingest) -> None:
    other, stalled = ingest.connect(), ingest.connect()
    before = ingest.rss
    request = protocol.encode(protocol.Request(id=1, method="x" * 200_000)) * 4
    stalled.socket.settimeout(1)
    sent = 0
    for _ in range(400):
        try:
            stalled.socket.sendall(request)
        except OSError:  # it is cut off, or nothing is read from it any more
            break
        sent += len(request)
    assert sent < 200_000_000
    assert other.call("stats").error == ""
    assert ingest.rss - before < 100 << 20


class Publisher:
    """A session at the real port, and the socket it is used from."""

    def __init__(self, ingest: Ingest, family: int = socket.AF_INET) -> None:
        self.room = f"r{id(self)}"
        self.reply = ingest.connect().call(
            "whip.create", app="a", room=self.room, identity="i", sdp=offer_text(setup="actpass")
        )
        assert self.reply.error == "", self.reply.error
        lines = self.reply.result["sdp"].split("\r\n")
        value = {line.partition(":")[0]: line.partition(":")[2] for line in lines}
        self.ice = type("Ice", (), {"ufrag": value["a=ice-ufrag"], "password": value["a=ice-pwd"]})()
        self.remote_credentials = ("them", "")
        self.candidates = [line.split()[4:6] for line in lines if line.startswith("a=candidate")]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(1.0)
        self.to = ("::1" if family == socket.AF_INET6 else "127.0.0.1", ingest.port)

    def check(self) -> bytes:
        self.socket.sendto(binding_request(self, nominate=True), self.to)  # type: ignore[arg-type]
        return self.socket.recv(2048)


def counts(ingest: Ingest) -> dict[str, float]:
    result = ingest.connect().call("stats").result
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_checks_handshake_and_media_at_the_port(ingest: Ingest, family: int) -> None:
    publisher = Publisher(ingest, family)
    assert publisher.check()[:2] == b"\x01\x01"
    assert [publisher.to[0], str(ingest.port)] in publisher.candidates
    from reelroom.rtc.dtls import Fingerprint

    line = next(x for x in publisher.reply.result["sdp"].split("\r\n") if x.startswith("a=fingerprint"))
    theirs = Fingerprint("sha-256", line.split()[1])
    dtls = DtlsTransport(certificate("sender"), Role.CLIENT, (theirs,))
    dtls.start()
    while dtls.keys is None:
        for datagram in dtls.take_outgoing():
            publisher.socket.sendto(datagram, publisher.to)
        dtls.receive(publisher.socket.recv(2048))
    for datagram in dtls.take_outgoing():
        publisher.socket.sendto(datagram, publisher.to)
    assert dtls.keys is not None
    recorder = ingest.connect()
    what = {"app": "a", "room": publisher.room, "recording": "r", "subscription": Subscription(), "since_ns": 0}
    recorder.send(protocol.Subscribe(**what))
    protect = SrtpTransport(dtls.keys).protect
    middle = struct.pack("!HHBcxx", 0xBEDE, 1, MID << 4, b"a")  # sdes:mid
    for number in range(25):
        head = struct.pack("!BBHII", 0x90, 111, number, 960 * number, 77)
        publisher.socket.sendto(protect(head + middle + b"\xfc sound %d" % number), publisher.to)
        time.sleep(0.01)
    heard: list[bytes] = []
    while len(heard) < 20:
        kind, body = recorder.read()
        if kind == protocol.FRAME:
            heard.append(body[protocol.FRAME_OVERHEAD - protocol.PREFIX.size :])
    assert heard == [b"\xfc sound %d" % number for number in range(20)]


def test_an_address_that_passed_no_check_gets_nothing_and_is_counted(ingest: Ingest) -> None:
    before = counts(ingest)["datagrams_dropped_total"]
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.settimeout(0.2)
    hello = b"\x16\xfe\xfd" + bytes(100)
    for data in (hello, b"\x80" * 100, b"\x80\xc8" + bytes(40), b"\0\1" + bytes(18), b"\0", b"x" * 5000):
        stranger.sendto(data, ("127.0.0.1", ingest.port))
    with pytest.raises(TimeoutError):
        stranger.recv(2048)
    assert counts(ingest)["datagrams_dropped_total"] - before == 6


def test_checks_by_strangers_cost_little_and_get_no_answer(ingest: Ingest) -> None:
    publisher = Publisher(ingest)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.settimeout(0.2)
    wrong = binding_request(publisher, password="x" * 24)  # type: ignore[arg-type]
    unknown = wrong.replace(publisher.ice.ufrag.encode(), b"nobody00")
    for data, most_us in ((unknown, 60), (wrong, 400)):
        before, count = ingest.cpu_s, counts(ingest)["datagrams_total"]
        for index in range(4000):
            stranger.sendto(data, ("127.0.0.1", ingest.port))
            if index % 200 == 199:
                time.sleep(0.01)
        time.sleep(0.2)
        taken = counts(ingest)["datagrams_total"] - count
        assert taken > 3000
        assert (ingest.cpu_s - before) / taken * 1e6 < most_us
    with pytest.raises(TimeoutError):
        stranger.recv(2048)
    assert publisher.check()[:2] == b"\x01\x01"


def test_an_answer_comes_from_the_address_that_was_asked() -> None:
    for ingest in started("127.0.0.1,127.0.0.2"):
        publisher = Publisher(ingest)
        for host in ("127.0.0.1", "127.0.0.2"):
            publisher.socket.sendto(binding_request(publisher, nominate=True), (host, ingest.port))  # type: ignore[arg-type]
            _, source = publisher.socket.recvfrom(2048)
            assert source == (host, ingest.port)
