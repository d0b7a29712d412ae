"""Destinations that callers name: what opendal itself would refuse is refused when it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelroom.control.destinations import DestinationSpec, check
from reelroom.control.errors import ControlError

S3 = {"bucket": "b", "access_key_id": "AKIDAKID", "secret_access_key": "hush-hush", "endpoint": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("s3", S3 | {"enable_virtual_host_style": "maybe"}),
        ("s3", S3 | {"region": ""}),
        (
            "azblob",
            {"container": "c", "endpoint": "http://127.0.0.1:9", "account_name": "a", "account_key": "hush-hush!"},
        ),
    ],
)
async def test_options_that_make_no_storage_are_invalid(service: str, options: dict[str, str]) -> None:
    with pytest.raises(ControlError) as refused:
        await check(DestinationSpec(service, options), Path("/nowhere"), allow_private=True)
    assert (refused.value.kind, refused.value.where) == ("invalid", "destination.options")
    assert "hush-hush" not in refused.value.message


async def test_options_that_make_a_storage_are_taken() -> None:
    checked = await check(DestinationSpec("s3", S3), Path("/nowhere"), allow_private=True)
    assert checked.options["disable_config_load"] == "true"
