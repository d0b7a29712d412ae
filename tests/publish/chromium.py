"""Drives a headless Chromium that publishes a page with a clock over WHIP, records itself, or plays HLS."""

from __future__ import annotations

import asyncio
import base64
import functools
import os
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Page, Playwright, async_playwright

from reelroom.demo.clip import beep_hz, tone_hz

_HERE = Path(__file__).parent
_EXECUTABLE = "/usr/bin/chromium"
_HLS_VERSION = "1.7.4"
_FLAGS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    # A page in the background would draw once a second.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]


def hls_js() -> Path:
    """hls.js, installed by npm into the cache folder when it is not there yet. Raises CalledProcessError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reelroom" / f"hls.js-{_HLS_VERSION}"
    script = cache / "node_modules" / "hls.js" / "dist" / "hls.min.js"
    if not script.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), f"hls.js@{_HLS_VERSION}"]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    return script


class _Handler(SimpleHTTPRequestHandler):
    """Serves the page at /, hls.js at /hls.js and a folder's files at /files/…."""

    def __init__(self, *args: Any, files: Path | None, **options: Any) -> None:
        self.files = files
        super().__init__(*args, directory=str(files or _HERE), **options)

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path == "/":
            return str(_HERE / "clock.html")
        if path == "/hls.js":
            return str(hls_js())
        if path.startswith("/files/") and self.files:
            return super().translate_path(path.removeprefix("/files"))
        return str(_HERE / "nothing here")

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Chromium:
    """`async with Chromium() as browser:` one headless Chromium with one page.

    `files` is a folder that the page's own server also serves, under `browser.files_url`. The page's origin
    differs from the recorder's, so WHIP and HLS there need CORS. `beside`: one that is there already, whose browser
    shows this page too.
    """

    def __init__(self, *, files: Path | None = None, beside: Chromium | None = None) -> None:
        self.log: list[str] = []
        self._beside = beside
        handler = functools.partial(_Handler, files=files)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.files_url = self.url + "files/"
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._page: Page | None = None

    async def __aenter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            browser = self._beside._browser if self._beside is not None else await self._launch()
            assert browser is not None
            self._page = await browser.new_page()
            self._page.on("console", lambda message: self.log.append(message.text))
            self._page.on("pageerror", lambda error: self.log.append(str(error)))
            await self._page.goto(self.url)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _launch(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(
            executable_path=_EXECUTABLE, headless=True, args=_FLAGS, ignore_default_args=["--mute-audio"]
        )
        return self._browser

    async def __aexit__(self, *_: object) -> None:
        if self._beside is not None and self._page is not None:
            await self._page.close()
        if self._browser:
            await self._browser.close()
        if self._playwright:
            await self._playwright.stop()
        self._server.shutdown()
        self._server.server_close()

    async def _call(self, function: str, *arguments: Any) -> Any:
        assert self._page is not None
        names = ", ".join(f"a[{i}]" for i in range(len(arguments)))
        return await self._page.evaluate(f"(a) => {function}({names})", list(arguments))

    async def start_clock(self, *, participant: int = 1, size: tuple[int, int] = (640, 360), fps: int = 30) -> None:
        """Begin the picture and the sound; judge them with `fps=None`, since the page's frames keep no cadence."""
        width, height = size
        options = {"width": width, "height": height, "fps": fps, "participant": participant}
        await self._call("startClock", {**options, "beepHz": beep_hz(participant), "toneHz": tone_hz(participant)})

    async def publish(
        self,
        url: str,
        token: str | None,
        *,
        codec: str = "h264",
        audio: str = "",
        bitrate: int = 1_500_000,
        simulcast: bool = False,
    ) -> None:
        """Publish the clock with one video codec (h264, vp8, vp9, av1) and return when it is connected.

        `audio`: opus, pcmu or pcma; by default what Chromium prefers.
        `simulcast`: three layers by rid that share `bitrate`, f (the whole size), h (half) and q (a quarter).
        Raises playwright's Error with what failed.
        """
        options = {"codec": codec, "audioCodec": audio, "bitrate": bitrate, "simulcast": simulcast}
        await self._call("publish", {"url": url, "bearer": token, **options})

    async def restart_ice(self) -> None:
        """Restart ICE of what is published, and return when the new credentials are in use."""
        await self._call("restartIce")

    async def set_active(self, rid: str, active: bool) -> None:
        """Stop or begin again to send one simulcast layer."""
        await self._call("setActive", {"rid": rid, "active": active})

    async def stats(self) -> dict[str, Any]:
        """What was sent, by kind: codec, packets, frames, keyFrames, nacks, plis, … Simulcast: `layers`, by rid."""
        found: dict[str, Any] = await self._call("stats")
        return found

    async def unpublish(self) -> dict[str, Any]:
        """Take the tracks away, then end the WHIP session; the final `stats`, and the `status` of the DELETE."""
        found: dict[str, Any] = await self._call("unpublish")
        return found

    async def watch(self, url: str, token: str, seconds: float) -> dict[str, Any]:
        """Watch somebody by WHEP for so long from the first picture on, and leave.

        width and height shown, by kind what came (frames decoded, samples, energy), and `status` of the
        DELETE.
        """
        found: dict[str, Any] = await self._call("watch", {"url": url, "bearer": token, "seconds": seconds})
        return found

    async def start_recorder(self, mime: str = "video/webm;codecs=vp8,opus") -> None:
        """Let Chromium's own MediaRecorder record the very stream that is published."""
        await self._call("startRecorder", mime)

    async def stop_recorder(self, path: Path) -> Path:
        """Write what MediaRecorder made to `path`."""
        path.write_bytes(base64.b64decode(await self._call("stopRecorder")))
        return path

    async def play_hls(self, url: str) -> None:
        """Play a playlist with hls.js; `playback` says how it goes."""
        await asyncio.to_thread(hls_js)
        await self._call("playHls", {"url": url})

    async def playback(self) -> dict[str, Any]:
        """currentTime, buffered, duration (s), width, height, frames, dropped, ended, and errors in words."""
        found: dict[str, Any] = await self._call("playback")
        return found
