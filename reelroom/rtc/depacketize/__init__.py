"""RTP payloads to whole encoded frames, one module a codec. Reordering, loss and time are others' concern."""

from __future__ import annotations

from collections.abc import Mapping

from reelroom.rtc.depacketize.av1 import Av1Depacketizer
from reelroom.rtc.depacketize.base import Depacketizer
from reelroom.rtc.depacketize.h264 import H264Depacketizer
from reelroom.rtc.depacketize.h265 import H265Depacketizer
from reelroom.rtc.depacketize.vp8 import Vp8Depacketizer
from reelroom.rtc.depacketize.vp9 import Vp9Depacketizer

__all__ = ["Depacketizer", "make_depacketizer"]


def make_depacketizer(codec: str, fmtp: Mapping[str, str]) -> Depacketizer:
    """A new depacketizer for a video codec, "h264" "h265" "vp8" "vp9" "av1" in any case.

    `fmtp` holds the SDP's format parameters, names in lower case. Raises ValueError for another codec (audio
    has no depacketizer: a packet is a frame), for broken parameters and for those that are not supported.
    """
    match codec.lower():
        case "h264":
            return H264Depacketizer(fmtp)
        case "h265":
            return H265Depacketizer(fmtp)
        case "vp8":
            return Vp8Depacketizer()
        case "vp9":
            return Vp9Depacketizer()
        case "av1":
            return Av1Depacketizer()
    raise ValueError(f"no depacketizer for codec {codec!r}: h264, h265, vp8, vp9, av1 have one")
