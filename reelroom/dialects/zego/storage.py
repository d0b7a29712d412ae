"""ZEGO's `StorageParams` (section 2.6) → where files go. Opens no connection and keeps no credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from reelroom.control import providers
from reelroom.control.destinations import DestinationSpec
from reelroom.dialects.zego import errors
from reelroom.dialects.zego.wire import AlibabaVod, StorageKeys, TencentVod, parse

KODO, ALIBABA_VOD, TENCENT_VOD, S3_COMPATIBLE = 4, 5, 6, 10
_PROVIDERS = {
    1: "s3",
    2: "oss",
    3: "cos",
    KODO: "kodo",
    7: "obs",
    8: "gcs",
    9: "eos",
    S3_COMPATIBLE: "s3_compatible",
}
_WITHOUT_REGION = frozenset({8})
WITHOUT_URL = frozenset({KODO, ALIBABA_VOD})  # the vendor reports none for these
#: What the vendor's two libraries of media take.
LIBRARY_FORMATS = {
    ALIBABA_VOD: frozenset({"mp4", "flv"}),
    TENCENT_VOD: frozenset({"mp4", "flv", "jpg", "mp3"}),
}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class Storage:
    """`destination` None: the app's own, or with `library` its library of media."""

    vendor: int
    destination: DestinationSpec | None
    base_url: str = ""  # what an object's key has in front of it; "": not reported
    ours: bool = True  # the endpoint is a provider's own; False: the caller made it up
    library: bool = False
    title: str = ""


def storage(params: StorageKeys, format_: str) -> Storage:
    """ZegoError 300000004 for what the vendor does not take."""
    where, vendor = "StorageParams", params.Vendor
    if vendor in LIBRARY_FORMATS:
        if format_ not in LIBRARY_FORMATS[vendor]:
            takes = ", ".join(sorted(LIBRARY_FORMATS[vendor]))
            raise errors.invalid(f"OutputFileFormat: Vendor {vendor} takes {takes}")
        if vendor == ALIBABA_VOD:
            given = parse(AlibabaVod, params.AlibabaCloudVodParams, f"{where}.AlibabaCloudVodParams")
            return Storage(vendor, None, library=True, title=given.Title)
        parse(TencentVod, params.TencentCloudVodParams, f"{where}.TencentCloudVodParams")
        return Storage(vendor, None, library=True)
    required = ["Bucket", "AccessKeyId", "AccessKeySecret"]
    if vendor not in _WITHOUT_REGION:
        required.insert(0, "Region")
    if vendor == S3_COMPATIBLE:
        required.append("EndPoint")
    for name in required:
        if not getattr(params, name):
            raise errors.invalid(f"{where}.{name} is required for Vendor {vendor}")
    if not _BUCKET.fullmatch(params.Bucket or ""):
        raise errors.invalid(f"{where}.Bucket may have letters, digits and . _ - only")
    try:
        place = providers.place(
            _PROVIDERS[vendor],
            bucket=params.Bucket or "",
            key=params.AccessKeyId or "",
            secret=params.AccessKeySecret or "",
            region="" if vendor in _WITHOUT_REGION else params.Region or "",
            endpoint=params.EndPoint or "" if vendor == S3_COMPATIBLE else "",
            path_style=params.S3ForcePathStyle or _no_name(params.EndPoint or "") if vendor == S3_COMPATIBLE else None,
        )
    except ValueError as error:
        raise errors.invalid(f"{where}: {error}") from None
    destination = DestinationSpec(place.service, dict(place.options))
    url = "" if vendor in WITHOUT_URL else place.base_url
    return Storage(vendor, destination, url, ours=place.ours)


def _no_name(endpoint: str) -> bool:
    """Whether its host is an address: nothing can stand in front of that, and so no bucket."""
    try:
        ip_address(urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or "")
    except ValueError:
        return False
    return True


def object_url(base_url: str, key: str) -> str:
    """An object's address; "" where none is reported."""
    return f"{base_url}/{quote(key)}" if base_url else ""
