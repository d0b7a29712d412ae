"""The JSON of SearchMedia, DescribeMediaInfos and DeleteMedia (section 3.8), with the codes of what is wrong in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reelroom.dialects.tencent.wire import Given, Text, Wire

MAX_RESULTS = 5000
Ten = Annotated[list[Given], Field(max_length=10)]
Number = Annotated[int, Field(ge=0, le=2**53)]


class TimeRange(Wire):
    After: Text = ""
    Before: Text = ""


class SortBy(Wire):
    Field: str
    Order: str


class SearchMedia(Wire):
    SubAppId: Number = 0
    FileIds: Ten | None = None
    Names: Ten | None = None
    NamePrefixes: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=10)] | None = (
        None
    )
    Descriptions: Ten | None = None
    ClassIds: Annotated[list[Number], Field(max_length=10)] | None = None
    Tags: Annotated[list[Given], Field(max_length=16)] | None = None
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
    TrtcRoomIds: Ten | None = None
    Filters: Annotated[list[Given], Field(max_length=20)] | None = None
    Sort: SortBy | None = None
    Offset: Annotated[int, Field(ge=0, le=MAX_RESULTS)] = 0
    Limit: Annotated[int, Field(ge=0, le=MAX_RESULTS)] = 10
    Text: str = ""
    SourceType: str = ""
    StreamId: str = ""
    StartTime: str = ""
    EndTime: str = ""
    Vids: Ten | None = None
    Vid: str = ""
    StreamDomains: Annotated[list[Given], Field(max_length=20)] | None = None
    StreamPaths: Annotated[list[Given], Field(max_length=20)] | None = None
    KnowledgeBases: Ten | None = None


class DescribeMediaInfos(Wire):
    FileIds: Annotated[list[Given], Field(min_length=1, max_length=20)]
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
