"""An aiortc recorder to be compared with: its MediaRecorder as it is shipped, which decodes and encodes again.

It answers WHIP by itself; prints {"event": "listening", "url": …}, and at the end its result. It is no part
of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

import aioice.ice
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.measure import Usage, say


def _also_loopback() -> None:
    """aioice leaves 127.0.0.1 out of its candidates; a machine may have no other address."""
    gather = aioice.ice.get_host_addresses

    def addresses(*, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1", *gather(use_ipv4=use_ipv4, use_ipv6=use_ipv6)]

    aioice.ice.get_host_addresses = addresses


class Recorder:
    """All participants, and the WHIP routes that let them in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.usage = Usage()
        self.running: list[tuple[RTCPeerConnection, MediaRecorder]] = []

    async def post(self, request: Request) -> Response:
        offer = (await request.body()).decode()
        name = f"p{len(self.running):03}"
        self.usage.arrived(name)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        recorder = MediaRecorder(str(self.folder / f"{name}-00000.mp4"))
        self.running.append((pc, recorder))
        pc.on("track", recorder.addTrack)
        await pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        await recorder.start()
        headers = {"Location": f"/session/{name}"}
        return Response(pc.localDescription.sdp, 201, headers, "application/sdp")

    async def delete(self, _: Request) -> Response:
        # Everybody is finished at the end, so that closing files is in nobody's figures.
        return Response(status_code=200)

    async def finish(self) -> None:
        for pc, recorder in self.running:
            await recorder.stop()
            await pc.close()


async def _serve(options: argparse.Namespace) -> dict[str, Any]:
    recorder = Recorder(options.folder)
    app = Starlette(
        routes=[
            Route("/whip/bench", recorder.post, methods=["POST"]),
            Route("/session/{name}", recorder.delete, methods=["DELETE"]),
        ]
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    config = uvicorn.Config(app, host="127.0.0.1", port=options.port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    say({"event": "listening", "url": f"http://127.0.0.1:{port}/whip/bench"})
    serving = asyncio.ensure_future(server.main_loop())
    try:
        await asyncio.wait_for(ended.wait(), options.seconds)
    except TimeoutError:
        pass
    result = recorder.usage.stop()
    server.should_exit = True
    await serving
    await recorder.finish()
    await server.shutdown()
    return {"event": "result", **result, "frames_written": recorder.usage.count(options.folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="an existing folder for the files")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="end by itself; else at SIGTERM")
    options = parser.parse_args()
    _also_loopback()
    say(asyncio.run(_serve(options)))


if __name__ == "__main__":
    main()
