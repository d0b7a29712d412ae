"""A phone that is turned in a call and only tells so (CVO): upright before and after, in the mix and in its files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiortc.codecs
import av
import numpy as np
import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters

from reelroom.demo.clip import make_clip
from reelroom.demo.clipfile import Clip, EncodedFrame
from reelroom.demo.publisher import AiortcPublisher
from reelroom.domain.layout import Pane
from reelroom.rtc import rtp
from tests.judge import Verdict, ffprobe_json, judge
from tests.live.calls import call
from tests.live.mixed import end_mixed, panes, start_mixed, whole
from tests.servers import Server, running

LANDSCAPE, PORTRAIT = (320, 180), (180, 320)
TURNED_S = 4  # when the phone is turned: a key frame of the clips
PARTICIPANT = 5
EXTENSION = 9  # in the offer


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(environment={"REELROOM_VIDEO_ORIENTATION": "true"}) as started:
        yield started


def phone(seconds: int) -> Clip:
    """What a phone's camera gives: always a landscape; from TURNED_S on the upright scene lies in it on its side."""
    flat = make_clip(seconds, size=LANDSCAPE, video_kbps=400, participant=PARTICIPANT, gop=30)
    tall = make_clip(seconds, size=PORTRAIT, video_kbps=400, participant=PARTICIPANT, gop=30)
    decoder = av.CodecContext.create("h264", "r")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *LANDSCAPE, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 30), Fraction(30), 600_000
    encoder.gop_size, encoder.max_b_frames = 30, 0
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": "scenecut=0:keyint=30:min-keyint=30:repeat-headers=1:annexb=1",
    }
    lying: list[tuple[bool, bytes]] = []
    pictures = [picture for frame in tall.video for picture in decoder.decode(av.Packet(frame.data))]
    pictures += decoder.decode(None)
    for index, picture in enumerate(pictures):
        planes = np.split(picture.to_ndarray().reshape(-1), [180 * 320, 180 * 320 * 5 // 4])
        sides = [(320, 180), (160, 90), (160, 90)]
        turned = [np.rot90(plane.reshape(side)).reshape(-1) for plane, side in zip(planes, sides, strict=True)]
        frame = av.VideoFrame.from_ndarray(np.concatenate(turned).reshape(-1, 320), format="yuv420p")
        frame.pts, frame.time_base = index, encoder.time_base
        lying += [(packet.is_keyframe, bytes(packet)) for packet in encoder.encode(frame)]
    lying += [(packet.is_keyframe, bytes(packet)) for packet in encoder.encode(None)]
    video = [
        old if old.pts_ns < TURNED_S * 10**9 else EncodedFrame(old.pts_ns, data, key)
        for old, (key, data) in zip(flat.video, lying, strict=True)
    ]
    return replace(flat, video=video)


class Phone(AiortcPublisher):
    """Tells with the last packet of each picture how it is turned."""

    async def start(self, *, timeout_s: float = 15.0) -> None:
        await super().start(timeout_s=timeout_s)
        assert self._pc is not None
        (sender,) = [one for one in self._pc.getSenders() if one.kind == "video"]
        transport: Any = sender.transport
        send, track = transport._send_rtp, self._tracks["video"]

        async def told(packet: bytes) -> None:
            header = rtp.parse_header(packet)
            if header is not None and header.marker and header.ssrc == sender._ssrc:
                turn = 1 if (track.last_ns or 0) >= TURNED_S * 10**9 else 0
                found = rtp.parse_extensions(packet, header.extension_at) if header.extension_at else {}
                found[EXTENSION] = bytes([turn])
                block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in found.items())
                block += bytes(-len(block) % 4)
                head = bytes([packet[0] | 0x10]) + packet[1:12]
                profile = b"\xbe\xde" + (len(block) // 4).to_bytes(2)
                packet = head + profile + block + packet[header.payload_start :]
            await send(packet)

        transport._send_rtp = told


def seen(path: Path, rect: tuple[float, float, float, float] | None) -> Verdict:
    """What a person would see: judged after the file's matrix was applied."""
    return judge(path, participant=PARTICIPANT, rect=rect)


async def test_a_phone_turned_in_mid_call_is_upright_before_and_after(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = RTCRtpHeaderExtensionParameters(id=EXTENSION, uri=rtp.VIDEO_ORIENTATION)
    known = aiortc.codecs.HEADER_EXTENSIONS
    monkeypatch.setitem(known, "video", [*known["video"], extension])
    with call(server, tmp_path) as people:
        clip = await asyncio.to_thread(phone, 12)
        token = server.token(people.room, "ann")
        ann = Phone(f"{server.url}/whip/{people.room}", token, clip)
        await people.speak(ann, 12)
        recording = start_mixed(people, mix={"individual": True})
        await asyncio.sleep(9)
        _, files = await end_mixed(people, recording, tmp_path)
    told = {path.name: rotation(path) for path in files["mp4"]}
    (mixed,) = [path for path in files["mp4"] if size(path) == (640, 360)]
    own = sorted(path for path in files["mp4"] if path != mixed)
    pane: Pane = panes(["ann"])["ann"]
    flat, tall = seen(mixed, whole(pane)), seen(mixed, whole(pane, PORTRAIT))
    early = {one.frame for one in flat.shown if one.frame < TURNED_S * 30}
    late = {one.frame for one in tall.shown if one.frame >= TURNED_S * 30}
    assert len(early) > 60 and len(late) > 80, (len(early), len(late))
    assert not {one.frame for one in flat.shown if one.frame >= TURNED_S * 30}
    assert [rotation(path) for path in own] == [0, 90], told
    assert [size(path) for path in own] == [LANDSCAPE, LANDSCAPE]


def rotation(path: Path) -> int:
    """Degrees clockwise by which ffprobe says that pictures are turned."""
    (stream,) = [one for one in streams(path) if one["codec_type"] == "video"]
    return next((-side["rotation"] % 360 for side in stream.get("side_data_list", []) if "rotation" in side), 0)


def size(path: Path) -> tuple[int, int]:
    return next((one["width"], one["height"]) for one in streams(path) if one["codec_type"] == "video")


def streams(path: Path) -> list[dict[str, Any]]:
    return ffprobe_json(path, "-show_streams")["streams"]  # type: ignore[return-value]
