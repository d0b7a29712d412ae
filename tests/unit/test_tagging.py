"""Requests that tag stored objects, held against the services' published examples. Sends nothing."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from reelroom.deliver.storage import ObjectStorage, StorageError
from reelroom.deliver.tagging import Tagger, oss_v1, parse_tags, sigv4

NOW = datetime(2026, 7, 28, 8, 13, 20, tzinfo=UTC)
S3 = {"bucket": "rec", "region": "eu-central-1", "access_key_id": "AK", "secret_access_key": "SK"}
OSS = {
    "bucket": "rec",
    "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
    "access_key_id": "AK",
    "access_key_secret": "SK",
}


def test_s3s_example_of_a_query_without_a_value() -> None:
    """ "Examples: Signature Calculations", GET Bucket Lifecycle."""
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z", "x-amz-content-sha256": empty,
    }  # fmt: skip
    keys = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    assert sigv4("GET", "/", "lifecycle=", headers, *keys).endswith(
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_osss_example() -> None:
    """ "Include signatures in the Authorization header", PUT of an object with headers of its own."""
    headers = {"x-oss-magic": "abracadabra", "x-oss-meta-author": "foo@bar.com"}
    made = oss_v1(
        "PUT", "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=", "text/html", "Thu, 17 Nov 2005 18:49:58 GMT", headers,
        "/oss-example/nelson", "OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV",
    )  # fmt: skip
    assert made == "26NBxoKdsyly4EDv6inkoDft/yA="


@pytest.mark.parametrize(
    ("service", "options", "url"),
    [
        ("s3", S3, "https://s3.eu-central-1.amazonaws.com/rec/a/%C3%A9%2B%20b.ts?tagging"),
        ("s3", S3 | {"enable_virtual_host_style": "true", "root": "/top/"},
         "https://rec.s3.eu-central-1.amazonaws.com/top/a/%C3%A9%2B%20b.ts?tagging"),
        ("s3", S3 | {"endpoint": "http://127.0.0.1:8333"}, "http://127.0.0.1:8333/rec/a/%C3%A9%2B%20b.ts?tagging"),
        ("oss", OSS, "https://rec.oss-cn-hangzhou.aliyuncs.com/a/%C3%A9%2B%20b.ts?tagging"),
    ],
)  # fmt: skip
def test_where_requests_go_and_what_they_say(service: str, options: dict[str, str], url: str) -> None:
    made = Tagger(service, options, {"a": "1", "b<": "x&y"}).request("a/é+ b.ts", NOW)
    assert (made.method, str(made.url)) == ("PUT", url)
    assert made.headers["host"] == made.url.netloc.decode()
    assert made.content == (
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>"
        b"<Tag><Key>b&lt;</Key><Value>x&amp;y</Value></Tag></TagSet></Tagging>"
    )
    assert made.headers["content-md5"] == base64.b64encode(hashlib.md5(made.content).digest()).decode()


def test_tokens_of_temporary_credentials_are_signed() -> None:
    s3 = Tagger("s3", S3 | {"session_token": "tok"}, {"a": "1"}).request("x", NOW).headers
    assert s3["x-amz-security-token"] == "tok" and ";x-amz-security-token," in s3["authorization"]
    oss = Tagger("oss", OSS | {"security_token": "tok"}, {"a": "1"}).request("x", NOW).headers
    plain = Tagger("oss", OSS, {"a": "1"}).request("x", NOW).headers
    assert oss["x-oss-security-token"] == "tok" and oss["authorization"] != plain["authorization"]


def test_tags_are_written_like_a_query() -> None:
    assert parse_tags("a=1&b%20c=x%2By/@&d=") == {"a": "1", "b c": "x+y/@", "d": ""}


@pytest.mark.parametrize("text", ["a", "=1", "a=1&a=2", "&", "a=" + "x" * 257, "x" * 129 + "=1"])
def test_what_are_no_tags(text: str) -> None:
    with pytest.raises(ValueError):
        parse_tags(text)


def test_a_destination_with_wrong_tags_cannot_be_opened() -> None:
    with pytest.raises(StorageError, match="tagging"):
        ObjectStorage("s3", S3 | {"tagging": "nonsense"})
    with pytest.raises(StorageError, match="tagging"):
        ObjectStorage("memory", {"tagging": "a=1"})
