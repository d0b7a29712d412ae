"""Tags of stored objects at S3 and OSS, which opendal cannot set: one signed request after an object was stored.

Signatures: S3's Signature Version 4 in the Authorization header; OSS's V1 ("Include signatures in the Authorization
header"). Stores nothing itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

import httpx

SERVICES = ("s3", "oss")
MAX_TAGS, MAX_KEY, MAX_VALUE = 10, 128, 256  # of both services
TIMEOUT_S = 30
_TAKEN = re.compile(r"[\w +\-=.:/@]*")
_TYPE = "application/xml"


class TagError(Exception):
    """The service did not take the tags. The message holds no credential."""


def parse_tags(text: str) -> dict[str, str]:
    """`a=1&b=2`, percent-encoded like a query, as tags; ValueError when it is none of that or too much."""
    tags: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=True):
        if name in tags or not 1 <= len(name) <= MAX_KEY or len(value) > MAX_VALUE:
            raise ValueError(f"a name has 1 to {MAX_KEY} characters and comes once, a value at most {MAX_VALUE}")
        if not _TAKEN.fullmatch(name + value) or name.startswith("aws:"):
            raise ValueError("tags have letters, digits, spaces and + - = . _ : / @, and no name begins with aws:")
        tags[name] = value
    if not 1 <= len(tags) <= MAX_TAGS:
        raise ValueError(f"there may be 1 to {MAX_TAGS} tags")
    return tags


class Tagger:
    """Puts the same tags on objects of one destination, whose options are opendal's."""

    def __init__(self, service: str, options: Mapping[str, str], tags: Mapping[str, str]) -> None:
        if service not in SERVICES:
            raise ValueError(f"objects of {service} cannot be tagged")
        self._service = service
        self._options = options
        each = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in tags.items())
        self._body = f"<Tagging><TagSet>{each}</TagSet></Tagging>".encode()

    async def tag(self, key: str) -> None:
        """Replace the tags of an object that is there. TagError."""
        request = self.request(key, datetime.now(UTC))
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
                answer = await client.send(request)
        except httpx.HTTPError as error:
            raise TagError(f"tags: {type(error).__name__}") from None
        if answer.status_code not in (200, 204):
            raise TagError(f"tags were not taken: the answer was {answer.status_code}")

    def request(self, key: str, now: datetime) -> httpx.Request:
        """The signed request for one object."""
        options = self._options
        virtual = self._service == "oss" or options.get("enable_virtual_host_style", "").lower() in ("true", "on")
        endpoint = options.get("endpoint") or f"https://s3.{options.get('region', 'us-east-1')}.amazonaws.com"
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        bucket, name = options["bucket"], "/".join(filter(None, (options.get("root", "").strip("/"), key)))
        host = f"{bucket}.{parts.netloc}" if virtual else parts.netloc
        path = parts.path.rstrip("/") + quote(f"/{name}" if virtual else f"/{bucket}/{name}", safe="/-_.~")
        digest = base64.b64encode(hashlib.md5(self._body, usedforsecurity=False).digest()).decode()
        plain = {"host": host, "content-md5": digest, "content-type": _TYPE}
        if self._service == "oss":
            own = self._oss(f"/{bucket}/{name}?tagging", digest, now)
        else:
            own = self._s3(path, plain, now)
        url = f"{parts.scheme}://{host}{path}?tagging"
        return httpx.Request("PUT", url, headers={**plain, **own}, content=self._body)

    def _s3(self, path: str, headers: Mapping[str, str], now: datetime) -> dict[str, str]:
        options = self._options
        own = {"x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"), "x-amz-content-sha256": _sha256(self._body)}
        if options.get("session_token"):
            own["x-amz-security-token"] = options["session_token"]
        signed = {name: value for name, value in {**headers, **own}.items() if name != "content-type"}
        key, secret, region = options["access_key_id"], options["secret_access_key"], options.get("region", "us-east-1")
        return own | {"authorization": sigv4("PUT", path, "tagging=", signed, key, secret, region)}

    def _oss(self, resource: str, digest: str, now: datetime) -> dict[str, str]:
        options = self._options
        own = {"date": format_datetime(now, usegmt=True)}
        extra = {"x-oss-security-token": options["security_token"]} if options.get("security_token") else {}
        signature = oss_v1("PUT", digest, _TYPE, own["date"], extra, resource, options["access_key_secret"])
        return own | extra | {"authorization": f"OSS {options['access_key_id']}:{signature}"}


def sigv4(method: str, path: str, query: str, headers: Mapping[str, str], key: str, secret: str, region: str) -> str:
    """The Authorization header of a request to S3. `headers`: all that are signed, the date and the body's hash too."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{headers['x-amz-content-sha256']}"
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{_sha256(canonical.encode())}"
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={names},Signature={signature}"


def oss_v1(
    method: str, digest: str, type_: str, date: str, headers: Mapping[str, str], resource: str, secret: str
) -> str:
    """OSS's signature of a request. `headers`: those that begin with x-oss-; `resource`: not percent-encoded."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    text = f"{method}\n{digest}\n{type_}\n{date}\n{lines}{resource}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
