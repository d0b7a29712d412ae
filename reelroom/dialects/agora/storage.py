"""Agora's `storageConfig` → an opendal service and its options. Opens no connection and keeps no credentials."""

from __future__ import annotations

from dataclasses import dataclass

from reelroom.control import providers
from reelroom.deliver.tagging import parse_tags
from reelroom.dialects.agora import errors
from reelroom.dialects.agora import regions as r
from reelroom.dialects.agora.wire import StorageConfig

STS_LEAST_S = 4 * 3600  # a temporary credential lives at least this long (section 3.2)
_STS_SLACK_S = 600  # time between the client's token call and this check
_PROVIDERS = {
    r.QINIU: "kodo",
    r.S3: "s3",
    r.OSS: "oss",
    r.COS: "cos",
    r.KS3: "ks3",
    r.AZURE: "azure",
    r.GCS: "gcs",
    r.OBS: "obs",
    r.BOS: "bos",
    r.S3_COMPATIBLE: "s3_compatible",
}


_FIELDS = {"key": "accessKey", "secret": "secretKey", "token": "stsToken", "endpoint": "extensionParams.endpoint"}


@dataclass(frozen=True, slots=True)
class Storage:
    """What opendal needs: `service` is its scheme, `options` its keyword arguments, secrets among them."""

    service: str
    options: dict[str, str]
    prefix: str  # "" or "a/b/"; belongs in front of every file name
    ours: bool  # the endpoint is a provider's, from this file; False: the caller's


def storage(config: StorageConfig, where: str, now_s: int) -> Storage:
    """`now_s`: Unix seconds. ServiceError code 2 for what Agora does not have and for what is not supported here."""
    try:
        region = r.region_name(config.vendor, config.region)
    except ValueError as error:
        raise errors.invalid(f"{where}: {error}") from None
    _check_sts(config, where, now_s)
    extension = config.extensionParams
    tag = extension.tag if extension else None
    if tag and config.vendor not in (r.S3, r.OSS):
        raise errors.invalid(f"{where}.extensionParams.tag is for vendors 1 and 2 only, not {config.vendor}")
    try:
        parse_tags(tag or "a=b")
    except ValueError as error:
        raise errors.invalid(f"{where}.extensionParams.tag must be tags like a=1&b=2: {error}") from None
    sse = extension.sse if extension else None
    if sse and config.vendor != r.S3:
        raise errors.invalid(f"{where}.extensionParams.sse is for vendor 1 only, not {config.vendor}")
    if sse and sse not in ("kms", "aes256"):
        raise errors.invalid(f"{where}.extensionParams.sse must be 'kms' or 'aes256', not {sse!r}")
    endpoint = extension.endpoint if extension else None
    if endpoint and config.vendor != r.S3_COMPATIBLE:
        raise errors.invalid(f"{where}.extensionParams.endpoint is for vendor 11 only, not {config.vendor}")
    if config.vendor == r.S3_COMPATIBLE and not endpoint:
        raise errors.invalid(f"{where}.extensionParams.endpoint is required for vendor 11")
    try:
        found = providers.place(
            _PROVIDERS[config.vendor],
            bucket=config.bucket,
            key=config.accessKey,
            secret=config.secretKey,
            region=region,
            endpoint=endpoint or "",
            token=config.stsToken or "",
        )
    except providers.PlaceError as error:
        raise errors.invalid(f"{where}.{_FIELDS.get(error.field, error.field)}: {error}") from None
    options = found.options
    if sse:
        options["server_side_encryption"] = {"kms": "aws:kms", "aes256": "AES256"}[sse]
    if tag:
        options["tagging"] = tag
    names = prefix(config.fileNamePrefix, f"{where}.fileNamePrefix")
    return Storage(found.service, options, names, ours=found.ours)


def prefix(segments: list[str] | None, where: str) -> str:
    """`["a","b"]` → `a/b/`: letters and digits, 128 characters with the slashes at most."""
    for segment in segments or ():
        if not segment or not segment.isascii() or not segment.isalnum():
            raise errors.invalid(f"{where}: {segment!r} must be letters a-z, A-Z and digits")
    joined = "".join(f"{segment}/" for segment in segments or ())
    if len(joined) > 128:
        raise errors.invalid(f"{where} must be at most 128 characters with its slashes, not {len(joined)}")
    return joined


def _check_sts(config: StorageConfig, where: str, now_s: int) -> None:
    if not config.stsToken:
        return
    if config.vendor not in (r.S3, r.OSS, r.COS):
        raise errors.invalid(f"{where}.stsToken is for vendors 1, 2 and 3 only, not {config.vendor}")
    if config.stsExpiration is None:
        raise errors.invalid(f"{where}.stsExpiration is required with stsToken")
    if config.stsExpiration < now_s + STS_LEAST_S - _STS_SLACK_S:
        raise errors.invalid(f"{where}.stsExpiration must be Unix seconds at least 4 hours ahead")
