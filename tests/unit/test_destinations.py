"""Destinations that callers name: what opendal itself would refuse is refused when it is named."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from reelroom.control.destinations import DestinationSpec, check, check_again
from reelroom.control.errors import ControlError

S3 = {"bucket": "b", "access_key_id": "AKIDAKID", "secret_access_key": "hush-hush", "endpoint": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("s3", S3 | {"enable_virtual_host_style": "maybe"}),
        ("s3", S3 | {"region": ""}),
        (
            "azblob",
            {"container": "c", "endpoint": "http://127.0.0.1:9", "account_name": "a", "account_key": "hush-hush!"},
        ),
    ],
)
async def test_options_that_make_no_storage_are_invalid(service: str, options: dict[str, str]) -> None:
    with pytest.raises(ControlError) as refused:
        await check(DestinationSpec(service, options), Path("/nowhere"), allow_private=True)
    assert (refused.value.kind, refused.value.where) == ("invalid", "destination.options")
    assert "hush-hush" not in refused.value.message


async def test_options_that_make_a_storage_are_taken() -> None:
    checked = await check(DestinationSpec("s3", S3), Path("/nowhere"), allow_private=True)
    assert checked.options["disable_config_load"] == "true"


KEYS = {"access_key_id": "a", "secret_access_key": "b"}
ELSEWHERE = "127.0.0.1:9/x?"  # in front of an endpoint's host it would be the host


@pytest.mark.parametrize(
    ("service", "options", "wrong"),
    [
        ("s3", KEYS | {"bucket": ELSEWHERE, "enable_virtual_host_style": "true"}, "bucket"),
        ("s3", KEYS | {"bucket": "b", "region": "x@127.0.0.1:9/"}, "region"),
        ("obs", KEYS | {"bucket": ELSEWHERE, "endpoint": "https://8.8.8.8"}, "bucket"),
        ("tos", KEYS | {"bucket": ELSEWHERE, "endpoint": "https://8.8.8.8"}, "bucket"),
        ("cos", {"bucket": ELSEWHERE, "endpoint": "https://8.8.8.8", "secret_id": "a", "secret_key": "b"}, "bucket"),
        ("webdav", {"endpoint": "http://8.8.8.8/#@127.0.0.1/"}, "endpoint"),
        ("webdav", {"endpoint": "http://8.8.8.8/?a="}, "endpoint"),
        ("webdav", {"endpoint": "http://8.8.8.8\\@127.0.0.1/"}, "endpoint"),
        ("webdav", {"endpoint": "http://8.8.8.8\r\n@127.0.0.1/"}, "endpoint"),
    ],
)
async def test_no_option_changes_the_host_that_was_checked(service: str, options: dict[str, str], wrong: str) -> None:
    with pytest.raises(ControlError) as refused:
        await check(DestinationSpec(service, options), Path("/nowhere"), allow_private=False)
    assert (refused.value.kind, refused.value.where) == ("invalid", f"destination.options.{wrong}")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What name servers say."""
    found: dict[str, str] = {}

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host in found:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found[host], port))]
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return found


async def test_a_buckets_own_host_is_checked_too(names: dict[str, str]) -> None:
    names |= {"example.test": "8.8.8.8", "inner.example.test": "127.0.0.1", "outer.example.test": "8.8.4.4"}
    obs = KEYS | {"endpoint": "https://example.test"}
    await check(DestinationSpec("obs", obs | {"bucket": "outer"}), Path("/nowhere"), allow_private=False)
    await check(DestinationSpec("obs", obs | {"bucket": "not-made-yet"}), Path("/nowhere"), allow_private=False)
    with pytest.raises(ControlError, match=r"inner\.example\.test.*loopback"):
        await check(DestinationSpec("obs", obs | {"bucket": "inner"}), Path("/nowhere"), allow_private=False)


async def test_a_name_that_leads_elsewhere_by_now_is_refused_when_it_is_used(names: dict[str, str]) -> None:
    names["example.test"] = "8.8.8.8"
    wanted = DestinationSpec("webdav", {"endpoint": "https://example.test"})
    checked = await check(wanted, Path("/nowhere"), allow_private=False)
    await check_again(checked.service, checked.options, allow_private=False)
    names["example.test"] = "169.254.169.254"
    with pytest.raises(ControlError, match="metadata"):
        await check_again(checked.service, checked.options, allow_private=True)


@pytest.mark.parametrize("value", ["\ud800", "a\0b", "a\r\nX-Header: b", "\x7f"])
async def test_no_option_has_characters_that_cannot_be_sent(value: str) -> None:
    for name in ("access_key_id", "session_token", "root"):
        with pytest.raises(ControlError) as refused:
            await check(DestinationSpec("s3", S3 | {"region": "r", name: value}), Path("/nowhere"), allow_private=True)
        assert refused.value.where == f"destination.options.{name}"
