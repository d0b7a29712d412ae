"""Agora's resource ids, credentials, request limit and names. No server."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.dialects.agora import auth, naming
from reelroom.dialects.agora.errors import GatewayError, ServiceError
from reelroom.dialects.agora.limits import RateLimit
from reelroom.dialects.agora.resource import VALID_NS, Resource, ResourceIds, new_nonce

IDS = ResourceIds(b"k" * 32)


def resource(cname: str = "room-7") -> Resource:
    return Resource("dev", "dev", cname, "900001", 0, 72, 1_000, new_nonce(), "ab" * 32)


@given(st.text(max_size=64))
def test_a_resource_id_opens_to_what_was_sealed(cname: str) -> None:
    made = resource(cname)
    assert IDS.open(IDS.seal(made)) == made


def test_a_resource_id_is_a_path_segment_of_vendor_length_and_never_the_same() -> None:
    made = resource()
    first, second = IDS.seal(made), IDS.seal(made)
    assert re.fullmatch(r"[A-Za-z0-9_-]{200,340}", first)
    assert first != second


@given(st.text(max_size=400))
def test_anything_else_is_1001(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        IDS.open(text)
    assert (caught.value.status, caught.value.code) == (400, 1001)


def test_a_changed_or_foreign_resource_id_is_1001() -> None:
    sealed = IDS.seal(resource())
    changed = sealed[:-3] + ("AAA" if sealed[-3:] != "AAA" else "BBB")
    for text in (changed, ResourceIds(b"x" * 32).seal(resource())):
        with pytest.raises(ServiceError):
            IDS.open(text)


def test_a_resource_id_expires_after_five_minutes() -> None:
    made = resource()
    assert not made.expired(made.issued_ns + VALID_NS - 1)
    assert made.expired(made.issued_ns + VALID_NS)


def test_equal_start_parameters_hash_equally_whatever_their_spelling() -> None:
    one = IDS.start_hash({"a": {"x": 1, "y": [1, 2.0]}, "b": "c"})
    assert one == IDS.start_hash({"b": "c", "a": {"y": [1.0, 2], "x": 1}})
    assert one != IDS.start_hash({"b": "c", "a": {"y": [2, 1], "x": 1}})


@pytest.mark.parametrize("header", [None, "", "Bearer x"])
def test_missing_credentials(header: str | None) -> None:
    with pytest.raises(GatewayError) as caught:
        auth.basic(header)
    assert (caught.value.status, caught.value.body) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("header", ["Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic /w=="])
def test_unreadable_credentials(header: str) -> None:
    with pytest.raises(GatewayError) as caught:
        auth.basic(header)
    assert (caught.value.status, caught.value.body) == (
        401,
        {"message": "Invalid authentication credentials"},
    )


def test_credentials_match_one_app_only() -> None:
    given_pair = auth.basic("Basic " + base64.b64encode(b"cust:sec:ret").decode())
    assert given_pair == ("cust", "sec:ret")
    assert auth.matches(given_pair, {"customer_id": "cust", "customer_secret": "sec:ret"})
    assert not auth.matches(given_pair, {"customer_id": "cust", "customer_secret": "other"})
    assert not auth.matches(("", ""), {"customer_id": "", "customer_secret": ""})
    assert not auth.matches(given_pair, None)


def test_ten_requests_a_second_and_app() -> None:
    limit = RateLimit()
    for _ in range(10):
        limit.take("a", 0)
    with pytest.raises(GatewayError) as caught:
        limit.take("a", 50_000_000)
    assert (caught.value.status, caught.value.body) == (429, {"message": "API rate limit exceeded"})
    limit.take("b", 50_000_000)
    limit.take("a", 100_000_000)  # a tenth of a second gives one
    with pytest.raises(GatewayError):
        limit.take("a", 100_000_000)


def test_no_limit_when_it_is_zero() -> None:
    limit = RateLimit()
    for _ in range(1000):
        limit.take("a", 0, per_second=0)


@pytest.mark.parametrize("uid", ["1", "4294967295"])
def test_uids(uid: str) -> None:
    assert naming.check_uid(uid) == uid


@pytest.mark.parametrize("uid", ["", "0", "-1", "01", "4294967296", "1.0", "abc", "１"])
def test_uids_that_are_none(uid: str) -> None:
    with pytest.raises(ServiceError) as caught:
        naming.check_uid(uid)
    assert caught.value.code == 2


@pytest.mark.parametrize("cname", ["", "a" * 65, "a/b", "ä", "a\n", 'a"b', "a*b", "a\\b"])
def test_channel_names_that_are_none(cname: str) -> None:
    with pytest.raises(ServiceError) as caught:
        naming.check_cname(cname)
    assert caught.value.body == {"code": 401, "reason": "invalid_channel_name"}


def test_all_89_characters_of_a_channel_name() -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    others = " !#$%&()+-:;<=.>?@[]^_{}|~,"
    assert len(letters + others) == 89
    for character in letters + others:
        assert naming.check_cname(character) == character
