"""Providers of object storage as opendal services: hosts, regions in every notation, what signs. Connects nowhere."""

from __future__ import annotations

from typing import Any

import opendal
import pytest

from reelroom.control.destinations import SERVICES
from reelroom.control.providers import Place, PlaceError, endpoint_url, place, region_name
from reelroom.dialects.agora import regions as agora


def made(provider: str, region: str = "", **more: Any) -> Place:
    return place(provider, **{"bucket": "rec", "key": "akey", "secret": "c2VjcmV0", "region": region, **more})


@pytest.mark.parametrize(
    ("provider", "region", "service", "base"),
    [
        ("s3", "eu-central-1", "s3", "https://rec.s3.eu-central-1.amazonaws.com"),
        ("s3", "cn-north-1", "s3", "https://rec.s3.cn-north-1.amazonaws.com.cn"),
        ("oss", "oss-cn-hangzhou", "oss", "https://rec.oss-cn-hangzhou.aliyuncs.com"),
        ("oss", "cn-hangzhou", "oss", "https://rec.oss-cn-hangzhou.aliyuncs.com"),
        ("cos", "ap-beijing", "cos", "https://rec.cos.ap-beijing.myqcloud.com"),
        ("obs", "cn-north-4", "obs", "https://rec.obs.cn-north-4.myhuaweicloud.com"),
        ("azure", "", "azblob", "https://akey.blob.core.windows.net/rec"),
        ("gcs", "", "s3", "https://storage.googleapis.com/rec"),
        ("kodo", "z0", "s3", "https://s3.cn-east-1.qiniucs.com/rec"),
        ("kodo", "cn-south-1", "s3", "https://s3.cn-south-1.qiniucs.com/rec"),
        ("ks3", "ks3-cn-beijing", "s3", "https://rec.ks3-cn-beijing.ksyuncs.com"),
        ("eos", "eos-shanghai-1", "s3", "https://eos-shanghai-1.cmecloud.cn/rec"),
        ("eos", "shanghai1", "s3", "https://eos-shanghai-1.cmecloud.cn/rec"),
        ("eos", "eos-yunnan", "s3", "https://eos-yunnan.cmecloud.cn/rec"),
        ("bos", "bj", "s3", "https://s3.bj.bcebos.com/rec"),
    ],
)
def test_hosts(provider: str, region: str, service: str, base: str) -> None:
    got = made(provider, region)
    assert (got.service, got.base_url, got.ours) == (service, base, True)
    opendal.AsyncOperator(got.service, **got.options)  # takes all of them
    assert got.options.keys() <= SERVICES[service].known  # and a destination may have them


@pytest.mark.parametrize(
    ("provider", "region", "signing"),
    [
        ("s3", "eu-west-1", "eu-west-1"),
        ("kodo", "na0", "us-north-1"),
        ("ks3", "cn-beijing", "BEIJING"),
        ("eos", "eos-shanghai-1", "shanghai1"),
        ("gcs", "", "auto"),
        ("bos", "su", "su"),
    ],
)
def test_regions_within_signatures(provider: str, region: str, signing: str) -> None:
    assert made(provider, region).options["region"] == signing


def test_every_region_that_agora_numbers_has_a_host() -> None:
    names = {agora.QINIU: "kodo", agora.S3: "s3", agora.OSS: "oss", agora.COS: "cos", agora.KS3: "ks3"}
    names |= {agora.OBS: "obs", agora.BOS: "bos"}
    assert names.keys() == agora.REGIONS.keys()
    for vendor, regions in agora.REGIONS.items():
        for region in regions.values():
            assert made(names[vendor], region).ours, (vendor, region)


@pytest.mark.parametrize(
    ("path_style", "endpoint", "base"),
    [
        (None, "s3.example.com", "https://s3.example.com/rec"),
        (True, "s3.example.com", "https://s3.example.com/rec"),
        (False, "s3.example.com:9000", "https://rec.s3.example.com:9000"),
        (False, "http://127.0.0.1:9000", "http://127.0.0.1:9000/rec"),  # no name fits before an address
        (None, "localhost:9000", "http://localhost:9000/rec"),
    ],
)
def test_endpoints_that_speak_s3(path_style: bool | None, endpoint: str, base: str) -> None:
    got = made("s3_compatible", endpoint=endpoint, path_style=path_style)
    assert (got.base_url, got.ours) == (base, False)
    virtual = got.options["enable_virtual_host_style"] == "true"
    assert virtual == base.partition("://")[2].startswith("rec.")


def test_an_endpoint_instead_of_a_region_is_the_providers_own_only_on_its_domain() -> None:
    got = made("oss", endpoint="oss-cn-shanghai-internal.aliyuncs.com")
    assert (got.ours, got.base_url) == (True, "https://rec.oss-cn-shanghai-internal.aliyuncs.com")
    for strange in ("aliyuncs.com.evil.example", "evilaliyuncs.com", "10.0.0.1"):
        assert not made("oss", endpoint=strange).ours


def test_temporary_credentials_go_where_the_provider_takes_them() -> None:
    assert made("s3", "eu-west-1", token="t").options["session_token"] == "t"
    assert made("oss", "cn-beijing", token="t").options["security_token"] == "t"
    assert made("cos", "ap-beijing", token="t").options["security_token"] == "t"
    with pytest.raises(PlaceError) as caught:
        made("obs", "cn-north-4", token="t")
    assert caught.value.field == "token"


@pytest.mark.parametrize(
    ("provider", "more", "field"),
    [
        ("ftp", {}, "provider"),
        ("s3", {"region": ""}, "region"),
        ("s3", {"region": "a.evil.example/"}, "region"),
        ("s3", {"region": "-a"}, "region"),
        ("oss", {"region": "oss-"}, "region"),
        ("s3", {"region": "eu-west-1", "bucket": "a/b"}, "bucket"),
        ("s3", {"region": "eu-west-1", "key": ""}, "key"),
        ("s3", {"region": "eu-west-1", "secret": ""}, "secret"),
        ("azure", {"key": "evil.example/"}, "key"),
        ("s3_compatible", {}, "endpoint"),
        ("s3_compatible", {"endpoint": "ftp://host"}, "endpoint"),
        ("s3_compatible", {"endpoint": "https://host/?a=b"}, "endpoint"),
        ("s3_compatible", {"endpoint": "https://me@host"}, "endpoint"),
        ("s3_compatible", {"endpoint": "https://host:port"}, "endpoint"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(provider: str, more: dict[str, str], field: str) -> None:
    with pytest.raises(PlaceError) as caught:
        made(provider, **more)
    assert caught.value.field == field
    assert "c2VjcmV0" not in str(caught.value)


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "c2VjcmV0" not in repr(made("s3", "eu-west-1"))


def test_hosts_get_tls_unless_they_are_this_machine() -> None:
    assert endpoint_url("host.example/") == "https://host.example"
    assert endpoint_url("127.0.0.1:9000") == "http://127.0.0.1:9000"
    assert region_name("kodo", "z2") == "cn-south-1"
