"""Where a recording's files may go: which services and options a caller can ask for. Contacts no storage."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from reelroom.control.errors import ControlError
from reelroom.control.guard import Unresolved, check_url
from reelroom.deliver.storage import StorageError, open_storage
from reelroom.store import tables
from reelroom.store.secrets import SecretBox

MAX_OPTION = 16_384
#: These become parts of hosts and paths of URLs: nothing in them may end the one or begin the other.
_NAMES = {
    "bucket": re.compile(r"[$A-Za-z0-9][A-Za-z0-9._-]{0,254}"),
    "container": re.compile(r"[$A-Za-z0-9][A-Za-z0-9._-]{0,254}"),
    "region": re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"),
    "account_name": re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"),
}
_SAYABLE = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]*")  # in a header, a path, a signature
#: These put the bucket in front of the endpoint's host; s3 does if asked to.
_HOSTED = frozenset({"oss", "cos", "obs", "tos"})


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """An opendal service with its options, credentials among them: `repr` leaves them out."""

    service: str
    options: dict[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """One service's options (opendal's names). Options not named here are refused: some read local files."""

    required: frozenset[str]
    shown: frozenset[str]  # what an answer may repeat
    other: frozenset[str]
    fixed: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> frozenset[str]:
        return self.required | self.shown | self.other | self.fixed.keys()


def _service(required: str, shown: str, other: str, **fixed: str) -> Service:
    return Service(frozenset(required.split()), frozenset(shown.split()), frozenset(other.split()), fixed)


#: `fixed`: this server's own credentials (environment, files, cloud metadata) are never used for a caller.
SERVICES: dict[str, Service] = {
    "fs": _service("", "root", ""),
    "s3": _service(
        "bucket access_key_id secret_access_key",
        "bucket endpoint region root enable_virtual_host_style default_storage_class server_side_encryption "
        "default_acl checksum_algorithm disable_write_with_if_match tagging",
        "session_token server_side_encryption_aws_kms_key_id",
        disable_config_load="true",
        disable_ec2_metadata="true",
    ),
    "oss": _service(
        "bucket endpoint access_key_id access_key_secret",
        "bucket endpoint root server_side_encryption tagging",
        "security_token server_side_encryption_key_id presign_endpoint",
    ),
    "cos": _service(
        "bucket endpoint secret_id secret_key",
        "bucket endpoint root",
        "security_token",
        disable_config_load="true",
    ),
    "obs": _service("bucket endpoint access_key_id secret_access_key", "bucket endpoint root", ""),
    "gcs": _service(
        "bucket credential",
        "bucket endpoint root default_storage_class predefined_acl",
        "",
        disable_config_load="true",
        disable_vm_metadata="true",
    ),
    "azblob": _service(
        "container endpoint account_name", "container endpoint account_name root", "account_key sas_token"
    ),
    "tos": _service(
        "bucket endpoint access_key_id secret_access_key",
        "bucket endpoint region root",
        "security_token",
        disable_config_load="true",
    ),
    "swift": _service("endpoint container token", "endpoint container root", ""),
    "webdav": _service("endpoint", "endpoint root", "username password token"),
}
_ENDPOINTS = ("endpoint", "presign_endpoint")


async def check(
    destination: DestinationSpec,
    storage: Path,
    allow_private: bool,
    where: str = "destination",
    trusted: bool = False,
    must_resolve: bool = True,
) -> DestinationSpec:
    """The destination as it is stored. ControlError("invalid") when it is not one a caller may name.

    `trusted`: the operator asks, on the command line; local files may then lie outside `storage`.
    `must_resolve` False: the endpoint is a provider's own, and uploads may find out whether it can be reached.
    """
    service = SERVICES.get(destination.service)
    if service is None:
        raise ControlError("invalid", "must be one of " + ", ".join(SERVICES), f"{where}.service")
    given = destination.options
    for name, value in given.items():
        if name not in service.known:
            known = ", ".join(sorted(service.known - service.fixed.keys()))
            raise ControlError("invalid", f"{destination.service} takes {known}", f"{where}.options.{name[:64]}")
        if not isinstance(value, str) or len(value) > MAX_OPTION:
            raise ControlError("invalid", f"must be a string of at most {MAX_OPTION}", f"{where}.options.{name}")
        if not _SAYABLE.fullmatch(value):
            raise ControlError("invalid", "must be text without control characters", f"{where}.options.{name}")
        if name in service.fixed and value != service.fixed[name]:
            raise ControlError("invalid", f"must be {service.fixed[name]!r}", f"{where}.options.{name}")
    if missing := [name for name in sorted(service.required) if not given.get(name)]:
        raise ControlError("invalid", f"{destination.service} needs {missing[0]}", f"{where}.options.{missing[0]}")
    for name, pattern in _NAMES.items():
        if given.get(name) and not pattern.fullmatch(given[name]):
            raise ControlError("invalid", "may have letters, digits and . _ - only", f"{where}.options.{name}")
    for name in _ENDPOINTS:
        if given.get(name):
            await _check_endpoint(destination, name, allow_private, must_resolve, f"{where}.options.{name}")
    if destination.service == "fs":
        root = _local(given.get("root", ""), storage, f"{where}.options.root", trusted)
        return DestinationSpec("fs", {"root": str(root)})
    if destination.service == "gcs":
        _check_gcs(given["credential"], f"{where}.options.credential")
    checked = DestinationSpec(destination.service, {**given, **service.fixed})
    try:
        open_storage(checked.service, checked.options)  # contacts nobody
    except StorageError as error:
        raise ControlError("invalid", f"cannot be opened: {error}", f"{where}.options") from error
    return checked


async def check_again(service: str, options: dict[str, str], allow_private: bool) -> None:
    """When what was checked once is used: names may lead elsewhere by now. ControlError when they do."""
    for name in _ENDPOINTS:
        if options.get(name):
            await _check_endpoint(DestinationSpec(service, options), name, allow_private, False, name)


async def _check_endpoint(
    destination: DestinationSpec, name: str, allow_private: bool, must_resolve: bool, where: str
) -> None:
    """The host of an endpoint, and the bucket's own host at it: each has addresses of its own."""
    given = destination.options
    endpoint = given[name]
    try:
        await check_url(endpoint, allow_private, where)
    except Unresolved:
        if must_resolve:
            raise
    if "?" in endpoint or "#" in endpoint:
        raise ControlError("invalid", "must have no query and no fragment", where)
    hosted = destination.service in _HOSTED or given.get("enable_virtual_host_style", "").lower() in ("true", "on")
    if hosted and given.get("bucket"):
        parts = urlsplit(endpoint)
        try:
            await check_url(f"{parts.scheme}://{given['bucket']}.{parts.netloc}", allow_private, where)
        except Unresolved:
            pass  # the bucket may not be there yet; then there is nothing to reach either


def describe(destination: DestinationSpec) -> dict[str, str]:
    """What may be shown of it."""
    shown = SERVICES[destination.service].shown
    return {name: value for name, value in destination.options.items() if name in shown and value}


def row(app: str, destination: DestinationSpec, box: SecretBox) -> tables.Destination:
    """A checked destination as a row to be."""
    return tables.Destination(
        id=uuid.uuid4().hex,
        app=app,
        service=destination.service,
        options=box.seal(dict(destination.options)),
        described=describe(destination),
        created_ns=time.time_ns(),
    )


def _local(root: str, storage: Path, where: str, trusted: bool) -> Path:
    path = PurePosixPath(root)
    if trusted and path.is_absolute():
        return Path(root)
    if path.is_absolute() or ".." in path.parts or "\0" in root:
        raise ControlError("invalid", "must be a relative folder without '..', within the server's storage", where)
    return storage / path


def _check_gcs(credential: str, where: str) -> None:
    try:
        kind = json.loads(base64.b64decode(credential, validate=True)).get("type")
    except (ValueError, AttributeError) as error:
        raise ControlError("invalid", "must be the base64 of a service account's JSON key", where) from error
    if kind != "service_account":  # other kinds name files and URLs of this server
        raise ControlError("invalid", f"must be of type service_account, not {kind!r}"[:200], where)
