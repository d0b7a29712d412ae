"""Pictures from one codec to another, each at its own time, key frames where asked. Writes no container."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
import structlog
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from reelroom.record.mux.engine import EncoderHung, Engine
from reelroom.record.mux.model import VIDEO_SCALE, MuxError, Sample, video_ticks
from reelroom.scheduling import same_priority

log = structlog.get_logger()
_BASE = Fraction(1, VIDEO_SCALE)
_ATTEMPTS = 5  # on a machine that is busy with other things, one of seven starts of SVT-AV1 hangs
_DECODERS = {"h264": "h264", "h265": "hevc", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    # One picture in, one out: no B-frames and no lookahead, so that a segment ends where it ends.
    "h264": (
        "libx264",
        {"preset": "veryfast", "forced-idr": "1", "bf": "0", "g": "100000",
         "x264-params": "rc-lookahead=0:sync-lookahead=0:sliced-threads=0:force-cfr=1:scenecut=0:mbtree=0:log=-1"},
    ),
    "h265": ("libx265", {"preset": "ultrafast", "x265-params": "bframes=0:log-level=none:repeat-headers=1"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "1"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}  # fmt: skip


class EncoderLost(MuxError):
    """One encoder after the other hung."""


class VideoEncoder:
    """Encodes yuv420p pictures of one size. `encode` takes strictly increasing 90 kHz ticks.

    An encoder that does not come back is left behind, and another one begins with the first picture that has not come
    out. Each that was is told in `hung`, by its name.
    """

    def __init__(self, target: str, width: int, height: int, bitrate: int, hung: list[str]) -> None:
        if target not in _ENCODERS:
            raise MuxError(f"video can be encoded to {', '.join(_ENCODERS)}, not {target!r}")
        self.size = (width, height)
        self.hung = hung
        self._target = target
        self._bitrate = bitrate
        self._inside: list[av.VideoFrame] = []  # pictures that have not come out
        self._engine = self._open()

    def encode(self, picture: av.VideoFrame | None, tick: int = 0, key: bool = False) -> list[Sample]:
        """Encode one picture, or flush with None. Raises EncoderLost after `_ATTEMPTS` encoders that hung."""
        if picture is not None:
            picture.pts = tick
            picture.time_base = _BASE
            picture.pict_type = PictureType.I if key else PictureType.NONE
            self._inside.append(picture)
        todo = [picture]
        out: list[Sample] = []
        attempts = 0
        while todo:
            try:
                out += self._samples(self._engine.encode(todo[0]))
            except EncoderHung:
                attempts += 1
                name = _ENCODERS[self._target][0]
                self.hung.append(name)
                log.warning("encoder hung", encoder=name, size=self.size, attempt=attempts)
                self._engine = self._open()  # whose first picture is a key frame anyway
                if attempts == _ATTEMPTS:
                    self._inside.clear()
                    raise EncoderLost(f"the encoder {name} hung {attempts} times") from None
                todo = [*self._inside, *([] if picture is not None else [None])]
            else:
                del todo[0]
        return out

    def _open(self) -> Engine:
        name, options = _ENCODERS[self._target]
        context = av.CodecContext.create(name, "w")
        if not isinstance(context, VideoCodecContext):
            raise MuxError(f"FFmpeg's {name} is no video encoder")
        context.width, context.height = self.size
        context.pix_fmt = "yuv420p"
        context.time_base = _BASE
        context.framerate = Fraction(30)
        context.bit_rate = self._bitrate
        context.gop_size = 100_000
        context.max_b_frames = 0
        context.thread_count = 1
        context.options = dict(options)
        if name == "libsvtav1":
            with same_priority():
                context.open()
        return Engine(context)

    def _samples(self, packets: Sequence[av.Packet[Any]]) -> list[Sample]:
        out: list[Sample] = []
        for packet in packets:
            if packet.pts is None:
                raise MuxError("the video encoder gave a packet without a time")
            data = bytes(packet)
            if self._target == "av1" and data[:2] == b"\x12\x00":
                data = data[2:]  # the temporal delimiter is no part of a stored sample
            out.append(Sample(ticks_ns(packet.pts), packet.is_keyframe, data))
            self._inside = [picture for picture in self._inside if (picture.pts or 0) > packet.pts]
        return out


def turned(picture: av.VideoFrame, rotation: int) -> av.VideoFrame:
    """A yuv420p picture with even sides, turned clockwise by 90, 180 or 270 degrees; without its time."""
    width, height = picture.width, picture.height
    luma, *chroma = np.split(picture.to_ndarray().reshape(-1), [width * height, width * height * 5 // 4])
    planes = [luma.reshape(height, width), *(plane.reshape(height // 2, width // 2) for plane in chroma)]
    flat = np.concatenate([np.rot90(plane, -rotation // 90).reshape(-1) for plane in planes])
    shown = height if rotation % 180 else width
    return av.VideoFrame.from_ndarray(flat.reshape(-1, shown), format="yuv420p")


def ticks_ns(ticks: int) -> int:
    """The media time that `video_ticks` turns back into `ticks`."""
    return (ticks * 100_000 + 4) // 9


class VideoTranscoder:
    """Decodes whatever comes in and encodes it to `target`; opened anew when the size changes.

    `hung` is told of encoders that hung, see VideoEncoder.
    """

    def __init__(self, target: str, bitrate: int, hung: list[str]) -> None:
        self.target = target
        self.damaged = 0
        self._hung = hung
        self._bitrate = bitrate
        self._decoder: VideoCodecContext | None = None
        self._source = ""
        self._encoder: VideoEncoder | None = None
        self._last = -1

    def segment(self, source: str, samples: Sequence[Sample], rotation: int = 0) -> list[Sample]:
        """One segment's frames, in and out; the first that comes out is a key frame. Times stay.

        `rotation`: degrees clockwise, a multiple of 90, by which the pictures are turned.
        """
        if source != self._source:
            self._open(source)
        if self._decoder is None:
            raise MuxError("no decoder is open")
        out: list[Sample] = []
        for sample in samples:
            packet = av.Packet(bytes(sample.data))
            packet.pts = packet.dts = video_ticks(sample.media_ns)
            packet.time_base = _BASE
            try:
                pictures = self._decoder.decode(packet)
            except av.error.FFmpegError:
                self.damaged += 1  # one broken frame must not end the recording; the picture before it stays
                continue
            for picture in pictures:
                out += self._encode(picture, rotation, key=not out)
        return out

    def _open(self, source: str) -> None:
        name = _DECODERS.get(source)
        if name is None:
            raise MuxError(f"video codec must be one of {', '.join(_DECODERS)}, not {source!r}")
        context = av.CodecContext.create(name, "r")
        if not isinstance(context, VideoCodecContext):
            raise MuxError(f"FFmpeg's {name} is no video decoder")
        context.thread_count = 1
        context.flags |= Flags.low_delay
        if source == "av1":
            context.options = {"max_frame_delay": "1"}
        self._decoder, self._source = context, source

    def _encode(self, picture: av.VideoFrame, rotation: int, key: bool) -> list[Sample]:
        if picture.pts is None:
            raise MuxError("the video decoder gave a picture without a time")
        # yuv420p wants even sides; a screen share may have odd ones.
        size = (picture.width & ~1, picture.height & ~1)
        if picture.format.name != "yuv420p" or size != (picture.width, picture.height):
            tick = picture.pts
            picture = picture.reformat(width=size[0], height=size[1], format="yuv420p")
            picture.pts = tick
        if rotation:
            time = picture.pts
            picture = turned(picture, rotation)
            picture.pts = time
            size = (picture.width, picture.height)
        if self._encoder is None or self._encoder.size != size:
            self._encoder = VideoEncoder(self.target, *size, self._bitrate, self._hung)
            key = True
        tick = max(picture.pts or 0, self._last + 1)
        self._last = tick
        return self._encoder.encode(picture, tick, key)
