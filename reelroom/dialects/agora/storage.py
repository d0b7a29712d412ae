"""Agora's `storageConfig` → an opendal service and its options. Opens no connection and keeps no credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from reelroom.dialects.agora import errors
from reelroom.dialects.agora import regions as r
from reelroom.dialects.agora.wire import StorageConfig

STS_LEAST_S = 4 * 3600  # a temporary credential lives at least this long (section 3.2)
_STS_SLACK_S = 600  # time between the client's token call and this check
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_LOOPBACK = ("localhost", "127.", "[::1]")


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
    if extension and extension.tag:
        raise errors.not_supported(f"{where}.extensionParams.tag: files cannot be tagged; leave it out")
    sse = extension.sse if extension else None
    if sse and config.vendor != r.S3:
        raise errors.invalid(f"{where}.extensionParams.sse is for vendor 1 only, not {config.vendor}")
    if sse and sse not in ("kms", "aes256"):
        raise errors.invalid(f"{where}.extensionParams.sse must be 'kms' or 'aes256', not {sse!r}")
    endpoint = extension.endpoint if extension else None
    if config.vendor == r.S3_COMPATIBLE and not endpoint:
        raise errors.invalid(f"{where}.extensionParams.endpoint is required for vendor 11")
    if config.vendor == r.AZURE and not _ACCOUNT.fullmatch(config.accessKey):
        raise errors.invalid(f"{where}.accessKey must be the storage account's name (3 to 24 of a-z, 0-9)")
    service, options = _service(config, region, _url(endpoint, f"{where}.extensionParams.endpoint"))
    if config.stsToken:
        options[{"s3": "session_token", "oss": "security_token", "cos": "security_token"}[service]] = config.stsToken
    if sse:
        options["server_side_encryption"] = {"kms": "aws:kms", "aes256": "AES256"}[sse]
    names = prefix(config.fileNamePrefix, f"{where}.fileNamePrefix")
    return Storage(service, options, names, ours=config.vendor != r.S3_COMPATIBLE)


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


def _url(endpoint: str | None, where: str) -> str:
    """A host as Agora wants it, or a whole URL; TLS unless the URL says http or the host is this machine."""
    if not endpoint:
        return ""
    if "://" not in endpoint:
        endpoint = ("http://" if endpoint.startswith(_LOOPBACK) else "https://") + endpoint
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError as error:
        raise errors.invalid(f"{where}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise errors.invalid(f"{where} must be a host or an http(s) URL")
    return endpoint.rstrip("/")


def _service(config: StorageConfig, region: str, endpoint: str) -> tuple[str, dict[str, str]]:
    bucket, key, secret = config.bucket, config.accessKey, config.secretKey
    match config.vendor:
        case r.OSS:
            return "oss", {
                "bucket": bucket,
                "endpoint": f"https://oss-{region}.aliyuncs.com",
                "access_key_id": key,
                "access_key_secret": secret,
            }
        case r.COS:
            cos = {"bucket": bucket, "endpoint": f"https://cos.{region}.myqcloud.com"}
            return "cos", {**cos, "secret_id": key, "secret_key": secret, "disable_config_load": "true"}
        case r.OBS:
            obs = {"bucket": bucket, "endpoint": f"https://obs.{region}.myhuaweicloud.com"}
            return "obs", {**obs, "access_key_id": key, "secret_access_key": secret}
        case r.AZURE:
            account = f"https://{key}.blob.core.windows.net"
            return "azblob", {
                "container": bucket,
                "endpoint": account,
                "account_name": key,
                "account_key": secret,
            }
    url, signing_region, virtual_host = {
        r.S3: (_aws(region), region, "true"),
        r.QINIU: (f"https://s3-{region}.qiniucs.com", region, "false"),
        r.KS3: (f"https://ks3-{region}.ksyuncs.com", region.removeprefix("cn-").upper(), "true"),
        # An interoperability (HMAC) key pair: what a client of Agora has for Google's storage.
        r.GCS: ("https://storage.googleapis.com", "auto", "false"),
        r.BOS: (f"https://s3.{region}.bcebos.com", region, "false"),
        r.S3_COMPATIBLE: (endpoint, "us-east-1", "false"),
    }[config.vendor]
    return "s3", {
        "bucket": bucket,
        "endpoint": url,
        "region": signing_region,
        "enable_virtual_host_style": virtual_host,
        "access_key_id": key,
        "secret_access_key": secret,
        "disable_config_load": "true",  # never this server's own credentials
        "disable_ec2_metadata": "true",
    }


def _aws(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
