"""How refusals are worded: fields by the callers' names, nothing of this server's insides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reelroom.dialects.agora import wire as agora
from reelroom.dialects.aliyun_live import wire as aliyun_live
from reelroom.dialects.wording import named
from reelroom.dialects.zego import wire as zego

WHERE = {"destination": "Storage", "destination.options.endpoint": "Storage.EndPoint", "mix": "Mix"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("destination", "Storage"),
        ("destination.options.bucket", "Storage"),
        ("destination.options.endpoint", "Storage.EndPoint"),
        ("mix.scene", "Mix"),
        ("mixed", "mixed"),
        ("", ""),
    ],
)
def test_a_use_cases_field_is_named_by_the_longest_part_that_is_known(where: str, said: str) -> None:
    assert named(where, WHERE) == said


@pytest.mark.parametrize(
    ("parse", "field"),
    [
        (lambda: agora.parse(agora.StartRequest, {"storageConfig": "x"}, "clientRequest"), "storageConfig"),
        (lambda: zego.parse(zego.TencentVod, None), "body"),
        (lambda: zego.parse(zego.StartRequest, {"RoomId": "r", "RecordInputParams": []}), "RecordInputParams"),
        (lambda: aliyun_live.parse(aliyun_live.Subscribe, {"SubscribeUserIdList": [7]}), "SubscribeUserIdList.1"),
    ],
)
def test_what_should_be_an_object_is_told_without_names_of_classes(parse: Callable[[], Any], field: str) -> None:
    with pytest.raises(Exception, match=f"{field}: Input should be an object"):
        parse()
