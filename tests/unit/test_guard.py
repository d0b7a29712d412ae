"""Outgoing requests reach public addresses only, unless private ones are allowed; metadata addresses never."""

import ipaddress

import pytest

from reelroom.control.errors import ControlError
from reelroom.control.guard import check_url, refusal


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.5.5", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1",
     "2002:7f00:1::", "64:ff9b::a00:1", "0.0.0.0", "169.254.169.254", "fe80::1", "224.0.0.1", "::7f00:1",
     "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "fec0::1", "192.0.0.8"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), allow_private=False)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "224.0.0.1", "::", "::a9fe:a9fe",
     "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "::ffff:100.100.100.200"],
)  # fmt: skip
def test_metadata_and_multicast_are_refused_even_when_private_is_allowed(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_pass(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), allow_private=False) == ""


@pytest.mark.parametrize(
    "url",
    ["ftp://1.1.1.1/", "file:///etc/passwd", "http://", "http://u:p@1.1.1.1/", "http://[::1", "http://1.1.1.1:99999/",
     "http://127.0.0.1/", "http://0x7f000001/", "http://2130706433/", "http://" + "a" * 3000, "//1.1.1.1",
     "http://1.1.1.1/\r\nX: y", "http://1.1.1.1/a b", "http://1.1.1.1\\@2.2.2.2/", "http://1.1.1.1/\u00e9", "http://1.1.1.1\t/"],
)  # fmt: skip
async def test_urls_that_lead_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(ControlError) as caught:
        await check_url(url, allow_private=False, where="callback.url")
    assert caught.value.kind == "invalid"
    assert caught.value.where == "callback.url"


async def test_loopback_passes_where_it_is_allowed() -> None:
    await check_url("http://127.0.0.1:8000/hook?x=1", allow_private=True)
    await check_url("https://1.1.1.1/", allow_private=False)
