"""A GStreamer recorder to be compared with: webrtcbin to MP4 pieces without transcoding, many in one process.

A script for the system's Python, which has GStreamer's bindings. It answers WHIP by itself; prints
{"event": "listening", "url": …}, and at the end its result. It is no part of the server.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from benchmarks.peers.measure import Usage, say, wait_for_end  # noqa: E402

_SECOND = 1_000_000_000
_PIPELINE = """
    webrtcbin name=webrtc bundle-policy=max-bundle
    splitmuxsink name=mux muxer-factory=mp4mux max-size-time={segment} location={location}
    rtph264depay name=video ! h264parse ! queue ! mux.video
    rtpopusdepay name=audio ! opusparse ! queue ! mux.audio_0
"""


class Participant:
    """One participant's pipeline."""

    def __init__(self, name: str, folder: Path, segment_s: float) -> None:
        location = folder / f"{name}-%05d.mp4"
        self.pipeline = Gst.parse_launch(_PIPELINE.format(segment=int(segment_s * _SECOND), location=location))
        self.webrtc = self.pipeline.get_by_name("webrtc")
        self.webrtc.connect("pad-added", self._on_pad)
        self.webrtc.connect("on-new-transceiver", lambda _, t: t.set_property("do-nack", True))
        # Kept: webrtcbin hands out its only reference, and dies with the agent when Python drops it.
        self.ice = self.webrtc.get_property("ice-agent")
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        self.gathered = threading.Event()
        self.webrtc.connect("notify::ice-gathering-state", self._on_gathering)

    def _on_gathering(self, element: Any, _: Any) -> None:
        if element.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.gathered.set()

    def _on_pad(self, _: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        pad.link(self.pipeline.get_by_name(kind).get_static_pad("sink"))

    def _promise(self, signal_name: str, *arguments: Any) -> Any:
        promise = Gst.Promise.new()
        self.webrtc.emit(signal_name, *arguments, promise)
        promise.wait()
        return promise.get_reply()

    def answer(self, offer: str) -> str:
        self.pipeline.set_state(Gst.State.PLAYING)
        _, message = GstSdp.SDPMessage.new_from_text(offer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.OFFER, message)
        self._promise("set-remote-description", description)
        reply = self._promise("create-answer", None)
        self._promise("set-local-description", reply.get_value("answer"))
        if not self.gathered.wait(10):
            raise TimeoutError("GStreamer gathered no ICE candidates in 10 s")
        text: str = self.webrtc.get_property("local-description").sdp.as_text()
        return text

    def finish(self) -> None:
        """Let the muxer finish its last piece, then end."""
        for kind in ("video", "audio"):
            self.pipeline.get_by_name(kind).get_static_pad("sink").send_event(Gst.Event.new_eos())
        bus = self.pipeline.get_bus()
        bus.timed_pop_filtered(5 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        self.pipeline.set_state(Gst.State.NULL)


class Recorder:
    """All participants, and the WHIP server that lets them in."""

    def __init__(self, folder: Path, segment_s: float) -> None:
        self.folder, self.segment_s = folder, segment_s
        self.usage = Usage()
        self.participants: dict[str, Participant] = {}
        self.lock = threading.Lock()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with recorder.lock:
                    name = f"p{len(recorder.participants):03}"
                    recorder.usage.arrived(name)
                    participant = Participant(name, recorder.folder, recorder.segment_s)
                    recorder.participants[name] = participant
                    answer = participant.answer(offer).encode()
                self.send_response(201)
                self.send_header("Location", f"/session/{name}")
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_DELETE(self) -> None:
                # Everybody is finished at the end, so that closing files is in nobody's figures.
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="an existing folder for the files")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="end by itself; else at SIGTERM")
    parser.add_argument("--segment", type=float, default=4.0, help="seconds per piece")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    Gst.init(None)
    loop = GLib.MainLoop()
    threading.Thread(target=loop.run, daemon=True).start()
    recorder = Recorder(options.folder, options.segment)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), recorder.handler())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say({"event": "listening", "url": f"http://127.0.0.1:{server.server_address[1]}/whip/bench"})
    wait_for_end(options.seconds)
    result = recorder.usage.stop()
    finishing = [threading.Thread(target=p.finish) for p in recorder.participants.values()]
    for thread in finishing:
        thread.start()
    for thread in finishing:
        thread.join()
    say({"event": "result", **result, "frames_written": recorder.usage.count(options.folder)})


if __name__ == "__main__":
    main()
