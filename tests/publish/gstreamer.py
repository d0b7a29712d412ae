"""Publishes a clip file over WHIP with GStreamer's webrtcbin, stored frames at exact times. Makes no clip.

`publish` starts it as a process of the system's Python, which has GStreamer's bindings; this file is also
that process's script and needs nothing but the standard library and `gi` there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
_LEAD_NS = 50_000_000
_LINGER_S = 0.5
# How each codec goes from stored frames into RTP.
_VIDEO = {
    "h264": (
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "h264parse ! rtph264pay aggregate-mode=zero-latency config-interval=0",
        "H264",
        "packetization-mode=(string)1,",
    ),
    "h265": (
        "video/x-h265,stream-format=byte-stream,alignment=au",
        "h265parse ! rtph265pay config-interval=0",
        "H265",
        "",
    ),
    "vp8": ("video/x-vp8", "rtpvp8pay picture-id-mode=2", "VP8", ""),
    "vp9": ("video/x-vp9", "rtpvp9pay picture-id-mode=2", "VP9", ""),
}


async def publish(
    url: str, token: str | None, clip: Path, seconds: float, *, loop: bool = False, own_reports: bool = False
) -> dict[str, Any]:
    """Publish a clip file (`Clip.save`) for `seconds` and return {"video": frames, "audio": frames, …}.

    `own_reports` leaves the sender reports as GStreamer makes them unasked: in 1.22.0 they are wrong, their RTP
    times run at twice the media's speed, which a receiver has to notice.

    Raises RuntimeError with what the process said when it failed.
    """
    command = [SYSTEM_PYTHON, str(Path(__file__)), "--url", url, "--clip", str(clip), "--seconds", str(seconds)]
    command += ["--loop"] * loop + ["--own-reports"] * own_reports + (["--token", token] if token else [])
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds + 40)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the GStreamer publisher ended with {process.returncode}: {err.decode()[-3000:]}")
    result: dict[str, Any] = json.loads(out)
    return result


def _pipeline(codec: str) -> str:
    if codec not in _VIDEO:
        raise SystemExit(f"GStreamer's publisher here sends {', '.join(_VIDEO)}, not {codec}")
    caps, pay, name, more = _VIDEO[codec]
    return f"""
        webrtcbin name=webrtc bundle-policy=max-bundle latency=0
        appsrc name=video is-live=true format=time caps="{caps}" ! {pay} pt=102 mtu=1200 !
            application/x-rtp,media=video,encoding-name={name},payload=102,clock-rate=90000,{more}
            rtcp-fb-nack=(boolean)true,rtcp-fb-nack-pli=(boolean)true ! queue max-size-time=0 ! webrtc.
        appsrc name=audio is-live=true format=time caps="audio/x-opus,channel-mapping-family=0,channels=1,rate=48000"
            ! rtpopuspay pt=111 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,
            encoding-params=(string)2 ! queue max-size-time=0 ! webrtc.
    """


class _Publisher:
    def __init__(self, clip: Any, url: str, token: str | None, *, own_reports: bool) -> None:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstWebRTC", "1.0")
        gi.require_version("GstSdp", "1.0")
        from gi.repository import GLib, Gst, GstSdp, GstWebRTC

        self.Gst, self.GstSdp, self.GstWebRTC = Gst, GstSdp, GstWebRTC
        Gst.init(None)
        self.clip, self.url, self.token = clip, url, token
        self.pipeline = Gst.parse_launch(_pipeline(clip.spec.codec))
        self.webrtc = self.pipeline.get_by_name("webrtc")
        # Reports by the buffers' times, not by the moment of sending, which GStreamer 1.22.0 moreover gets
        # wrong: it takes "no running time" for a time, and its reports then run at twice the media's speed.
        if not own_reports:
            self.webrtc.get_by_name("rtpbin").set_property("rtcp-sync-send-time", False)
        self.loop = GLib.MainLoop()
        self.changed = threading.Condition()
        threading.Thread(target=self.loop.run, daemon=True).start()

    def _wait(self, what: str, check: Any, timeout_s: float = 15.0) -> None:
        bus = self.pipeline.get_bus()
        deadline = time.monotonic() + timeout_s
        while not check():
            message = bus.timed_pop_filtered(10 * self.Gst.MSECOND, self.Gst.MessageType.ERROR)
            if message:
                raise RuntimeError(f"GStreamer: {message.parse_error()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what} within {timeout_s} s")

    def _promise(self, signal: str, *arguments: Any) -> Any:
        promise = self.Gst.Promise.new()
        self.webrtc.emit(signal, *arguments, promise)
        promise.wait()
        return promise.get_reply()

    def connect(self) -> Any:
        """Offer, answer, ICE and DTLS; returns the WHIP session."""
        from reelroom.demo import whip

        # Kept: webrtcbin hands out its only reference, and dies with the agent when Python drops it.
        self.ice = self.webrtc.get_property("ice-agent")
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        # A moment of two frames, so that webrtcbin's sink pads have caps to offer.
        self.pipeline.set_state(self.Gst.State.PLAYING)
        for index in range(2):
            transceiver = self.webrtc.emit("get-transceiver", index)
            transceiver.set_property("direction", self.GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
            transceiver.set_property("do-nack", True)
        reply = self._promise("create-offer", None)
        offer = reply.get_value("offer")
        self._promise("set-local-description", offer)
        complete = self.GstWebRTC.WebRTCICEGatheringState.COMPLETE
        self._wait("ICE candidates", lambda: self.webrtc.get_property("ice-gathering-state") == complete)
        # The payloader learns the profile from the first frame only, and then insists on its own spelling of it.
        sdp = self.webrtc.get_property("local-description").sdp.as_text()
        sdp = sdp.replace("packetization-mode=1", "packetization-mode=1;profile-level-id=42e01f")
        session = whip.publish(self.url, self.token, sdp)
        _, message = self.GstSdp.SDPMessage.new_from_text(session.answer)
        answer = self.GstWebRTC.WebRTCSessionDescription.new(self.GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._promise("set-remote-description", answer)
        connected = self.GstWebRTC.WebRTCPeerConnectionState.CONNECTED
        try:
            self._wait("connection", lambda: self.webrtc.get_property("connection-state") == connected)
        except BaseException:
            session.delete()
            raise
        return session

    def send(self, seconds: float, *, loop: bool) -> dict[str, Any]:
        """Push every frame of the next `seconds` at its time, each with that time as its running time."""
        Gst = self.Gst
        clock, base = self.pipeline.get_clock(), self.pipeline.get_base_time()
        sources = {kind: self.pipeline.get_by_name(kind) for kind in ("video", "audio")}
        frames = sorted(
            [(f.pts_ns, "video", f) for f in self.clip.video] + [(f.pts_ns, "audio", f) for f in self.clip.audio],
            key=lambda entry: entry[0],
        )
        length = {"video": 1_000_000_000 // self.clip.spec.fps, "audio": 20_000_000}
        counts = {"video": 0, "audio": 0}
        start = clock.get_time() - base + _LEAD_NS
        wall_start_ns = time.time_ns() + _LEAD_NS
        number, latest = 0, 0
        while True:
            rounds, index = divmod(number, len(frames))
            number += 1
            pts_ns, kind, frame = frames[index]
            media_ns = pts_ns + rounds * self.clip.duration_ns
            if media_ns >= seconds * 1e9 or (rounds and not loop):
                break
            wait = start + media_ns - (clock.get_time() - base)
            if wait > 0:
                time.sleep(wait / 1e9)
            latest = max(latest, clock.get_time() - base - start - media_ns)
            buffer = Gst.Buffer.new_wrapped(frame.data)
            buffer.pts = buffer.dts = start + media_ns
            buffer.duration = length[kind]
            if not frame.key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            result = sources[kind].emit("push-buffer", buffer)
            if result != Gst.FlowReturn.OK:
                raise RuntimeError(f"GStreamer took a {kind} frame with {result}")
            counts[kind] += 1
        time.sleep(_LINGER_S)
        return {**counts, "wall_start_ns": wall_start_ns, "latest_ms": latest / 1e6}

    def close(self) -> None:
        self.pipeline.set_state(self.Gst.State.NULL)
        self.loop.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--own-reports", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from reelroom.demo.clipfile import Clip

    publisher = _Publisher(Clip.load(options.clip), options.url, options.token, own_reports=options.own_reports)
    try:
        session = publisher.connect()
        try:
            counts = publisher.send(options.seconds, loop=options.loop)
        finally:
            session.delete()
    finally:
        publisher.close()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
