"""Files of recordings as HTTP answers: their types, and ranges of them (RFC 9110, section 14). Finds none of them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import FileResponse

MEDIA_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".flv": "video/x-flv",
    ".aac": "audio/aac",
    ".mp3": "audio/mpeg",
    ".opus": "audio/ogg",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
}
OTHER = "application/octet-stream"
_SPEC = r"[ \t]*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))[ \t]*"
_RANGES = re.compile(rf"bytes=({_SPEC}(?:,{_SPEC})*)", re.ASCII | re.IGNORECASE)
_ONE = re.compile(_SPEC, re.ASCII)
_BINARY = {"schema": {"type": "string", "format": "binary"}}

#: For a route's `responses`: what `file` answers, and who has read the file by other means.
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "the content", "content": dict.fromkeys((*MEDIA_TYPES.values(), OTHER), _BINARY)},
    206: {
        "description": "the ranges that were asked for",
        "content": dict.fromkeys((*MEDIA_TYPES.values(), OTHER, "multipart/byteranges"), _BINARY),
    },
    416: {"$ref": "#/components/responses/Problem"},
}


def kind_of(name: str) -> str:
    """The media type of a file of this name."""
    return MEDIA_TYPES.get(PurePosixPath(name).suffix, OTHER)


def file(request: Request, path: Path, headers: dict[str, str], kind: str) -> FileResponse:
    """The file's bytes, or the ranges of them that the request asks for. 416 when it has none of these.

    A Range that cannot be read counts as none, and so does one range of several that the file does not reach.
    """
    asked = request.headers.get("range")
    if asked is not None:
        size = path.stat().st_size
        ranges = read_ranges(asked, size)
        if ranges == [] and "if-range" not in request.headers:
            raise HTTPException(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"})
        kept = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
        if ranges:
            said = ",".join(f"{first}-{last}" for first, last in ranges)
            kept.append((b"range", f"bytes={said}".encode()))
        request.scope["headers"] = kept  # FileResponse reads it, and is less patient
    return FileResponse(path, headers=headers, media_type=kind)


def read_ranges(asked: str, size: int) -> list[tuple[int, int]] | None:
    """The first and last bytes of what a Range header asks of `size` bytes; None when it is no such header."""
    found = _RANGES.fullmatch(asked)
    if found is None:
        return None
    ranges = []
    for one in found[1].split(","):
        spec = _ONE.fullmatch(one)
        assert spec is not None
        first, last, suffix = spec.groups()
        if last and int(last) < int(first):
            return None
        begin = int(first) if suffix is None else max(0, size - int(suffix))
        end = min(int(last), size - 1) if last else size - 1
        if begin <= end:
            ranges.append((begin, end))
    return ranges
