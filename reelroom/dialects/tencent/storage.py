"""Tencent's `CloudStorage` → a destination. Opens no connection and keeps no credentials."""

from __future__ import annotations

from reelroom.control.destinations import DestinationSpec
from reelroom.control.providers import PlaceError, place
from reelroom.dialects.tencent import errors
from reelroom.dialects.tencent.wire_cloud import CloudStorageBody

PROVIDERS = {0: "cos", 1: "s3"}  # Vendor
_FIELDS = {"bucket": "Bucket", "key": "AccessKey", "secret": "SecretKey", "region": "Region"}


def destination(given: CloudStorageBody) -> DestinationSpec:
    """A provider's own host in both cases: nothing that a caller made up is called. TencentError OutOfRange."""
    try:
        found = place(
            PROVIDERS[given.Vendor],
            bucket=given.Bucket,
            key=given.AccessKey,
            secret=given.SecretKey,
            region=given.Region,
        )
    except ValueError as error:
        field = _FIELDS.get(error.field, "") if isinstance(error, PlaceError) else ""
        where = f"StorageParams.CloudStorage.{field}".rstrip(".")
        raise errors.out_of_range(where, f"is wrong: {error}") from None
    return DestinationSpec(found.service, found.options)
