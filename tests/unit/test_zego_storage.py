"""Where a task of ZEGO's API stores its files: the operator's storage, vendors' buckets, vendors' libraries."""

from __future__ import annotations

import pytest

from reelroom.dialects.zego import naming
from reelroom.dialects.zego.storage import storage
from reelroom.dialects.zego.wire import StorageKeys, parse
from reelroom.store import tables
from tests.unit.zego_server import STORAGE, serving, single


async def test_the_operators_storage_needs_no_storage_params() -> None:
    async with serving() as server:
        await server.configure(storage="app")
        body = single()
        del body["StorageParams"]
        task = await server.start(body)
        async with server.database.reading() as session:
            row = await session.get_one(tables.Recording, naming.recording_id(task))
        assert row.destination is None


@pytest.mark.parametrize(
    ("vendor", "region", "url"),
    [
        (1, "eu-central-1", "https://rec.s3.eu-central-1.amazonaws.com"),
        (2, "oss-cn-hangzhou", "https://rec.oss-cn-hangzhou.aliyuncs.com"),
        (3, "ap-beijing", "https://rec.cos.ap-beijing.myqcloud.com"),
        (4, "z0", ""),
        (7, "cn-north-4", "https://rec.obs.cn-north-4.myhuaweicloud.com"),
        (8, "", "https://storage.googleapis.com/rec"),
        (9, "eos-shanghai-1", None),
    ],
)
async def test_vendors_of_storage(vendor: int, region: str, url: str | None) -> None:
    async with serving() as server:
        params = {"Vendor": vendor, "Region": region, "Bucket": "rec", "AccessKeyId": "AK", "AccessKeySecret": "SK"}
        task = await server.start({**single(), "StorageParams": params})
        async with server.database.reading() as session:
            row = await session.get_one(tables.Recording, naming.recording_id(task))
        assert row.destination is not None
        if url is not None:
            assert row.dialect_data["base_url"] == url


@pytest.mark.parametrize(
    ("endpoint", "path_style", "url"),
    [
        ("s3.example.org", None, "https://rec.s3.example.org"),
        ("https://s3.example.org:9000", False, "https://rec.s3.example.org:9000"),
        ("https://s3.example.org", True, "https://s3.example.org/rec"),
        ("127.0.0.1:9000", None, "http://127.0.0.1:9000/rec"),  # no bucket can stand in front of an address
        ("http://[::1]:9000", False, "http://[::1]:9000/rec"),
    ],
)
def test_where_a_bucket_of_any_s3_store_is(endpoint: str, path_style: bool | None, url: str) -> None:
    given = {**STORAGE, "EndPoint": endpoint, "S3ForcePathStyle": path_style}
    assert storage(parse(StorageKeys, given), "mp4").base_url == url


async def test_the_vendors_libraries_take_some_formats() -> None:
    async with serving() as server:
        ali = {"Region": "cn-shanghai", "AccessKeyId": "a", "AccessKeySecret": "s", "Title": "Lesson {7}",
               "StorageLocation": "outin-x.oss-cn-shanghai.aliyuncs.com"}  # fmt: skip
        empty = dict.fromkeys(("Region", "Bucket", "AccessKeyId", "AccessKeySecret"), "")
        stored = {"Vendor": 5, **empty, "AlibabaCloudVodParams": ali}
        task = await server.start({**single(), "StorageParams": stored})
        async with server.database.reading() as session:
            row = await session.get_one(tables.Recording, naming.recording_id(task))
        assert row.library is not None
        for params, format_ in (
            (stored, "mp3"),
            ({"Vendor": 5}, "mp4"),
            ({"Vendor": 6, "TencentCloudVodParams": {"SecretId": "a"}}, "mp4"),
            ({"Vendor": 6, "TencentCloudVodParams": {"SecretId": "a", "SecretKey": "b", "Region": "r"}}, "hls"),
        ):
            body = {**single(), "StorageParams": params, "RecordOutputParams": {"OutputFileFormat": format_}}
            assert (await server.call("StartRecord", body))["Code"] == 300000004
