"""PATCH of WHIP and WHEP sessions on a real server (RFC 9725, section 4.3): trickled candidates and ICE restarts."""

import asyncio
from pathlib import Path

import httpx

from tests.judge import judge
from tests.live.calls import call
from tests.needs import need
from tests.publish.chromium import Chromium
from tests.servers import Server

OFFER = (Path(__file__).parents[1] / "unit" / "offers" / "chromium.sdp").read_bytes()
FRAGMENT = "application/trickle-ice-sdpfrag"


def line(sdp: str, name: str) -> str:
    """The first attribute of that name."""
    return next(one for one in sdp.splitlines() if one.startswith(f"a={name}:")).partition(":")[2]


def test_candidates_trickle_and_ice_restarts(server: Server) -> None:
    bearer = {"Authorization": f"Bearer {server.token('patched', 'ann')}"}
    with httpx.Client(base_url=server.url, headers=bearer, trust_env=False, timeout=30) as client:
        made = client.post("/whip/patched", content=OFFER, headers={"Content-Type": "application/sdp"})
        assert made.status_code == 201, made.text
        assert made.headers["content-type"] == "application/sdp"
        assert made.headers["accept-patch"] == FRAGMENT
        session, etag = made.headers["location"], made.headers["etag"]
        assert session.startswith("/whip/patched/")

        def patch(content: str, match: str) -> httpx.Response:
            return client.patch(session, content=content, headers={"Content-Type": FRAGMENT, "If-Match": match})

        theirs = OFFER.decode()
        mine = f"a=ice-ufrag:{line(theirs, 'ice-ufrag')}\r\na=ice-pwd:{line(theirs, 'ice-pwd')}\r\n"
        candidate = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
        trickled = patch(mine + candidate + "a=end-of-candidates\r\n", etag)
        assert (trickled.status_code, trickled.content) == (204, b"")

        fresh = "a=ice-ufrag:anew\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
        restarted = patch(fresh, "*")
        assert (restarted.status_code, restarted.headers["content-type"]) == (200, FRAGMENT)
        assert restarted.headers["etag"] != etag
        assert "a=candidate:" in restarted.text
        for name in ("ice-ufrag", "ice-pwd"):
            assert line(restarted.text, name) != line(made.text, name)
        assert patch(mine + candidate, etag).status_code == 412  # of the session before
        assert patch(fresh + candidate, restarted.headers["etag"]).status_code == 204
        for wrong in ("nonsense", "a=ice-ufrag:x\r\na=ice-pwd:short\r\n", "a=ice-ufrag:" + "x" * 10_000):
            assert patch(wrong, "*").status_code in (400, 412), wrong[:40]

        assert client.delete(session).status_code == 200
        gone = [client.delete(session), patch(fresh, "*")]
        assert [answer.status_code for answer in gone] == [404, 404]


def test_what_a_token_says_of_the_track_binds(server: Server) -> None:
    headers = {"Content-Type": "application/sdp"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=30) as client:
        bearer = {"Authorization": f"Bearer {server.token('claimed', 'ann', source='screen')}"}
        for query, status in (("?source=camera", 403), ("?source=screen", 201), ("", 201), ("?source=window", 422)):
            answer = client.post("/whip/claimed" + query, content=OFFER, headers=bearer)
            assert answer.status_code == status, (query, answer.text)


async def test_a_browser_restarts_ice_and_nothing_is_missing(server: Server, tmp_path: Path) -> None:
    # Its sound is G.711, which nobody else publishes.
    need("chromium", "playwright")
    async with Chromium() as browser:
        await browser.start_clock()
        with call(server, tmp_path) as people:
            recording = people.start(formats=["mp4"])
            await browser.publish(f"{server.url}/whip/{people.room}", server.token(people.room, "ann"), audio="pcma")
            for _ in range(2):
                await asyncio.sleep(1)
                await browser.restart_ice()
            await asyncio.sleep(1)
            ended = await browser.unpublish()
            await people.stop(recording)
            timeline = people.timeline(recording)
            (path,) = people.fetch(recording, tmp_path)["mp4"]
    assert [person["identity"] for person in timeline["participants"]] == ["ann"], "one session throughout"
    (output,) = timeline["outputs"]
    assert output["gaps"] == []
    verdict = judge(path, fps=None)
    assert verdict.unreadable == verdict.disordered == 0
    assert (ended["audio"]["codec"], verdict.audio_codec) == ("audio/PCMA", "aac")
    assert verdict.beeps and not verdict.missing_beeps
    # Chromium throws away frames that wait in its pacer when it makes a key frame, and counts them as sent.
    sent = ended["video"]
    assert 0 <= sent["sent"] - verdict.frames <= 3 * sent["keyFrames"], verdict.summary()
