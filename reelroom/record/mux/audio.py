"""Sound from one codec to another along the timeline, over segments. Writes no container."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from reelroom.record.mux.entries import audio_specific_config
from reelroom.record.mux.lengths import scale
from reelroom.record.mux.model import AUDIO_SCALE, Fill, MuxError, Sample, TrackConfig, audio_ticks

#: A packet that comes this much later than the sound so far ends is preceded by a hole, not by drift.
HOLE_TICKS = AUDIO_SCALE * 12 // 1000
#: Drift beyond this is taken back by one sample a packet, which nobody hears.
DRIFT_TICKS = AUDIO_SCALE * 2 // 1000
#: Holes up to this long are filled with silence even where longer ones are left.
SMALL_HOLE_TICKS = AUDIO_SCALE // 2

_ENCODERS = {
    "aac": ("aac", "fltp", 1024),
    "opus": ("libopus", "flt", 960),
    "mp3": ("libmp3lame", "fltp", 1152),
}
_DECODERS = {"opus": "libopus", "aac": "aac", "mp3": "mp3float", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}
_OPUS_MOST = 256_000  # bit/s a channel: libopus takes no more
_BASE = Fraction(1, AUDIO_SCALE)
_NEVER = -(1 << 62)


class EncodedSound(NamedTuple):
    """One encoded packet: when its decoded sound is heard and how long, in 48 kHz ticks."""

    tick: int
    length: int
    data: bytes


class AudioEncoder:
    """Decodes, lays the sound on the timeline at 48 kHz, encodes to `target` ("aac", "opus" or "mp3").

    Packet times are those of the sound they decode to: the encoder's own delay is accounted for.
    """

    def __init__(self, target: str, channels: int, bitrate: int) -> None:
        name, self._format, self._frame = _ENCODERS[target]
        self.channels = 2 if channels > 1 else 1
        self.damaged = 0
        self._layout = "stereo" if self.channels == 2 else "mono"
        self._bitrate = bitrate
        self.target = target
        context = av.CodecContext.create(name, "w")
        if not isinstance(context, AudioCodecContext):
            raise MuxError(f"FFmpeg's {name} is no audio encoder")
        context.sample_rate = AUDIO_SCALE
        context.layout = self._layout
        context.format = self._format
        context.bit_rate = min(bitrate, _OPUS_MOST * self.channels) if target == "opus" else bitrate
        context.time_base = _BASE
        if target == "aac" and self.channels == 1:
            context.options = {"aac_coder": "fast"}  # half the time of "twoloop"; with two channels it is not
        elif target == "mp3":
            context.options = {"reservoir": "0"}  # each frame stands for itself: silence can go in between
        self._encoder = context
        self._decoder: AudioCodecContext | None = None
        self._resampler: av.AudioResampler | None = None
        self._source = TrackConfig("")
        self._pending: list[np.ndarray] = []
        self._pending_ticks = 0
        self._position = -1  # of the next sample to be laid down; -1: nothing yet
        self._out: list[EncodedSound] = []
        self._recent: deque[tuple[int, np.ndarray]] = deque(maxlen=4)  # frames the encoder may still hold
        self.given = _NEVER  # time of the last packet that was given; packets up to it are dropped

    @property
    def extradata(self) -> bytes:
        """The encoder's own header, such as OpusHead; empty before the first packet."""
        return self._encoder.extradata or b""

    def to_stereo(self) -> AudioEncoder:
        """A stereo encoder that goes on where this one is: no sound lost, none twice. Take the packets first."""
        other = AudioEncoder(self.target, 2, self._bitrate)
        other.given = self.given
        for tick, sound in self._recent:
            other._encode(tick, np.repeat(sound, 2, axis=0))
        other._pending = [np.repeat(sound, 2, axis=0) for sound in self._pending]
        other._pending_ticks, other._position = self._pending_ticks, self._position
        return other

    def feed(self, source: TrackConfig, samples: Sequence[Sample], silences: Sequence[Fill] = ()) -> None:
        """Take packets in order. Holes that `silences` cover are filled; other long ones are left open."""
        if source != self._source or self._decoder is None:
            self._open(source)
        spans = [(audio_ticks(item.from_ns), audio_ticks(item.to_ns)) for item in silences]
        for sample in samples:
            sound = self._decode(bytes(sample.data))
            if sound is not None and sound.shape[1]:
                self._lay(audio_ticks(sample.media_ns), sound, spans)
        if spans and self._position >= 0:
            end = max(to for _, to in spans)
            if self._covered(spans, self._position, end) and end - self._position > HOLE_TICKS:
                self._append(np.zeros((self.channels, end - self._position), np.float32))

    def flush(self) -> None:
        """Encode what is left; the last packet is padded with silence. Nothing can be fed afterwards."""
        self._pad()
        self._collect(self._encoder.encode(None))

    def take(self, drop_before: int = 0) -> list[EncodedSound]:
        """The packets since the last call, without those that start before `drop_before` ticks (priming)."""
        out, self._out = self._out, []
        return [packet for packet in out if packet.tick >= drop_before]

    def _open(self, source: TrackConfig) -> None:
        name = _DECODERS.get(source.codec)
        if name is None:
            raise MuxError(f"audio codec must be one of {', '.join(_DECODERS)}, not {source.codec!r}")
        context = av.CodecContext.create(name, "r")
        if not isinstance(context, AudioCodecContext):
            raise MuxError(f"FFmpeg's {name} is no audio decoder")
        plain = source.codec in ("pcmu", "pcma")
        context.sample_rate = 8000 if plain else scale(source)
        context.layout = "mono" if plain else self._layout
        if source.codec == "aac":
            context.extradata = audio_specific_config(source.channels or self.channels, scale(source))
        self._decoder, self._source = context, source
        self._resampler = av.AudioResampler("fltp", self._layout, AUDIO_SCALE)

    def _decode(self, data: bytes) -> np.ndarray | None:
        if self._decoder is None or self._resampler is None:
            raise MuxError("no decoder is open")
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.error.FFmpegError:
            self.damaged += 1  # one broken packet must not end the recording: it leaves a hole
            return None
        parts: list[np.ndarray] = []
        for frame in frames:
            if frame.format.name == "s16" and frame.sample_rate == AUDIO_SCALE:
                channels = frame.layout.nb_channels
                parts.append(frame.to_ndarray().reshape(-1, channels).T.astype(np.float32) / 32768)
                continue
            frame.pts = None
            parts += [item.to_ndarray() for item in self._resampler.resample(frame)]
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    @staticmethod
    def _covered(spans: Sequence[tuple[int, int]], begin: int, end: int) -> bool:
        return any(a - HOLE_TICKS * 2 <= begin and end <= b + HOLE_TICKS * 2 for a, b in spans)

    def _lay(self, tick: int, sound: np.ndarray, spans: Sequence[tuple[int, int]]) -> None:
        if self._position < 0:
            if self.given > _NEVER:
                # In another encoder's place: on its grid of frames, so that packets neither overlap nor miss.
                skipped = (self.given - tick) % self._frame
                if skipped >= sound.shape[1]:
                    return
                sound, tick = sound[:, skipped:], tick + skipped
            self._position = tick
        drift = tick - self._position
        if drift > HOLE_TICKS:
            if drift <= SMALL_HOLE_TICKS or self._covered(spans, self._position, tick):
                self._append(np.zeros((self.channels, drift), np.float32))
            else:
                self._pad()
                self._position = max(tick, self._position)
        elif drift < -HOLE_TICKS:
            sound = sound[:, -drift:]  # the same stretch of time twice: what came first stays
        elif abs(drift) > DRIFT_TICKS and sound.shape[1] > 100:
            have = sound.shape[1]
            want = have + (1 if drift > 0 else -1)
            grid = np.linspace(0, have - 1, want)
            sound = np.stack([np.interp(grid, np.arange(have), row) for row in sound]).astype(np.float32)
        if sound.shape[1]:
            self._append(sound)

    def _append(self, sound: np.ndarray) -> None:
        self._pending.append(sound)
        self._pending_ticks += sound.shape[1]
        self._position += sound.shape[1]
        if self._pending_ticks < self._frame:
            return
        block = np.concatenate(self._pending, axis=1) if len(self._pending) > 1 else self._pending[0]
        start = self._position - self._pending_ticks
        whole = self._pending_ticks // self._frame * self._frame
        for at in range(0, whole, self._frame):
            self._encode(start + at, block[:, at : at + self._frame])
        rest = block[:, whole:]
        self._pending = [rest] if rest.shape[1] else []
        self._pending_ticks = rest.shape[1]

    def _pad(self) -> None:
        if self._pending_ticks:
            self._append(np.zeros((self.channels, self._frame - self._pending_ticks), np.float32))

    def _encode(self, tick: int, sound: np.ndarray) -> None:
        self._recent.append((tick, sound))
        if self._format == "flt":
            sound = sound.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), self._format, self._layout)
        frame.sample_rate = AUDIO_SCALE
        frame.time_base = _BASE
        frame.pts = tick
        self._collect(self._encoder.encode(frame))

    def _collect(self, packets: Sequence[av.Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts is None:
                raise MuxError("the audio encoder gave a packet without a time")
            if packet.pts > self.given:
                self.given = packet.pts
                self._out.append(EncodedSound(packet.pts, self._frame, bytes(packet)))
