"""DTLS both ways over an in-memory link; wrong peers; garbage. Lost flights: tests/live/test_dtls_loss.py."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from reelroom.rtc.dtls import MTU, Certificate, DtlsError, DtlsTransport, Fingerprint, Role
from tests.rtcpeer import certificate


def pair(client_print: Fingerprint | None = None) -> tuple[DtlsTransport, DtlsTransport]:
    ours, theirs = certificate("peer"), certificate("sender")
    client = DtlsTransport(ours, Role.CLIENT, (client_print or theirs.fingerprint,))
    server = DtlsTransport(theirs, Role.SERVER, (ours.fingerprint,))
    client.start()
    return client, server


def pump(client: DtlsTransport, server: DtlsTransport) -> int:
    count = 0
    for _ in range(20):
        moved = False
        for source, target in ((client, server), (server, client)):
            for datagram in source.take_outgoing():
                assert len(datagram) <= MTU
                target.receive(datagram)
                moved = True
                count += 1
        if not moved:
            break
    return count


def pump_plain(other: SSL.Connection, server: DtlsTransport) -> None:
    """A handshake with somebody else's client."""
    for _ in range(10):
        try:
            other.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            server.receive(other.bio_read(16384))
        except SSL.WantReadError:
            pass
        for datagram in server.take_outgoing():
            other.bio_write(datagram)


def test_both_ends_get_the_same_keys_the_other_way_round() -> None:
    client, server = pair()
    pump(client, server)
    assert client.keys is not None and server.keys is not None
    assert client.keys.profile == server.keys.profile
    assert client.keys.profile.name == "SRTP_AEAD_AES_128_GCM"
    assert (client.keys.send, client.keys.receive) == (server.keys.receive, server.keys.send)
    assert client.keys.send != client.keys.receive
    assert len(client.keys.send) == 28
    assert client.next_timeout_s() is None


def test_a_certificate_that_was_not_announced_is_refused() -> None:
    client, server = pair(Fingerprint("sha-256", ":".join(["00"] * 32)))
    with pytest.raises(DtlsError, match="fingerprint"):
        pump(client, server)
    assert client.keys is None and client.closed


@pytest.mark.parametrize("algorithm", ["sha-1", "sha-256", "SHA-384", "sha-512", "md5"])
def test_fingerprints_by_any_hash_that_is_safe(algorithm: str) -> None:
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding

    der = certificate("peer").x509.public_bytes(Encoding.DER)
    digest = hashlib.new(algorithm.lower().replace("-", ""), der).hexdigest().upper()
    value = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
    print_ = Fingerprint(algorithm, value)
    assert print_.matches(der) == print_.supported == (algorithm != "md5")


def test_a_peer_without_an_srtp_profile_is_refused() -> None:
    theirs = Certificate()
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(theirs.x509)
    context.use_privatekey(theirs.key)
    other = SSL.Connection(context, None)
    other.set_connect_state()
    server = DtlsTransport(certificate("peer"), Role.SERVER, (theirs.fingerprint,))
    with pytest.raises(DtlsError, match="SRTP protection profile"):
        pump_plain(other, server)


def test_a_peer_without_a_certificate_is_refused() -> None:
    other = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
    other.set_connect_state()
    server = DtlsTransport(certificate("peer"), Role.SERVER, (certificate("sender").fingerprint,))
    with pytest.raises(DtlsError):
        pump_plain(other, server)


def test_closing_tells_the_other_end() -> None:
    client, server = pair()
    pump(client, server)
    client.close()
    pump(client, server)
    assert server.closed


def test_application_data_is_read_away_and_changes_nothing() -> None:
    client, server = pair()
    pump(client, server)
    for _ in range(200):
        for _ in range(20):
            client._connection.send(b"x")
        flight = b"".join(client.take_outgoing())
        server.receive(flight)
    assert not server.closed
    with pytest.raises(SSL.WantReadError):
        server._connection.recv(100)


def test_repeated_and_reordered_datagrams_do_no_harm() -> None:
    client, server = pair()
    dice = random.Random(2)
    seen: list[tuple[DtlsTransport, bytes]] = []
    for _ in range(20):
        flights = [(server, d) for d in client.take_outgoing()] + [(client, d) for d in server.take_outgoing()]
        seen += flights
        again = [dice.choice(seen) for _ in range(2)] if seen else []
        both = flights + again
        dice.shuffle(both)
        for target, datagram in both:
            target.receive(datagram)
    assert client.keys is not None and server.keys is not None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), st.sampled_from(Role))
def test_garbage_raises_nothing_else(datagrams: list[bytes], role: Role) -> None:
    transport = DtlsTransport(certificate("peer"), role, (certificate("sender").fingerprint,))
    try:
        transport.start()
        for datagram in datagrams:
            transport.receive(b"\x16\xfe\xfd" + datagram)
            transport.receive(datagram)
            transport.take_outgoing()
    except DtlsError:
        pass
    assert transport.keys is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30))
def test_damaged_flights_raise_nothing_else(seed: int) -> None:
    dice = random.Random(seed)
    client, server = pair()
    try:
        for _ in range(6):
            for source, target in ((client, server), (server, client)):
                for datagram in source.take_outgoing():
                    damaged = bytearray(datagram)
                    if dice.random() < 0.5:
                        for _ in range(dice.randint(1, 4)):
                            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
                    target.receive(bytes(damaged))
    except DtlsError:
        pass
