"""The JSON of SearchMedia, DescribeMediaInfos and DeleteMedia (section 3.8), with the codes of what is wrong in it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from reelroom.dialects.tencent.wire import Given, Text, Wire, plain

MAX_RESULTS = 5000
MAX_DESCRIBED = 20  # files at a time
Ten = Annotated[list[Given], Field(max_length=10)]
FileName = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(plain)]  # a FileId
Hundred = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain)]
Hundreds = Annotated[list[Hundred], Field(max_length=10)]
Tag = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(plain)]
RoomName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain)]
One = Annotated[str, Field(max_length=4096), AfterValidator(plain)]
Number = Annotated[int, Field(ge=0, le=2**53)]


class TimeRange(Wire):
    After: Text = ""
    Before: Text = ""


class SortBy(Wire):
    Field: str
    Order: str = "Desc"


class SearchMedia(Wire):
    """An empty list is as if absent: that is what is left of it in a query or form, which cannot say it."""

    SubAppId: Number = 0
    FileIds: Annotated[list[FileName], Field(max_length=10)] | None = None
    Names: Hundreds | None = None
    NamePrefixes: Hundreds | None = None
    Descriptions: Hundreds | None = None
    ClassIds: Annotated[list[Number], Field(max_length=10)] | None = None
    Tags: Annotated[list[Tag], Field(max_length=16)] | None = None
    Categories: Ten | None = None
    SourceTypes: Ten | None = None
    StreamIds: Ten | None = None
    CreateTime: TimeRange | None = None
    ExpireTime: TimeRange | None = None
    StorageRegions: Annotated[list[Given], Field(max_length=20)] | None = None
    StorageClasses: Ten | None = None
    MediaTypes: Ten | None = None
    Status: Ten | None = None
    ReviewResults: Ten | None = None
    TrtcSdkAppIds: Annotated[list[Number], Field(max_length=10)] | None = None
    TrtcRoomIds: Annotated[list[RoomName], Field(max_length=10)] | None = None
    Filters: Annotated[list[Given], Field(max_length=20)] | None = None
    Sort: SortBy | None = None
    Offset: Annotated[int, Field(ge=0)] = 0  # too large ones have codes of their own
    Limit: Annotated[int, Field(ge=0)] = 10
    Text: Annotated[str, Field(max_length=64), AfterValidator(plain)] = ""
    SourceType: One = ""
    StreamId: One = ""
    StartTime: One = ""
    EndTime: One = ""
    Vids: Ten | None = None
    Vid: One = ""
    StreamDomains: Annotated[list[Given], Field(max_length=20)] | None = None
    StreamPaths: Annotated[list[Given], Field(max_length=20)] | None = None
    KnowledgeBases: Ten | None = None

    @model_validator(mode="before")
    @classmethod
    def _asked(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value != []} if isinstance(data, dict) else data


class DescribeMediaInfos(Wire):
    FileIds: list[Given]  # 1 to MAX_DESCRIBED; none and too many have codes of their own
    SubAppId: Number = 0
    Filters: Annotated[list[Given], Field(max_length=20)] | None = None


class DeleteItem(Wire):
    Type: Given
    Definition: Number = 0


class DeleteMedia(Wire):
    FileId: Given
    SubAppId: Number = 0
    DeleteParts: Annotated[list[DeleteItem], Field(max_length=20)] = []


def code(path: str) -> str:
    """The code of a wrong value: the vendor has one for each parameter."""
    return "InvalidParameterValue." + path.partition(".")[0]
