"""Which vendor a request to `/` is for. No server, no signatures."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from starlette.datastructures import Headers

from reelroom.control.app import KINDS
from reelroom.dialects.dispatch import FORM, Call

ZEGO = {"Action": "StartRecord", "AppId": "1", "SignatureNonce": "n", "SignatureVersion": "2.0"}
ALIYUN = {"Action": "StopRtcCloudRecording", "Version": "2016-11-01", "AccessKeyId": "k"}
TENCENT = {"Action": "StopMCUMixTranscode", "Version": "2019-07-22", "SecretId": "k"}


def claimed(query: dict[str, str], body: bytes = b"", **headers: str) -> str:
    """The package of the dialect that gets it; "" for nobody's."""
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    call = Call("POST", "/", urlencode(query).encode(), named, body)
    return next((kind.__module__.split(".")[2] for kind in KINDS if kind.claims(call)), "")


@pytest.mark.parametrize(("parameters", "vendor"), [(ZEGO, "zego"), (ALIYUN, "aliyun"), (TENCENT, "tencent")])
def test_a_vendors_parameters_lead_to_it(parameters: dict[str, str], vendor: str) -> None:
    assert claimed(parameters) == vendor
    assert claimed(parameters, urlencode({"x": "1"}).encode(), content_type=FORM) == vendor


@pytest.mark.parametrize(("parameters", "vendor"), [(ALIYUN, "aliyun"), (TENCENT, "tencent")])
def test_they_may_be_in_a_form(parameters: dict[str, str], vendor: str) -> None:
    assert claimed({}, urlencode(parameters).encode(), content_type=FORM) == vendor
    assert claimed({}, urlencode(parameters).encode(), content_type="application/json") == ""


def test_headers_say_it_too() -> None:
    assert claimed({}, x_tc_action="SearchMedia") == claimed({}, authorization="TC3-HMAC-SHA256 x") == "tencent"
    assert claimed({}, x_acs_action="StopRecordTask") == claimed({}, authorization="ACS3-HMAC-SHA256 x") == "aliyun"
    assert claimed({}, b"{}", content_type="application/json") == ""


@pytest.mark.parametrize("space", [b"", b" \n"])
@pytest.mark.parametrize("name", ["Version", "SecretId", "AccessKeyId"])
def test_json_that_is_called_a_form_has_no_fields_of_another_vendor(name: str, space: bytes) -> None:
    """As curl and PHP send it unless they are told its type: there are URLs in it."""
    body = json.dumps({"RecordOutputParams": {"CallbackUrl": f"https://example.org/cb?x=1&{name}=3&y=2"}}).encode()
    assert claimed(ZEGO, space + body, content_type=FORM) == "zego"
