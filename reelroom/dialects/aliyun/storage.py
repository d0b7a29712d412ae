"""OSS as Alibaba Cloud's clients name it: an endpoint or region and a bucket, of the account that signs the call."""

from __future__ import annotations

from reelroom.control import providers
from reelroom.control.apps import AppContext
from reelroom.control.providers import Place


def bucket(app: AppContext, name: str, *, endpoint: str) -> Place:
    """The bucket with the app's own AccessKey, which at the vendor is the account's. ValueError on what cannot be."""
    mine = app.secrets["aliyun"]
    key, secret = mine["access_key_id"], mine["access_key_secret"]
    token = mine.get("security_token", "")  # of temporary credentials
    return providers.place("oss", bucket=name, key=key, secret=secret, endpoint=endpoint, token=token)
