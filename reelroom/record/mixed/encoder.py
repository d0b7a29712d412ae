"""Pictures of the mix to encoded frames as they come over the bus: one out for one in, key frames at fixed distances.

Draws nothing and keeps no time but ticks. Which encoder and which settings is in `codecs.py`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from reelroom.domain.mix import Mix
from reelroom.record.mixed.codecs import Choice, choose, open_encoder
from reelroom.scheduling import same_priority

_TEMPORAL_DELIMITER = b"\x12\x00"  # AV1's: no part of a stored frame


class EncodeError(RuntimeError):
    """The encoder gave something that cannot be recorded; the message says what."""


class Encoded(NamedTuple):
    """One frame, in the form that the depacketizers give: H.264 and H.265 as Annex B with parameter sets in front
    of key frames, VP9 frames or superframes, AV1 OBUs without temporal delimiters."""

    payload: bytes
    tick: int
    key: bool


class PictureEncoder:
    """Not thread-safe. `hardware`: what may be taken instead of a software encoder, in this order ("nvenc", "vaapi",
    "qsv"); `name` is the encoder that is used, and `why` says what kept the ones before it from being used. `hung`:
    those that did not come back before, see `choose`. `busy` tells other threads that the codec is at work."""

    def __init__(
        self, mix: Mix, hardware: tuple[str, ...] = (), preset: str = "", hung: frozenset[str] = frozenset()
    ) -> None:
        self.busy = False
        self._mix = mix
        self._choice: Choice = choose(mix, hardware, hung)
        presets = self._choice.presets
        if preset and preset not in presets:
            raise ValueError(f"{self._choice.name} has the presets {', '.join(presets)} here, not {preset!r}")
        self._wanted = presets.index(preset) if preset else 0
        self._used = self._wanted
        self._base = Fraction(1, mix.fps)
        self._gop = max(1, round(mix.gop_s * mix.fps))
        self._key_tick = 0  # of the last key frame
        self._context: VideoCodecContext | None = None

    @property
    def name(self) -> str:
        """FFmpeg's name of the encoder."""
        return self._choice.name

    @property
    def why(self) -> str:
        """Why hardware that is configured is not used; "" if it is, or none is configured."""
        return self._choice.why

    @property
    def preset(self) -> str:
        """The preset in use, "" of hardware."""
        return self._choice.presets[self._used]

    def slower(self) -> str:
        """Take one preset with more effort, from the next key frame on. Returns its name; "" if there is none."""
        return self._change(-1)

    def faster(self) -> str:
        """Take one preset with less effort, from the next key frame on. Returns its name; "" if there is none."""
        return self._change(1)

    def encode(self, frame: av.VideoFrame, tick: int, key: bool) -> list[Encoded]:
        """Encode a picture of the canvas's size; its memory may be drawn on again afterwards.

        `tick` is its number, rising; `key` asks for a key frame besides those every `gop_s`. What comes out may be
        of earlier ticks.
        """
        self.busy = True
        try:
            return self._encode(frame, tick, key)
        finally:
            self.busy = False

    def flush(self) -> list[Encoded]:
        """Everything that is still in the encoder. The next picture begins with a new one, and a key frame."""
        self.busy = True
        try:
            return self._flush()
        finally:
            self.busy = False

    def _encode(self, frame: av.VideoFrame, tick: int, key: bool) -> list[Encoded]:
        made: list[Encoded] = []
        key = key or self._context is None or tick - self._key_tick >= self._gop
        if key and self._used != self._wanted:
            made = self._flush()
        context = self._context
        if context is None:
            self._used = self._wanted
            context = self._context = open_encoder(self._mix, self._choice.name, self.preset, self._choice.alone)
            context.color_range, context.colorspace = frame.color_range, frame.colorspace
            context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
            if context.name == "libsvtav1":
                with same_priority():
                    context.open()
        if key:
            self._key_tick = tick
        frame.pts, frame.time_base = tick, self._base
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return made + self._encoded(context, frame)

    def _flush(self) -> list[Encoded]:
        context, self._context = self._context, None
        return self._encoded(context, None) if context is not None else []

    def _change(self, by: int) -> str:
        wanted = self._wanted + by
        if not 0 <= wanted < len(self._choice.presets):
            return ""
        self._wanted = wanted
        return self._choice.presets[wanted]

    @staticmethod
    def _encoded(context: VideoCodecContext, frame: av.VideoFrame | None) -> list[Encoded]:
        made: list[Encoded] = []
        for packet in context.encode(frame):
            if packet.pts is None:
                raise EncodeError(f"{context.name} gave a frame without a time")
            payload = bytes(packet)
            if context.name.startswith(("libsvtav1", "av1_")) and payload.startswith(_TEMPORAL_DELIMITER):
                payload = payload[len(_TEMPORAL_DELIMITER) :]
            made.append(Encoded(payload, packet.pts, packet.is_keyframe))
        return made
