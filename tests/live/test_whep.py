"""Watching a participant live by WHEP, and what PATCH does to a session that is up."""

import asyncio

import httpx
import pytest

from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server


async def test_a_page_can_watch_a_participant(server: Server) -> None:
    need("aiortc")
    from aiortc import RTCPeerConnection, RTCSessionDescription

    clip = make_clip(8, size=(320, 180), video_kbps=300, gop=30)
    ann = AiortcPublisher(f"{server.url}/whip/show", server.token("show", "ann"), clip, loop=True)
    await ann.start()
    await ann.run(1)
    viewer = RTCPeerConnection()
    token = server.token("show", "eve", permissions=["watch"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    try:
        tracks: dict[str, object] = {}
        viewer.on("track", lambda track: tracks.setdefault(track.kind, track))
        for kind in ("audio", "video"):
            viewer.addTransceiver(kind, direction="recvonly")
        await viewer.setLocalDescription(await viewer.createOffer())
        async with httpx.AsyncClient(base_url=server.url, timeout=10, trust_env=False) as http:
            nobody = await http.post("/whep/show/bob", content=viewer.localDescription.sdp, headers=headers)
            assert nobody.status_code == 404, nobody.text
            answer = await http.post("/whep/show/ann", content=viewer.localDescription.sdp, headers=headers)
            assert answer.status_code == 201, answer.text
            assert answer.headers["content-type"] == "application/sdp"
            await viewer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            session = answer.headers["location"]
            assert session.startswith("/whep/show/ann/")
            async with asyncio.timeout(15):
                for kind in ("audio", "video"):
                    frame = await tracks[kind].recv()  # type: ignore[attr-defined]
                    assert frame.pts is not None
            fragment = headers | {"Content-Type": "application/trickle-ice-sdpfrag"}
            stale = await http.patch(session, content="a=end-of-candidates\r\n", headers=fragment | {"If-Match": '"x"'})
            assert stale.status_code == 412, stale.text
            trickle = (
                "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
                "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
            )
            lines = viewer.localDescription.sdp.splitlines()
            ufrag = next(line.partition(":")[2] for line in lines if line.startswith("a=ice-ufrag:"))
            pwd = next(line.partition(":")[2] for line in lines if line.startswith("a=ice-pwd:"))
            good = await http.patch(
                session,
                content=trickle.format(ufrag=ufrag, pwd=pwd),
                headers=fragment | {"If-Match": answer.headers["etag"]},
            )
            assert good.status_code == 204, good.text
            restart = await http.patch(
                session,
                content=trickle.format(ufrag="newu", pwd="x" * 24),
                headers=fragment | {"If-Match": "*"},
            )
            assert restart.status_code == 200, restart.text
            assert restart.headers["content-type"] == "application/trickle-ice-sdpfrag"
            assert restart.headers["etag"] != answer.headers["etag"]
            assert "a=ice-ufrag:" in restart.text
            assert (await http.delete(session, headers=headers)).status_code == 200
            assert (await http.delete(session, headers=headers)).status_code == 404
    finally:
        await viewer.close()
        await ann.close()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_browser_shows_and_plays_a_participant(codec: str, server: Server) -> None:
    need("aiortc", "chromium", "playwright")
    clip = make_clip(4, size=(320, 180), video_kbps=300, gop=30, codec=codec)
    room = f"seen-{codec}"
    ann = AiortcPublisher(f"{server.url}/whip/{room}", server.token(room, "ann"), clip, loop=True)
    async with Chromium() as browser:
        await ann.start()
        speaking = asyncio.create_task(ann.run(60))
        try:
            await asyncio.sleep(0.5)
            token = server.token(room, "eve", permissions=["watch"])
            seen = await browser.watch(f"{server.url}/whep/{room}/ann", token, 2)
        finally:
            speaking.cancel()
            await ann.close()
    assert seen["status"] == 200
    assert (seen["width"], seen["height"]) == (320, 180)
    assert seen["video"]["frames"] > 30
    assert seen["audio"]["samples"] > 48_000
    assert seen["audio"]["energy"] > 0, "its tone is heard"
