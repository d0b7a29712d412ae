"""Providers of object storage as vendors' clients name them → an opendal service with its options. One table for all
dialects; opens no connection.

A provider's regions are taken in the provider's own notation, with and without what it puts in front of them. They are
checked for their form alone: providers open new ones, and a name that does not exist shows itself at the first upload.
Kodo, KS3, EOS, BOS and Google's storage with a pair of HMAC keys speak the protocol of S3.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

_FORM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_BUCKET = re.compile(r"[$A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_LOOPBACK = ("localhost", "127.", "[::1]")
_CITY = re.compile(r"([a-z]+)-?([0-9]*)")

#: What this server's own surroundings know is never used for a caller.
_S3_ALONE = {"disable_config_load": "true", "disable_ec2_metadata": "true"}


class PlaceError(ValueError):
    """What cannot be, and of which argument of `place`: dialects have names of their own for them."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `{region}` in `host` is the region as `region_name` gives it."""

    title: str
    service: str  # opendal's
    host: str  # "": the caller gives an endpoint
    prefix: str = ""  # what may stand before a region's name and does not belong to it
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names of regions
    virtual: bool = True  # the bucket is a part of the host's name, not of the path
    signing: Callable[[str], str] = str  # the region within a signature (S3's protocol)
    regional: bool = True
    tokens: str = ""  # opendal's option for a temporary credential's token; "": it takes none


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "s3": Provider("Amazon S3", "s3", "s3.{region}.amazonaws.com", tokens="session_token"),
        "oss": Provider("Alibaba Cloud OSS", "oss", "oss-{region}.aliyuncs.com", "oss-", tokens="security_token"),
        "cos": Provider("Tencent Cloud COS", "cos", "cos.{region}.myqcloud.com", "cos.", tokens="security_token"),
        "obs": Provider("Huawei Cloud OBS", "obs", "obs.{region}.myhuaweicloud.com", "obs."),
        "azure": Provider("Azure Blob Storage", "azblob", "{key}.blob.core.windows.net", regional=False),
        "gcs": Provider(
            "Google Cloud Storage (HMAC keys)",
            "s3",
            "storage.googleapis.com",
            virtual=False,
            signing=lambda _region: "auto",
            regional=False,
        ),
        "kodo": Provider(
            "Qiniu Kodo",
            "s3",
            "s3.{region}.qiniucs.com",
            aliases={
                "z0": "cn-east-1",
                "cn-east-2": "cn-east-2",
                "z1": "cn-north-1",
                "z2": "cn-south-1",
                "na0": "us-north-1",
                "as0": "ap-southeast-1",
            },
            virtual=False,
        ),
        "ks3": Provider(
            "Kingsoft KS3",
            "s3",
            "ks3-{region}.ksyuncs.com",
            "ks3-",
            signing=lambda region: region.removeprefix("cn-").upper(),
        ),
        "eos": Provider(
            "China Mobile EOS",
            "s3",
            "eos-{region}.cmecloud.cn",
            "eos-",
            virtual=False,
            signing=lambda region: region.replace("-", ""),
        ),
        "bos": Provider("Baidu Cloud BOS", "s3", "s3.{region}.bcebos.com", virtual=False),
        "s3_compatible": Provider("any that speaks S3", "s3", "", virtual=False, tokens="session_token"),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where files go: what `DestinationSpec` takes, and what an object's URL begins with."""

    service: str
    options: dict[str, str] = field(repr=False)
    ours: bool  # the host is the provider's own, so nobody made it up
    base_url: str  # an object's URL is this, "/" and its quoted key


def region_name(provider: str, region: str) -> str:
    """A region in the form that the provider's hosts have; PlaceError for what can be none."""
    known = PROVIDERS[provider]
    name = region.strip().lower()
    if known.prefix and name.startswith(known.prefix):
        name = name.removeprefix(known.prefix)
    name = known.aliases.get(name, name)
    if not _FORM.fullmatch(name):
        raise PlaceError("region", f"{region[:64]!r} is no region of {known.title}")
    if provider == "eos" and (city := _CITY.fullmatch(name)) and city[2]:
        return f"{city[1]}-{city[2]}"  # its signatures and tools say shanghai1
    return name


def endpoint_url(endpoint: str) -> str:
    """A host or URL as a URL: with TLS unless it says http, or is this machine. PlaceError for what is neither."""
    if "://" not in endpoint:
        endpoint = ("http://" if endpoint.startswith(_LOOPBACK) else "https://") + endpoint
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError as error:
        raise PlaceError("endpoint", f"the endpoint is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise PlaceError("endpoint", "the endpoint must be a host or an http(s) URL")
    return endpoint.rstrip("/")


def place(
    provider: str,
    *,
    bucket: str,
    key: str,
    secret: str,
    region: str = "",
    endpoint: str = "",
    token: str = "",
    path_style: bool | None = None,
) -> Place:
    """A provider's bucket with the credentials for it. PlaceError says what cannot be.

    `endpoint` instead of `region`: a host or URL of the provider, or of whoever speaks S3. `token`: of a temporary
    credential. `path_style`: for S3's protocol, True for the bucket in the path, False in the host's name; None: as the
    provider wants it. For Azure `key` is the account's name and `bucket` the container.
    """
    known = PROVIDERS.get(provider)
    if known is None:
        raise PlaceError("provider", f"no provider {provider!r}: there are " + ", ".join(PROVIDERS))
    if not _BUCKET.fullmatch(bucket):
        raise PlaceError("bucket", "the bucket's name may have letters, digits and . _ - only")
    for name, value in (("key", key), ("secret", secret)):
        if not value:
            raise PlaceError(name, f"the {name} is needed")
    if provider == "azure" and not _ACCOUNT.fullmatch(key):
        raise PlaceError("key", "the key must be the storage account's name: 3 to 24 of a-z and 0-9")
    if token and not known.tokens:
        raise PlaceError("token", f"{known.title} takes no temporary credentials here")
    there = region_name(provider, region) if known.regional and region else ""
    url, ours = _endpoint(provider, known, there, key, endpoint)
    virtual = _virtual(known, url, path_style)
    options = _options(known, bucket, key, secret, url, there, virtual)
    if token:
        options[known.tokens] = token
    parts = urlsplit(url)
    hosted = virtual and known.service != "azblob"
    base = f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}" if hosted else f"{url}/{bucket}"
    return Place(known.service, options, ours, base)


def _endpoint(provider: str, known: Provider, region: str, key: str, endpoint: str) -> tuple[str, bool]:
    """The URL of a provider's service, and whether the host is one of the provider's."""
    if endpoint:
        url = endpoint_url(endpoint)
        domain = known.host.rpartition("}")[2].lstrip(".-")
        host = urlsplit(url).hostname or ""
        return url, bool(domain) and (host == domain or host.endswith("." + domain))
    if not known.host:
        raise PlaceError("endpoint", "an endpoint is needed")
    if known.regional and not region:
        raise PlaceError("region", f"{known.title} needs a region")
    host = known.host.format(region=region, key=key)
    if provider == "s3" and region.startswith("cn-"):
        host += ".cn"
    return f"https://{host}", True


def _virtual(known: Provider, url: str, path_style: bool | None) -> bool:
    """Whether the bucket stands in the host's name. Before an address, none can."""
    if known.service != "s3":
        return known.virtual
    virtual = known.virtual if path_style is None else not path_style
    if not virtual:
        return False
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return True
    return False


def _options(
    known: Provider, bucket: str, key: str, secret: str, url: str, region: str, virtual: bool
) -> dict[str, str]:
    match known.service:
        case "oss":
            return {"bucket": bucket, "endpoint": url, "access_key_id": key, "access_key_secret": secret}
        case "cos":
            own = {"bucket": bucket, "endpoint": url, "secret_id": key, "secret_key": secret}
            return {**own, "disable_config_load": "true"}
        case "obs":
            return {"bucket": bucket, "endpoint": url, "access_key_id": key, "secret_access_key": secret}
        case "azblob":
            return {"container": bucket, "endpoint": url, "account_name": key, "account_key": secret}
        case _:
            return {
                "bucket": bucket,
                "endpoint": url,
                "region": known.signing(region) or "us-east-1",
                "enable_virtual_host_style": "true" if virtual else "false",
                "access_key_id": key,
                "secret_access_key": secret,
                **_S3_ALONE,
            }
