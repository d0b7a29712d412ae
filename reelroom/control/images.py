"""Images of mixed recordings: fetched or given, looked at, and kept in the recording's folder by their SHA-256.

Draws none of them. A file's type is what its bytes say, never its name or what a server calls it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx
import structlog
from PIL import Image, UnidentifiedImageError

from reelroom.control import guard
from reelroom.control.errors import ControlError
from reelroom.domain.scene import Scene

log = structlog.get_logger("reelroom.images")

MAX_BYTES = 5_000_000
MAX_PIXELS = 16_777_216  # 4096 x 4096: 48 MiB decoded
MAX_SIDE = 8192
MAX_IMAGES = 48  # of one call
FETCH_S = 6.0  # for all that are fetched by one call; Agora's clients hang up after 10
AT_ONCE = 4
REDIRECTS = 3
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image comes from: exactly one of `url`, `data`, and `sha256` of one that the recording has already.

    `optional`: one that cannot be had is left out, as some vendors do. `where`: the field, for the error otherwise.
    """

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    sha256: str = ""
    optional: bool = False
    where: str = ""
    max_bytes: int = MAX_BYTES

    @property
    def reference(self) -> str:
        """What a scene calls it until its bytes are there: 64 hexadecimal digits, the same for the same source."""
        if self.sha256:
            return self.sha256
        return hashlib.sha256(f"url\n{self.url}".encode() if self.url else self.data).hexdigest()


def sources(scene: Scene, given: Mapping[str, ImageSource]) -> dict[str, ImageSource]:
    """Where each image of a scene comes from; what nobody gives, the recording must have already."""
    return {name: given.get(name) or ImageSource(sha256=name, where="scene") for name in sorted(scene.images())}


class Images:
    """Gets the images of scenes. Holds no connection between calls."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def load(self, folder: Path, wanted: Mapping[str, ImageSource]) -> dict[str, str]:
        """Put the images into `folder`/images; return their SHA-256 by reference ("": optional, and not to be had).

        ControlError("invalid") with the field of the first that is no image, too large, or cannot be fetched.
        """
        if len(wanted) > MAX_IMAGES:
            raise ControlError("invalid", f"at most {MAX_IMAGES} images at once")
        if not wanted:
            return {}
        gate = asyncio.Semaphore(AT_ONCE)
        context = httpx.create_ssl_context(trust_env=False)
        until = asyncio.get_running_loop().time() + FETCH_S

        async def one(source: ImageSource) -> str:
            async with gate:
                try:
                    return await self._one(folder, source, context, until)
                except ControlError as error:
                    if not source.optional:
                        raise
                    log.warning("an image is left out", folder=folder.name, where=source.where, error=error.message)
                    return ""

        async with asyncio.TaskGroup() as group:
            tasks = {reference: group.create_task(_said(one(source))) for reference, source in wanted.items()}
        found = {reference: task.result() for reference, task in tasks.items()}
        for result in found.values():
            if isinstance(result, ControlError):
                raise result
        return {reference: result for reference, result in found.items() if isinstance(result, str)}

    async def _one(self, folder: Path, source: ImageSource, context: object, until: float) -> str:
        if source.sha256:
            if not await asyncio.to_thread((folder / "images" / source.sha256).is_file):
                raise ControlError("invalid", "the recording has no image of this SHA-256", source.where)
            return source.sha256
        data = source.data
        if source.url:
            try:
                async with asyncio.timeout_at(until):
                    data = await self._fetch(source, context)
            except TimeoutError:
                raise ControlError("invalid", f"no image within {FETCH_S:g} s", source.where) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                message = f"the image cannot be fetched: {type(error).__name__}: {error}"[:300]
                raise ControlError("invalid", message, source.where) from error
        if len(data) > source.max_bytes:
            raise ControlError("invalid", f"the image is larger than {source.max_bytes} bytes", source.where)
        try:
            await asyncio.to_thread(check_image, data)
        except ValueError as error:
            raise ControlError("invalid", str(error), source.where) from error
        return await asyncio.to_thread(_store, folder, data)

    async def _fetch(self, source: ImageSource, context: object) -> bytes:
        """The bytes behind a URL. Each address on the way is checked and then called, and no other."""
        url = source.url
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            timeout=FETCH_S,
            limits=limits,
            follow_redirects=False,
            trust_env=False,
            verify=context,  # type: ignore[arg-type]
        ) as client:
            for _ in range(REDIRECTS + 1):
                addresses = await guard.resolve(url, self._allow_private, source.where)
                parsed = httpx.URL(url)
                headers = {
                    "Host": parsed.netloc.decode("ascii"),
                    "User-Agent": "reelroom",
                    "Accept": "image/*",
                    "Accept-Encoding": "identity",  # unpacked, a few bytes may be gigabytes
                }
                async with client.stream(
                    "GET",
                    parsed.copy_with(host=addresses[0]),
                    headers=headers,
                    extensions={"sni_hostname": parsed.host},
                ) as answer:
                    if answer.is_redirect:
                        url = _behind(url, answer.headers.get("location", ""), source.where)
                        continue
                    if answer.status_code != 200:
                        raise ControlError("invalid", f"its server answered {answer.status_code}", source.where)
                    return await _read(answer, source)
        raise ControlError("invalid", f"more than {REDIRECTS} redirects", source.where)


def _behind(url: str, location: str, where: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise ControlError("invalid", f"its server redirects to no URL: {error}"[:300], where) from error


async def _read(answer: httpx.Response, source: ImageSource) -> bytes:
    """The body as it comes, which is refused when it is packed: it was asked for as it is."""
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ControlError("invalid", "its server sends the image compressed, though not asked to", source.where)
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > source.max_bytes:
            raise ControlError("invalid", f"the image is larger than {source.max_bytes} bytes", source.where)
    return bytes(data)


async def _said(task: object) -> str | ControlError:
    """A refusal as a value: all are waited for, and none is an exception group."""
    try:
        return await task  # type: ignore[misc, no-any-return]
    except ControlError as error:
        return error


def check_image(data: bytes) -> None:
    """ValueError unless these bytes are a whole image of a known type and of bounded size."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
                raise ValueError(f"the image has {width} x {height} pixels; at most {MAX_PIXELS}, {MAX_SIDE} a side")
            image.load()  # the first picture of an animation
    except Image.DecompressionBombError as error:
        raise ValueError("the image has too many pixels") from error
    except UnidentifiedImageError as error:
        raise ValueError("not an image: PNG, JPEG, WebP, GIF and BMP are") from error
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        raise ValueError(f"the image cannot be read: {error}"[:300]) from error


def _store(folder: Path, data: bytes) -> str:
    """Keep the bytes under their SHA-256, whole or not at all."""
    name = hashlib.sha256(data).hexdigest()
    images = folder / "images"
    images.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = images / name
    if not target.exists():
        part = images / f"{name}.{os.urandom(4).hex()}.part"
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    return name
