"""Publishes a clip file over WHIP with FFmpeg's own `whip` muxer (PyAV's FFmpeg 8), stored frames. Makes no clip.

`publish` starts it as a process, because the muxer blocks; this file is also that process's script. What the
muxer takes: H.264 without B-frames and stereo Opus at 48 kHz (a mono packet says so itself, and passes). Left
alone, an FFmpeg with GnuTLS makes itself a certificate on secp224r1, which OpenSSL 4 refuses; so it is given one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.loadpeer import certificate
from reelroom.demo.clipfile import Clip

ROOT = Path(__file__).resolve().parents[2]
_LINGER_S = 0.3
_NS = Fraction(1, 1_000_000_000)


async def publish(url: str, token: str | None, clip: Path, seconds: float, *, loop: bool = False) -> dict[str, Any]:
    """Publish a clip file (`Clip.save`) for `seconds` and return {"video": frames, "audio": frames, …}.

    Raises RuntimeError with what FFmpeg said when it failed.
    """
    command = [sys.executable, "-m", "tests.publish.ffmpeg_whip", "--url", url, "--clip", str(clip)]
    command += ["--seconds", str(seconds), *(["--token", token] if token else []), *(["--loop"] * loop)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds + 40)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"FFmpeg's WHIP publisher ended with {process.returncode}: {err.decode()[-3000:]}")
    result: dict[str, Any] = json.loads(out)
    return result


def _certificate(folder: Path) -> dict[str, str]:
    """The muxer's options for a self-signed P-256 certificate, made in `folder`."""
    key, made = certificate()
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def send(clip: Clip, url: str, token: str | None, seconds: float, *, loop: bool) -> dict[str, Any]:
    """Connect and push every frame of the next `seconds` at its time. Blocking."""
    if clip.spec.codec != "h264":
        raise ValueError(f"FFmpeg's WHIP muxer sends h264, not {clip.spec.codec}")
    options = {"authorization": token} if token else {}
    frames = sorted(
        [(f.pts_ns, "video", f) for f in clip.video] + [(f.pts_ns, "audio", f) for f in clip.audio],
        key=lambda entry: entry[0],
    )
    counts = {"video": 0, "audio": 0}
    with (
        tempfile.TemporaryDirectory() as folder,
        av.open(url, "w", format="whip", options=options | _certificate(Path(folder))) as output,
    ):
        streams = {
            "video": output.add_mux_stream("h264", rate=clip.spec.fps, width=clip.spec.width, height=clip.spec.height),
            "audio": output.add_stream("libopus", rate=48_000, layout="stereo"),
        }
        start, latest, number = 0, 0, 0
        wall_start_ns = 0
        while True:
            rounds, index = divmod(number, len(frames))
            number += 1
            pts_ns, kind, frame = frames[index]
            media_ns = pts_ns + rounds * clip.duration_ns
            if media_ns >= seconds * 1e9 or (rounds and not loop):
                break
            wait = start + media_ns - time.monotonic_ns()
            if start and wait > 0:
                time.sleep(wait / 1e9)
            packet = av.Packet(frame.data)
            packet.stream, packet.time_base = streams[kind], _NS
            packet.pts = packet.dts = media_ns
            packet.is_keyframe = frame.key
            output.mux(packet)
            counts[kind] += 1
            if not start:
                # The first packet opens the connection, and that takes its time.
                start, wall_start_ns = time.monotonic_ns() - media_ns, time.time_ns() - media_ns
            latest = max(latest, time.monotonic_ns() - start - media_ns)
        time.sleep(_LINGER_S)
    return {**counts, "wall_start_ns": wall_start_ns, "latest_ms": latest / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="FFmpeg's own log on stderr")
    options = parser.parse_args()
    if options.verbose:
        av.logging.set_level(av.logging.VERBOSE)
    clip = Clip.load(options.clip)
    print(json.dumps(send(clip, options.url, options.token, options.seconds, loop=options.loop)))


if __name__ == "__main__":
    main()
