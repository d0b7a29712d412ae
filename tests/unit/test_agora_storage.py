"""Agora's storage vendors as opendal services. Opens no connection."""

from __future__ import annotations

from typing import Any

import opendal
import pytest

from reelroom.dialects.agora import regions
from reelroom.dialects.agora.errors import ServiceError
from reelroom.dialects.agora.storage import Storage, storage
from reelroom.dialects.agora.wire import StorageConfig, parse

NOW = 1_753_690_000


def made(**fields: Any) -> Storage:
    body = {"vendor": 1, "region": 0, "bucket": "rec", "accessKey": "akey", "secretKey": "c2VjcmV0", **fields}
    return storage(parse(StorageConfig, body, "storageConfig"), "storageConfig", NOW)


def refused(**fields: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        made(**fields)
    assert (caught.value.status, caught.value.code) == (400, 2)
    return caught.value.reason


EVERY = [(vendor, region) for vendor, known in regions.REGIONS.items() for region in known]


@pytest.mark.parametrize(("vendor", "region"), [*EVERY, (5, 0), (6, 0), (11, 0), (5, 99)])
def test_every_vendor_and_region_makes_an_operator(vendor: int, region: int) -> None:
    own = {"endpoint": "s3.example.internal"} if vendor == regions.S3_COMPATIBLE else {"endpoint": ""}
    got = made(vendor=vendor, region=region, extensionParams=own)
    opendal.AsyncOperator(got.service, **got.options)
    assert got.options["endpoint"].startswith("https://")


@pytest.mark.parametrize(
    ("vendor", "region", "service", "endpoint"),
    [
        (0, 1, "s3", "https://s3.cn-north-1.qiniucs.com"),
        (1, 7, "s3", "https://s3.eu-central-1.amazonaws.com"),
        (1, 15, "s3", "https://s3.cn-north-1.amazonaws.com.cn"),
        (1, 28, "s3", "https://s3.il-central-1.amazonaws.com"),
        (2, 1, "oss", "https://oss-cn-shanghai.aliyuncs.com"),
        (2, 27, "oss", "https://oss-ap-southeast-7.aliyuncs.com"),
        (3, 18, "cos", "https://cos.eu-frankfurt.myqcloud.com"),
        (4, 3, "s3", "https://ks3-cn-beijing.ksyuncs.com"),
        (5, 0, "azblob", "https://akey.blob.core.windows.net"),
        (6, 0, "s3", "https://storage.googleapis.com"),
        (7, 14, "obs", "https://obs.la-south-2.myhuaweicloud.com"),
        (8, 5, "s3", "https://s3.sin.bcebos.com"),
    ],
)
def test_endpoints(vendor: int, region: int, service: str, endpoint: str) -> None:
    got = made(vendor=vendor, region=region)
    assert (got.service, got.options["endpoint"]) == (service, endpoint)


@pytest.mark.parametrize(
    ("vendor", "region"),
    [(1, 26), (1, 27), (1, 29), (1, -1), (2, 28), (3, 20), (7, 16), (8, 8), (0, 4), (4, 10)],
)
def test_unknown_regions(vendor: int, region: int) -> None:
    assert f"region {region} is unknown for vendor {vendor}" in refused(vendor=vendor, region=region)


@pytest.mark.parametrize("vendor", [9, 10, 12, -1])
def test_unknown_vendors(vendor: int) -> None:
    assert f"vendor {vendor} is unknown" in refused(vendor=vendor)


def test_prefix() -> None:
    assert made(fileNamePrefix=["dirA", "dir1"]).prefix == "dirA/dir1/"
    assert made().prefix == ""


@pytest.mark.parametrize("segments", [["a_b"], ["a/b"], [".."], [""], ["ä"], ["a" * 64, "b" * 63]])
def test_prefixes_that_are_none(segments: list[str]) -> None:
    assert "fileNamePrefix" in refused(fileNamePrefix=segments)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("s3.example.internal", "https://s3.example.internal"),
        ("s3.example.internal:9000", "https://s3.example.internal:9000"),
        ("http://minio:9000/", "http://minio:9000"),
        ("127.0.0.1:8333", "http://127.0.0.1:8333"),
    ],
)
def test_self_built_storage(endpoint: str, url: str) -> None:
    assert made(vendor=11, extensionParams={"endpoint": endpoint}).options["endpoint"] == url


@pytest.mark.parametrize("endpoint", ["ftp://x", "http://u:p@x", "https://x?y", "https://", "http://x:port"])
def test_endpoints_that_are_none(endpoint: str) -> None:
    assert "endpoint" in refused(vendor=11, extensionParams={"endpoint": endpoint})


def test_self_built_storage_needs_an_endpoint_and_no_other_has_one() -> None:
    assert "required for vendor 11" in refused(vendor=11)
    assert "vendor 11 only" in refused(vendor=1, extensionParams={"endpoint": "s3.example.internal"})


def test_temporary_credentials() -> None:
    expires = NOW + 4 * 3600
    assert made(stsToken="tok", stsExpiration=expires).options["session_token"] == "tok"
    assert made(vendor=2, stsToken="tok", stsExpiration=expires).options["security_token"] == "tok"
    assert "stsExpiration is required" in refused(stsToken="tok")
    assert "4 hours ahead" in refused(stsToken="tok", stsExpiration=NOW + 3600)
    assert "vendors 1, 2 and 3" in refused(vendor=7, stsToken="tok", stsExpiration=expires)


def test_server_side_encryption_and_tags() -> None:
    assert made(extensionParams={"sse": "kms", "tag": ""}).options["server_side_encryption"] == "aws:kms"
    assert made(extensionParams={"sse": "aes256"}).options["server_side_encryption"] == "AES256"
    assert "vendor 1 only" in refused(vendor=2, extensionParams={"sse": "kms"})
    assert "kms" in refused(extensionParams={"sse": "rot13"})
    assert made(extensionParams={"tag": "k=v"}).options["tagging"] == "k=v"
    assert made(vendor=2, extensionParams={"tag": "a=1&b="}).options["tagging"] == "a=1&b="
    assert "vendors 1 and 2 only" in refused(vendor=3, extensionParams={"tag": "k=v"})
    for wrong in ("k", "=v", "a=1&a=2", "a=" + "x" * 257, "&".join(f"t{n}=1" for n in range(11))):
        assert "extensionParams.tag" in refused(extensionParams={"tag": wrong})


@pytest.mark.parametrize("bucket", ["a/b", "evil.example/#", "", "a b"])
def test_buckets_that_would_change_the_host(bucket: str) -> None:
    assert "bucket" in refused(bucket=bucket)


def test_an_azure_account_that_would_change_the_host() -> None:
    assert "accessKey" in refused(vendor=5, accessKey="evil.example/")
