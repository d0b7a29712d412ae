"""What GStreamer's payloaders make, depacketized: an independent reading of the RFCs. No network."""

from __future__ import annotations

import subprocess

import pytest

from reelroom.rtc.depacketize import make_depacketizer
from tests.depacketize_clips import decoded
from tests.needs import need

X264 = "x264enc tune=zerolatency key-int-max=6 option-string=scenecut=0 ! rtph264pay mtu=600"
X265 = "x265enc tune=zerolatency key-int-max=6 option-string=scenecut=0 ! rtph265pay mtu=600"
VPX = "deadline=1 lag-in-frames=0 dropframe-threshold=0 target-bitrate=4000000 keyframe-max-dist=6"
PIPELINES = {
    "h264": [f"{X264} config-interval=-1", f"{X264} aggregate-mode=zero-latency"],
    "h265": [f"{X265} config-interval=-1"],
    "vp8": [
        f"vp8enc {VPX} ! rtpvp8pay mtu=600",
        f"vp8enc {VPX} token-partitions=2 ! rtpvp8pay mtu=600 picture-id-mode=2",
    ],
    "vp9": [f"vp9enc {VPX} ! rtpvp9pay mtu=600 picture-id-mode=2"],
}


@pytest.mark.parametrize(("codec", "pipeline"), [(codec, line) for codec in PIPELINES for line in PIPELINES[codec]])
def test_what_gstreamer_makes_comes_back(codec: str, pipeline: str) -> None:
    need("gstreamer", "gst-launch-1.0")
    source = "videotestsrc pattern=snow num-buffers=12 ! video/x-raw,format=I420,width=320,height=180,framerate=30/1"
    line = f"gst-launch-1.0 -q {source} ! {pipeline} ! rtpstreampay ! fdsink fd=1"
    output = subprocess.run(line.split(), capture_output=True, check=True, timeout=30).stdout
    depacketizer = make_depacketizer(codec, {})
    frames, keys = [], []
    at = 0
    while at < len(output):  # RFC 4571: each packet behind its length in 16 bits
        end = at + 2 + int.from_bytes(output[at : at + 2], "big")
        packet = output[at + 2 : end]
        at = end
        assert packet[0] == 0x80
        frame = depacketizer.push(packet[12:], bool(packet[1] & 0x80))
        if frame is not None:
            frames.append(frame)
            keys.append(depacketizer.keyframe)
    assert (len(frames), depacketizer.malformed) == (12, 0)
    assert keys == [number % 6 == 0 for number in range(12)]
    assert (depacketizer.width, depacketizer.height) == (320, 180)
    assert len(decoded(codec, frames)) == 12
