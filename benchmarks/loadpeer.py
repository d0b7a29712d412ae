"""One sending participant of the load generator: SDP, ICE, DTLS, SRTP on one socket. Sends no media."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
import secrets
import select
import socket
import time
from dataclasses import dataclass, field

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from reelroom.demo import whip

AUDIO_PT, VIDEO_PT = 111, 102
_STEP_S, _ICE_TIMEOUT_S, _DTLS_TIMEOUT_S = 0.05, 10.0, 10.0
_DTLS_1_2 = 0xFEFD
# OpenSSL's name → libsrtp's profile, bytes of key, bytes of salt (RFC 5764, RFC 7714); the leaner one first.
_PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


class LoadError(Exception):
    """A participant of the load generator could not connect; says at which step."""


def certificate() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A self-signed P-256 certificate for DTLS, valid for two days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "load")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    return key, builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).digest().hex(":").upper()


def _local_addresses() -> list[str]:
    """127.0.0.1, and the address that the machine uses towards its network, if it has one."""
    found = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # RFC 5737: sends nothing, only asks for the route
        found.append(probe.getsockname()[0])
    return list(dict.fromkeys(found))


@dataclass(slots=True)
class _Remote:
    """What an SDP answer says of the other side."""

    ufrag: str
    password: str
    fingerprint: str
    dtls_client: bool
    candidates: list[tuple[str, int]]

    @classmethod
    def parse(cls, answer: str) -> _Remote:
        def first(pattern: str) -> str:
            match = re.search(pattern, answer, re.MULTILINE)
            if not match:
                raise LoadError(f"the SDP answer has no line like {pattern!r}:\n{answer}")
            return match[1].strip()

        candidates = [
            (address, int(port))
            for address, port in re.findall(r"^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", answer, re.M | re.I)
        ]
        if not candidates:
            raise LoadError(f"the SDP answer has no IPv4 host candidate over UDP:\n{answer}")
        candidates.sort(key=lambda c: not c[0].startswith("127."))
        return cls(
            first(r"^a=ice-ufrag:(.*)$"),
            first(r"^a=ice-pwd:(.*)$"),
            first(r"^a=fingerprint:sha-256 (.*)$").upper(),
            first(r"^a=setup:(.*)$") == "active",
            candidates,
        )


@dataclass(slots=True)
class LoadPeer:
    """A connected participant; its SSRCs were announced in the SDP, with mid 0 for audio and 1 for video."""

    audio_ssrc: int = field(default_factory=lambda: secrets.randbits(31))
    video_ssrc: int = field(default_factory=lambda: secrets.randbits(31))
    socket: socket.socket = field(init=False)
    tx: Session = field(init=False)
    rx: Session = field(init=False)
    profile: bytes = b""
    session: whip.WhipSession | None = None
    _ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    _password: str = field(default_factory=lambda: secrets.token_hex(16))
    _remote: _Remote | None = None

    def offer(self, fingerprint: str) -> str:
        """The SDP offer: Opus and constrained-baseline H.264, sendonly, bundled, NACK and PLI, no RTX."""
        port = self.socket.getsockname()[1]
        common = [
            "c=IN IP4 0.0.0.0",
            "a=rtcp-mux",
            "a=sendonly",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {fingerprint}",
            "a=setup:actpass",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        ]
        candidates = [
            f"a=candidate:{i} 1 udp {2130706431 - i} {address} {port} typ host"
            for i, address in enumerate(_local_addresses(), 1)
        ]
        lines = [
            "v=0",
            f"o=- {secrets.randbits(62)} 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0 1",
        ]
        lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}", *common, "a=mid:0", "a=msid:load audio"]
        lines += [
            f"a=rtpmap:{AUDIO_PT} opus/48000/2",
            f"a=fmtp:{AUDIO_PT} minptime=10;useinbandfec=1",
            f"a=ssrc:{self.audio_ssrc} cname:load",
            *candidates,
            "a=end-of-candidates",
        ]
        lines += [f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}", *common, "a=mid:1", "a=msid:load video"]
        lines += [
            f"a=rtpmap:{VIDEO_PT} H264/90000",
            f"a=fmtp:{VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            f"a=rtcp-fb:{VIDEO_PT} nack",
            f"a=rtcp-fb:{VIDEO_PT} nack pli",
            f"a=ssrc:{self.video_ssrc} cname:load",
            *candidates,
            "a=end-of-candidates",
        ]
        return "\r\n".join(lines) + "\r\n"

    def connect(
        self, url: str, token: str | None, identity: tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
    ) -> None:
        """WHIP, ICE (controlling, aggressive nomination of one pair), DTLS. Raises LoadError, WhipError."""
        key, cert = identity
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.setblocking(False)
        self.session = whip.publish(url, token, self.offer(_fingerprint(cert.public_bytes(Encoding.DER))))
        self._remote = _Remote.parse(self.session.answer)
        early = self._ice(self._remote)
        self._dtls(self._remote, key, cert, early)

    def check(self) -> None:
        """Send a binding request that nominates this pair: ICE's check, later a consent check (RFC 7675)."""
        remote = self._remote
        assert remote is not None
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{remote.ufrag}:{self._ufrag}"
        request.attributes["PRIORITY"] = 1853693695
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(remote.password.encode())
        self.socket.send(bytes(request))

    def handle_stun(self, data: bytes) -> bool:
        """Answer a binding request of the other side; True when `data` is an answer to a check of ours."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return False
        if message.message_class == stun.Class.RESPONSE:
            return True
        if message.message_class == stun.Class.REQUEST and message.message_method == stun.Method.BINDING:
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = self.socket.getpeername()
            answer.add_message_integrity(self._password.encode())
            self.socket.send(bytes(answer))
        return False

    def _receive(self, timeout_s: float) -> bytes | None:
        if not select.select([self.socket], [], [], max(0.0, timeout_s))[0]:
            return None
        try:
            return self.socket.recv(4096)
        except (BlockingIOError, ConnectionRefusedError):
            return None

    def _ice(self, remote: _Remote) -> list[bytes]:
        """Check the candidates in turn until one answers. Returns DTLS packets that came early."""
        early: list[bytes] = []
        deadline = time.monotonic() + _ICE_TIMEOUT_S
        while time.monotonic() < deadline:
            for address in remote.candidates:
                self.socket.connect(address)
                self.check()
                until = time.monotonic() + _STEP_S * 4
                while (left := until - time.monotonic()) > 0:
                    data = self._receive(left)
                    if data and data[0] < 4 and self.handle_stun(data):
                        return early
                    if data and 20 <= data[0] < 64:
                        early.append(data)
        raise LoadError(f"no ICE check was answered by {remote.candidates} in {_ICE_TIMEOUT_S} s")

    def _dtls(
        self,
        remote: _Remote,
        key: ec.EllipticCurvePrivateKey,
        cert: x509.Certificate,
        early: list[bytes],
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_max_proto_version(_DTLS_1_2)
        context.use_privatekey(key)
        context.use_certificate(cert)
        context.set_tlsext_use_srtp(b":".join(_PROFILES))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        connection = SSL.Connection(context, None)
        connection.set_ciphertext_mtu(1200)
        if remote.dtls_client:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        deadline = time.monotonic() + _DTLS_TIMEOUT_S
        for data in early:
            connection.bio_write(data)
        while True:
            try:
                connection.do_handshake()
                done = True
            except SSL.WantReadError:
                done = False
            except SSL.Error as error:
                raise LoadError(f"the DTLS handshake failed: {error}") from error
            with contextlib.suppress(SSL.WantReadError):
                while True:
                    self.socket.send(connection.bio_read(4096))
            if done:
                break
            if time.monotonic() > deadline:
                raise LoadError(f"no DTLS within {_DTLS_TIMEOUT_S} s")
            data = self._receive(min(connection.DTLSv1_get_timeout() or _STEP_S, _STEP_S))
            if data is None:
                connection.DTLSv1_handle_timeout()
            elif data[0] < 4:
                self.handle_stun(data)
            elif 20 <= data[0] < 64:
                connection.bio_write(data)
        peer = connection.get_peer_certificate(as_cryptography=True)
        if peer is None or _fingerprint(peer.public_bytes(Encoding.DER)) != remote.fingerprint:
            raise LoadError("the other side's DTLS certificate is not the one of its SDP answer")
        self._keys(connection, is_client=not remote.dtls_client)

    def _keys(self, connection: SSL.Connection, *, is_client: bool) -> None:
        self.profile = connection.get_selected_srtp_profile()
        if self.profile not in _PROFILES:
            raise LoadError(f"DTLS chose no SRTP profile of ours, but {self.profile!r}")
        profile, key_size, salt_size = _PROFILES[self.profile]
        material = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key_size + salt_size))
        # RFC 5764 section 4.2: the client's key, the server's key, the client's salt, the server's salt.
        keys = [material[i * key_size : (i + 1) * key_size] for i in range(2)]
        salts = material[2 * key_size :]
        both = [keys[i] + salts[i * salt_size : (i + 1) * salt_size] for i in range(2)]
        mine, theirs = both if is_client else both[::-1]
        self.tx = Session(Policy(key=mine, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self.rx = Session(Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def close(self) -> None:
        """End the WHIP session and close the socket."""
        try:
            if self.session:
                self.session.delete()
        except whip.WhipError as error:
            if error.status != 404:
                raise
        finally:
            self.socket.close()
