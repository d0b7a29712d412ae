"""DTLS 1.2 with use_srtp (RFC 5764) over datagrams that the caller carries. Holds no socket and no clock."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

#: Our ciphertext MTU, bytes of UDP payload: handshake flights are cut to this.
MTU = 1200
_DTLS_1_2 = 0xFEFD  # RFC 6347 §4.1; pyOpenSSL has no name for it
_MAX_APPLICATION_RECORDS = 64  # of one datagram of 2048 bytes


class DtlsError(Exception):
    """The handshake failed or the peer's certificate is not the one its SDP announced."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """Key and salt lengths in bytes of an SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2)."""

    name: str
    key: int
    salt: int


#: In the order we prefer: AES-GCM costs a third less than AES-CM with HMAC-SHA1 here.
PROFILES = (
    SrtpProfile("SRTP_AEAD_AES_128_GCM", 16, 12),
    SrtpProfile("SRTP_AEAD_AES_256_GCM", 32, 12),
    SrtpProfile("SRTP_AES128_CM_SHA1_80", 16, 14),
    SrtpProfile("SRTP_AES128_CM_SHA1_32", 16, 14),
)
_BY_NAME = {profile.name: profile for profile in PROFILES}

_HASHES = {
    "sha-1": hashlib.sha1,
    "sha-224": hashlib.sha224,
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`a=fingerprint` (RFC 8122 §5): hash function name and upper-case colon-separated hex."""

    algorithm: str
    value: str

    @property
    def supported(self) -> bool:
        return self.algorithm.lower() in _HASHES

    def matches(self, certificate_der: bytes) -> bool:
        make = _HASHES.get(self.algorithm.lower())
        return make is not None and make(certificate_der).digest().hex() == self.value.replace(":", "").lower()


class Role(Enum):
    """Who sends the ClientHello: `a=setup:active` is the CLIENT."""

    CLIENT = "active"
    SERVER = "passive"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key followed by salt for each direction, as libsrtp takes them."""

    profile: SrtpProfile
    send: bytes
    receive: bytes


class Certificate:
    """A self-signed ECDSA P-256 certificate, made once per ingest process."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reelroom")])
        today = datetime.datetime.now(datetime.UTC)
        self.x509 = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=365))
            .sign(self.key, hashes.SHA256())
        )
        digest = hashlib.sha256(self.x509.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        self.fingerprint = Fingerprint("sha-256", ":".join(digest[i : i + 2] for i in range(0, 64, 2)))
        self.context = self._make_context()

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.use_certificate(self.x509)
        context.use_privatekey(self.key)
        context.set_cipher_list(
            b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
        )
        context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_tlsext_use_srtp(b":".join(profile.name.encode() for profile in PROFILES))
        return context


def _accept_any(*_: object) -> bool:
    return True  # self-signed by design: `_check_peer` compares the fingerprint after the handshake


class DtlsTransport:
    """One association. Feed datagrams to `receive`; send what `take_outgoing` gives; poll `next_timeout_s`."""

    __slots__ = ("_connection", "_fingerprints", "_role", "closed", "keys")

    def __init__(self, certificate: Certificate, role: Role, fingerprints: tuple[Fingerprint, ...]) -> None:
        self._fingerprints = fingerprints
        self._role = role
        self._connection = SSL.Connection(certificate.context, None)
        self._connection.set_ciphertext_mtu(MTU)
        if role is Role.CLIENT:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self.keys: SrtpKeys | None = None
        self.closed = False

    def start(self) -> None:
        """Send the first flight (client) or arm the server; DtlsError as in `receive`."""
        self._advance()

    def receive(self, datagram: bytes) -> None:
        """Take one datagram. DtlsError when the handshake can never succeed; `closed` on close_notify."""
        if self.closed:
            return
        self._connection.bio_write(datagram)
        if self.keys is None:
            self._advance()
            return
        try:
            # Alerts and retransmitted flights; data channels are not offered. All of it: what is not read piles up.
            for _ in range(_MAX_APPLICATION_RECORDS):
                self._connection.recv(16384)
        except (SSL.WantReadError, SSL.WantWriteError):
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            self.closed = True

    def next_timeout_s(self) -> float | None:
        """Seconds until `handle_timeout` is due (RFC 6347 §4.2.4); None when nothing is in flight."""
        if self.keys is not None or self.closed:
            return None
        return self._connection.DTLSv1_get_timeout()

    def handle_timeout(self) -> None:
        """Retransmit the last flight; DtlsError after too many tries."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsError(f"DTLS handshake timed out: {_reason(error)}") from error

    def take_outgoing(self) -> list[bytes]:
        """Datagrams to send now, each at most MTU bytes."""
        flight = b""
        while True:
            try:
                flight += self._connection.bio_read(16384)
            except SSL.WantReadError:
                return _split_records(flight)

    def close(self) -> None:
        """Queue a close_notify."""
        if not self.closed:
            self.closed = True
            try:
                self._connection.shutdown()
            except SSL.Error:
                pass  # before the handshake there is nothing to shut down

    def _advance(self) -> None:
        try:
            self._connection.do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError):
            return
        except SSL.Error as error:
            self.closed = True
            raise DtlsError(f"DTLS handshake failed: {_reason(error)}") from error
        self._check_peer()
        self.keys = self._export_keys()

    def _check_peer(self) -> None:
        # Not as cryptography's object: that refuses odd certificates which OpenSSL takes, and ours is to hash only.
        certificate = self._connection.get_peer_certificate()
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) if certificate is not None else b""
        if not any(fingerprint.matches(der) for fingerprint in self._fingerprints):
            self.closed = True
            raise DtlsError("the peer's certificate does not match the fingerprint in its SDP")

    def _export_keys(self) -> SrtpKeys:
        name = self._connection.get_selected_srtp_profile().decode()
        profile = _BY_NAME.get(name)
        if profile is None:
            self.closed = True
            raise DtlsError("the peer agreed on no SRTP protection profile (RFC 5764 use_srtp)")
        key, salt = profile.key, profile.salt
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        if self._role is Role.SERVER:
            return SrtpKeys(profile, send=server, receive=client)
        return SrtpKeys(profile, send=client, receive=server)


def _reason(error: SSL.Error) -> str:
    """OpenSSL's error queue as text: the last part of each entry."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    text = ", ".join(str(entry[-1]) for entry in entries) or type(error).__name__
    if "wrong curve" in text:
        # FFmpeg built with GnuTLS makes a secp224r1 certificate for its WHIP muxer; OpenSSL 4 knows no such group.
        text += " (the peer's certificate is on a curve that OpenSSL does not take; give it one on P-256)"
    return text


def _split_records(chunk: bytes) -> list[bytes]:
    """Cut what a memory BIO ran together into datagrams of whole DTLS records (RFC 6347 §4.1), at most MTU bytes."""
    datagrams: list[bytes] = []
    start = position = 0
    while position + 13 <= len(chunk):
        end = position + 13 + int.from_bytes(chunk[position + 11 : position + 13], "big")
        if end - start > MTU and position > start:
            datagrams.append(chunk[start:position])
            start = position
        position = end
    if start < len(chunk):
        datagrams.append(chunk[start:])
    return datagrams
