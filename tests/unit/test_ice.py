"""ICE-lite's answers, the addresses a peer keeps, restarts, and what is not answered at all."""

from __future__ import annotations

import random

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from reelroom.rtc.ice import IceLite, local_ufrag_of, looks_like_stun
from reelroom.rtc.peer import MAX_ADDRESSES
from tests.rtcpeer import HERE, MS, World, binding_request, certificate, publish


class Someone:
    """What `binding_request` needs of a peer."""

    def __init__(self) -> None:
        self.ice = IceLite("them")
        self.remote_credentials = ("them", "")


def test_an_authentic_check_is_answered_with_its_source() -> None:
    for source in (("192.0.2.7", 1234), ("2001:db8::7", 1234, 0, 0)):
        someone = Someone()
        data = binding_request(someone, nominate=True)  # type: ignore[arg-type]
        assert looks_like_stun(data) and local_ufrag_of(data) == someone.ice.ufrag
        check = someone.ice.handle(data, source)  # type: ignore[arg-type]
        assert check is not None and check.accepted and check.nominated
        reply = stun.parse_message(check.response)
        assert reply.message_class is stun.Class.RESPONSE
        assert reply.attributes["XOR-MAPPED-ADDRESS"] == source[:2]
        assert reply.check_message_integrity(someone.ice.password.encode())
        assert reply.transaction_id == stun.parse_message(data).transaction_id


def test_a_wrong_password_or_user_gets_no_answer() -> None:
    someone = Someone()
    assert someone.ice.handle(binding_request(someone, password="x" * 24), HERE) is None  # type: ignore[arg-type]
    someone.remote_credentials = ("else", "")
    assert someone.ice.handle(binding_request(someone), HERE) is None  # type: ignore[arg-type]


def test_a_check_without_integrity_gets_no_answer() -> None:
    someone = Someone()
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{someone.ice.ufrag}:them"
    assert someone.ice.handle(bytes(request), HERE) is None


def test_an_agent_that_thinks_it_is_controlled_is_told_of_the_conflict() -> None:
    someone = Someone()
    check = someone.ice.handle(binding_request(someone, controlled=True), HERE)  # type: ignore[arg-type]
    assert check is not None and not check.accepted
    reply = stun.parse_message(check.response)
    assert reply.message_class is stun.Class.ERROR and reply.attributes["ERROR-CODE"][0] == 487


def test_responses_and_indications_get_no_answer() -> None:
    someone = Someone()
    for kind in (stun.Class.INDICATION, stun.Class.RESPONSE, stun.Class.ERROR):
        message = stun.Message(stun.Method.BINDING, kind, attributes={"USERNAME": f"{someone.ice.ufrag}:them"})
        message.add_message_integrity(someone.ice.password.encode())
        assert someone.ice.handle(bytes(message), HERE) is None


def test_truncated_and_damaged_checks_never_raise_and_are_never_believed() -> None:
    someone = Someone()
    whole = binding_request(someone, nominate=True)  # type: ignore[arg-type]
    for length in range(len(whole)):
        assert someone.ice.handle(whole[:length], HERE) is None
        local_ufrag_of(whole[:length])
    dice = random.Random(1)
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(damaged) - 8)] ^= 1 << dice.randrange(8)  # all but the FINGERPRINT
        assert someone.ice.handle(bytes(damaged), HERE) is None
        local_ufrag_of(bytes(damaged))


@given(st.binary(max_size=200))
def test_no_bytes_raise(tail: bytes) -> None:
    data = b"\0\1" + len(tail).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + tail
    assert IceLite("them").handle(data, HERE) is None
    local_ufrag_of(data)
    looks_like_stun(tail)


def test_only_so_many_addresses_are_kept_and_never_the_one_in_use_is_dropped() -> None:
    world = World()
    peer, link, _ = publish(world)
    for number in range(50):
        link.check(source=("198.51.100.9", 1000 + number))
    world.run(1 * MS)
    assert len(peer.addresses) == MAX_ADDRESSES
    assert peer.address == HERE and HERE in peer.addresses


def test_a_nominated_address_takes_over() -> None:
    world = World()
    peer, link, _ = publish(world)
    other = ("198.51.100.9", 7)
    link.check(source=other)
    world.run(1 * MS)
    assert peer.address == HERE
    link.check(source=other, nominate=True)
    world.run(1 * MS)
    assert peer.address == other


def test_after_a_restart_both_credentials_hold_until_the_new_are_used() -> None:
    world = World()
    peer, _link, _ = publish(world)
    old = binding_request(peer)
    peer.restart_ice("new1", "x" * 22)
    peer.restart_ice("new2", "y" * 22)  # again before anybody used the first
    assert peer.stun(old, HERE, world.now_ns), "the credentials in use hold on"
    fresh = binding_request(peer)
    assert peer.stun(fresh, HERE, world.now_ns)
    assert not peer.stun(old, HERE, world.now_ns)
    assert peer.connected and not peer.closed


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1\0\0" + bytes(16), bytes(2000), b"\x80" * 50])
def test_other_datagrams_do_not_look_like_stun(data: bytes) -> None:
    assert not looks_like_stun(data)


def test_credentials_are_long_and_differ() -> None:
    sessions = [IceLite("x") for _ in range(50)]
    assert len({session.ufrag for session in sessions}) == 50
    assert all(len(session.ufrag) >= 4 and len(session.password) >= 22 for session in sessions)
    assert certificate("peer") is certificate("peer")
