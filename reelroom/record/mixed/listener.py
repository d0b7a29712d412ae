"""One voice of the mix: its packets decoded and laid where they belong in room time. Sums and encodes nothing.

Times are ticks of 1/48000 s of room time. Sound is kept in *runs*: packets that follow each other without a hole. A
run knows the tick of its first sample; the sender's clock moves it, and reading follows by reading a little faster
or slower. Where a run begins and ends it is faded.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import NamedTuple

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from reelroom.domain.timeline import DTX_BYTES
from reelroom.record.mixed.resample import REACH, Sound, interpolate

RATE = 48_000  # ticks a second, and the rate of everything that is read
FADE = RATE * 5 // 1000
_BEFORE = RATE // 10  # packets that end this long before what is read are not decoded
_HISTORY = RATE * 6 // 10  # what was read is kept so long: a pause may be told late, and reading goes back
_QUEUE = 48_000  # packets
_LOOSE = RATE // 100  # packets may be this far from where the ones before end, and still follow them
_DEAD = RATE // 2000  # so far a run may be off before reading follows
_SLEW = (0.001, 0.005)  # by which part reading is faster or slower: when little is missing, when much
_CONCEALED = RATE * 60 // 1000  # holes up to this are filled by what the codec guesses
#: So far beyond what is read is decoded: whether a run goes on, maybe over a hole, must be known before its fade.
_AHEAD = _CONCEALED + _LOOSE + FADE
_SPEECH = 45  # -dBov; louder is speech
_SPEAKS = RATE // 20  # so much more speech than quiet, and somebody speaks
_PATIENCE = RATE // 5
_UNKNOWN = 255
_RAMP = (0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)).astype(np.float32)
_CODECS = {"opus": ("libopus", RATE), "pcmu": ("pcm_mulaw", 8000), "pcma": ("pcm_alaw", 8000)}


def to_ticks(room_ns: int) -> int:
    """Room time as ticks, to the nearest."""
    return (room_ns * 6 + 62_500) // 125_000


class _Packet(NamedTuple):
    tick: int
    room_ns: int
    payload: bytes
    level: int


class _Run:
    """Samples without a hole: sample u (of the source's rate) is heard at tick `start + moved + u * ratio`."""

    __slots__ = ("_base", "_data", "closed", "count", "end", "entered", "moved", "ratio", "slewing", "start", "target")

    def __init__(self, tick: int, ratio: int, channels: int) -> None:
        self.start = tick
        self.moved = 0.0  # by what it is read later than it began
        self.target = 0.0  # and by what its packets say that it should be
        self.count = 0
        self.ratio = ratio
        self.end = 0  # samples
        self.closed = False
        self.entered = False
        self.slewing = False
        self._base = 0  # sample that `_data` begins with
        self._data: Sound = np.zeros((channels, RATE // 5), np.float32)

    @property
    def channels(self) -> int:
        return len(self._data)

    @property
    def end_tick(self) -> float:
        return self.start + self.moved + self.end * self.ratio

    def error(self, tick: int) -> float:
        """By how many ticks a packet that belongs at `tick` is later than the ones before it end."""
        return tick - self.start - self.end * self.ratio - self.target

    def append(self, sound: Sound, read_tick: int) -> None:
        """Lay samples behind the last; what is long read may go."""
        size = sound.shape[1]
        at = self.end - self._base
        if at + size > self._data.shape[1]:
            drop = int((read_tick - _HISTORY - self.start - self.moved) / self.ratio) - self._base
            drop = max(0, min(drop, at))
            kept = self._data[:, drop:at]
            width = self._data.shape[1]
            while kept.shape[1] + size > width * 3 // 4:
                width *= 2
            data = np.zeros((self.channels, width), np.float32)
            data[:, : kept.shape[1]] = kept
            self._data, self._base, at = data, self._base + drop, at - drop
        self._data[:, at : at + size] = sound
        self.end += size

    def follow(self, error: float) -> None:
        """A packet belongs `error` ticks later than the ones before say."""
        self.count += 1
        self.target += error * max(0.05, 1 / (self.count + 1))

    def close(self, tick: float | None = None) -> None:
        """Fade out: nothing follows. `tick`: end there, if it is not over by then."""
        if tick is not None:
            end = max(0, int((tick - self.start - self.moved) / self.ratio))
            if end < self.end:
                self._data[:, max(0, end - self._base) :] = 0
                self.end, self.closed = end, False
        if self.closed:
            return
        self.closed = True
        fade = _RAMP[:: self.ratio]
        size = min(len(fade), self.end - self._base)
        if size > 0:
            at = self.end - self._base
            self._data[:, at - size : at] *= fade[:size][::-1]

    def read(self, tick: int, count: int) -> tuple[int, Sound] | None:
        """The sound of `count` ticks from `tick` on: (offset, samples); None: there is none."""
        if not self.entered:
            self._enter(tick, count)
        if self._aligned():
            begin = tick - self.start - int(self.moved)
            first, last = max(begin, self._base), min(begin + count, self.end)
            if first >= last:
                return None
            return first - begin, self._data[:, first - self._base : last - self._base]
        before, step = self.moved, self._slew(count)
        places = (tick - self.start - before + np.arange(count) * (1 - step / count)) / self.ratio
        if places[-1] < 0 or places[0] >= self.end:
            return None
        return 0, interpolate(self._around(places), places - (int(places[0] // 1) - REACH))

    def _around(self, places: NDArray[np.float64]) -> Sound:
        """The samples that `interpolate` wants for these places, silence where there are none."""
        first, last = int(places[0] // 1) - REACH, int(places[-1] // 1) + REACH + 1
        around = np.zeros((self.channels, last - first), np.float32)
        begin, end = max(first, self._base), min(last, self.end)
        if end > begin:
            around[:, begin - first : end - first] = self._data[:, begin - self._base : end - self._base]
        return around

    def _enter(self, tick: int, count: int) -> None:
        moved = round(self.target)  # nothing was heard yet that would have to be moved slowly
        begin = tick - self.start - moved
        if begin + count <= 0:
            return
        self.entered, self.moved = True, float(moved)
        at = max(0, begin) // self.ratio - self._base
        fade = _RAMP[:: self.ratio]
        size = min(len(fade), self._data.shape[1] - at)
        if at >= 0 and size > 0:
            self._data[:, at : at + size] *= fade[:size]

    def _aligned(self) -> bool:
        if not self.slewing and abs(self.target - self.moved) > _DEAD:
            self.slewing = True
        return not self.slewing and self.ratio == 1

    def _slew(self, count: int) -> float:
        """Move the run while `count` ticks are read; returns by how many. It comes to rest on a whole tick."""
        if not self.slewing:
            return 0.0
        error = round(self.target) - self.moved
        most = count * min(_SLEW[1], max(_SLEW[0], abs(error) / RATE))
        if abs(error) <= most:
            self.slewing = False
            self.moved = float(round(self.target))
            return error
        self.moved += math.copysign(most, error)
        return math.copysign(most, error)


class Listener:
    """One track. `put` may be called from another thread than the rest."""

    def __init__(self, codec: str, channels: int) -> None:
        if codec not in _CODECS:
            raise ValueError(f"sound is mixed from {', '.join(_CODECS)}, not {codec!r}")
        self._name, rate = _CODECS[codec]
        self._opus = codec == "opus"
        self._ratio = RATE // rate
        self._most = channels  # of the mix
        self._queue: deque[_Packet] = deque(maxlen=_QUEUE)
        self._decoder = self._open(1)
        self._channels = 1
        self._runs: list[_Run] = []
        self._last = b""  # payload that was decoded last
        self._length = 0  # ticks that it lasted
        self._speech = 0  # ticks of speech, less those of quiet
        self.spoke_ns = 0
        self.damaged = 0
        self._leaving = threading.Event()

    def put(self, room_ns: int, payload: bytes, level: int) -> None:
        """The packet whose first sample was spoken at `room_ns`; `level` is 0..127 -dBov, 255 when nobody said it."""
        self._queue.append(_Packet(to_ticks(room_ns), room_ns, payload, level))

    def leave(self) -> None:
        """Nothing more is heard from here but a fade."""
        self._leaving.set()

    @property
    def leaves(self) -> bool:
        return self._leaving.is_set()

    @property
    def gone(self) -> bool:
        return self._leaving.is_set() and not self._runs

    def read(self, tick: int, count: int) -> list[tuple[int, Sound]]:
        """The sound of `count` ticks from `tick` on, in pieces: (offset, samples of 1 or 2 channels)."""
        if self._leaving.is_set():
            self._queue.clear()
            for run in self._runs:
                run.close(tick + FADE)
        else:
            self._fill(tick, tick + count)
        pieces: list[tuple[int, Sound]] = []
        for run in self._runs:
            if run is self._runs[-1] and not run.closed and run.end_tick - FADE < tick + count:
                run.close()  # nothing follows yet: what comes later will be another run
            piece = run.read(tick, count)
            if piece is not None:
                pieces.append(piece)
        oldest = tick if self._leaving.is_set() else tick - _HISTORY
        if self._runs and self._runs[0].end_tick < oldest:
            self._runs = [run for run in self._runs if run.end_tick >= oldest]
        return pieces

    def _fill(self, tick: int, end: int) -> None:
        """Decode what is wanted until `end`, and enough behind it to see whether the sound goes on."""
        end += _AHEAD
        queue = self._queue
        while queue and queue[0].tick < end:
            run = self._runs[-1] if self._runs else None
            if run is not None and not run.closed and run.end_tick >= end:
                return
            self._take(queue.popleft(), tick)

    def _take(self, packet: _Packet, tick: int) -> None:
        if packet.tick < tick - _BEFORE or (self._opus and len(packet.payload) <= DTX_BYTES):
            self._hear(packet, None)
            self._last = b""
            return
        if self._opus and packet.payload[0] & 4 and self._most > self._channels:
            self._channels = 2
            self._decoder = self._open(2)
            self._end(packet.tick, tick)
        run = self._runs[-1] if self._runs and not self._runs[-1].closed else None
        if run is not None:
            self._conceal(run, packet, tick)
        sound = self._decode(packet.payload)
        self._hear(packet, sound)
        if sound is None:
            self._last = b""
            return
        self._last, self._length = packet.payload, sound.shape[1] * self._ratio
        if run is not None:
            error = run.error(packet.tick)
            if abs(error) <= self._loose():
                run.follow(error)
                run.append(sound, tick)
                return
            self._end(packet.tick, tick)
        run = _Run(packet.tick, self._ratio, self._channels)
        run.append(sound, tick)
        self._runs.append(run)

    def _loose(self) -> int:
        return max(RATE // 500, min(_LOOSE, self._length // 2))

    def _conceal(self, run: _Run, packet: _Packet, tick: int) -> None:
        """Let the codec guess what was lost before this packet."""
        hole = run.error(packet.tick)
        if not self._opus or not self._last or not self._loose() < hole <= _CONCEALED + _LOOSE:
            return
        # A packet of nothing but its head is what a lost one looks like to the decoder (RFC 6716 §3.1, code 0).
        head = bytes((self._last[0] & ~3,))
        while hole > self._loose():
            sound = self._decode(head)
            if sound is None:
                return
            run.append(sound, tick)
            hole -= sound.shape[1]

    def _end(self, at: int, tick: int) -> None:
        """Close the open run; other sound begins at `at`, maybe before it is over."""
        if self._runs and not self._runs[-1].closed:
            run = self._runs[-1]
            over = max(at, tick) + FADE
            run.close(over if over < run.end_tick else None)

    def _open(self, channels: int) -> AudioCodecContext:
        context = av.CodecContext.create(self._name, "r")
        if not isinstance(context, AudioCodecContext):
            raise ValueError(f"FFmpeg's {self._name} is no audio decoder")
        context.sample_rate = RATE // self._ratio
        context.layout = "stereo" if channels == 2 else "mono"
        return context

    def _decode(self, payload: bytes) -> Sound | None:
        try:
            frames = self._decoder.decode(av.Packet(payload)) if payload else []
        except av.error.FFmpegError:
            frames = []
        if not frames:
            self.damaged += 1
            return None
        size = frames[0].samples
        pcm = np.frombuffer(memoryview(frames[0].planes[0]), np.int16, size * self._channels)
        sound: Sound = pcm.reshape(size, self._channels).T * np.float32(1 / 32768)
        return sound

    def _hear(self, packet: _Packet, sound: Sound | None) -> None:
        """Whether somebody speaks: by what the sender says, or else by what is heard."""
        level = packet.level
        if level == _UNKNOWN and sound is not None:
            power = float(np.vdot(sound, sound)) / sound.size
            level = round(-10 * np.log10(power)) if power > 1e-12 else 127
        length = sound.shape[1] * self._ratio if sound is not None else RATE // 50
        self._speech += length if level <= _SPEECH else -length
        self._speech = max(0, min(self._speech, _PATIENCE))
        if level <= _SPEECH and self._speech >= _SPEAKS:
            self.spoke_ns = packet.room_ns
