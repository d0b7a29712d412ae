"""What lies in storage plays: FFmpeg reads the playlist, growing or ended, without a word of complaint."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from reelroom.domain import lines
from reelroom.domain.recording import Format
from tests.journals import House, S, Written
from tests.needs import need


def encode(folder: Path, size: str) -> list[float]:
    """Three fMP4 segments of two seconds at 25 frames a second; their durations in seconds."""
    folder.mkdir(parents=True)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=6", "-f", "lavfi",
         "-i", "sine=duration=6:sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "50",
         "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4",
         "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "%d.m4s", "-hls_list_size", "0", "p.m3u8"],
        cwd=folder, check=True,
    )  # fmt: skip
    text = (folder / "p.m3u8").read_text()
    return [float(line[8:].rstrip(",")) for line in text.splitlines() if line.startswith("#EXTINF:")]


def journal(written: Written, part: int, size: str, at_ns: int) -> int:
    durations = encode(written.folder / f"segments/001/hls/{part}", size)
    path = f"segments/001/hls/{part}"
    written.append(lines.Init(output="001", rendition="hls", number=part, path=f"{path}/init.mp4", bytes=1, sha256=""))
    for index, duration in enumerate(durations):
        end_ns = at_ns + int(duration * S)
        number = written.numbers["001"] = written.numbers["001"] + 1
        written.append(
            lines.Segment(
                output="001", rendition="hls", container="fmp4", number=number, path=f"{path}/{index}.m4s", bytes=1,
                sha256="", start_ns=written.t0 + at_ns, end_ns=written.t0 + end_ns, media_start_ns=at_ns,
                media_end_ns=end_ns, init=part, discontinuity=part > 1 and index == 0,
            )
        )  # fmt: skip
        at_ns = end_ns
    return at_ns


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP: FFmpeg does not decode the URIs of a playlist that it reads from a disk."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def frames(playlist: str) -> int:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries",
         "stream=nb_read_packets", "-of", "csv=p=0", playlist],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return int(done.stdout.split(",")[0].split()[0])


async def test_ffmpeg_reads_the_playlist_in_storage(tmp_path: Path) -> None:
    need("ffmpeg", "ffprobe")
    async with House(tmp_path) as house:
        written = await house.make(formats=(Format.HLS,))
        written.numbers["001"] = 0
        written.append(
            lines.Opened(room_ns=written.t0, spec_sha256="", ingest="i", public_key="k"),
            lines.OutputOpened(output="001", identity="älice b:", source="camera", kind="av", start_ns=written.t0),
        )
        at_ns = await asyncio.to_thread(journal, written, 1, "320x240", 0)
        playlist = house.storage / written.spec.id / "älice b:_camera.m3u8"

        async def grown() -> bool:
            return playlist.exists() and playlist.read_text().count("#EXTINF") == 3

        await house.until(grown)
        assert "ENDLIST" not in playlist.read_text()
        await asyncio.to_thread(journal, written, 2, "320x240", at_ns)
        written.end()
        await house.until_state(written.spec.id)
        with served(house.storage) as base:
            url = f"{base}/{written.spec.id}/{quote(playlist.name)}"
            assert await asyncio.to_thread(frames, url) == 300
            decoded = await asyncio.to_thread(
                subprocess.run,
                ["ffmpeg", "-v", "error", "-i", url, "-f", "null", "-"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
        assert (decoded.returncode, decoded.stderr) == (0, "")
