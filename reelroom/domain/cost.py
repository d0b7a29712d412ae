"""What recordings cost in processor time, and what is left of a machine: a model and a ledger. Measures nothing.

Costs are cores: CPU seconds per second of wall clock. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from reelroom.domain.mix import Mix

#: What another encoder takes, as a multiple of x264 at the preset that mixes begin with. Rough: it only has to hold
#: until the recording itself has been measured.
ENCODERS = {"h264": 1.0, "h265": 4.0, "vp9": 2.5, "av1": 2.5}
UNKNOWN_PIXELS = 1280 * 720 * 30  # a second, of a sender whose picture's size is not known yet
FRAME_RATE = 30  # of senders: nobody says
EXPECTED = 2  # participants that a mix of a room in which nobody is yet is reckoned with; one for their own streams


class Rates(Struct, frozen=True, kw_only=True):
    """What this machine needs. The defaults are those of the machine in docs/performance.md."""

    encode: float = 0.0095  # core seconds per million pixels encoded with x264
    decode: float = 0.0019  # per million pixels decoded
    draw: float = 0.0025  # per million pixels of the canvas scaled and drawn
    voice: float = 0.006  # cores per voice that is decoded and mixed
    base: float = 0.03  # cores of a mix besides
    person: float = 0.010  # cores per participant whose streams are copied


@dataclass(frozen=True, slots=True)
class Shape:
    """What a recording is going to do. `pixels`: a second, of each picture that comes; 0: not known yet."""

    mix: Mix | None  # None: individual
    pixels: tuple[int, ...] = ()  # of the pictures that it takes
    voices: int = 0
    people: int = 0
    picture: bool = True  # whether it takes pictures at all
    sound: bool = True
    transcoded: int = 0  # pictures that individual files need in another codec


def estimate(shape: Shape, rates: Rates) -> float:
    """Cores that a recording of this shape will need."""
    copied = max(shape.people, 1) * rates.person
    pixels = [size or UNKNOWN_PIXELS for size in shape.pixels]
    if shape.mix is None:
        again = shape.transcoded * UNKNOWN_PIXELS / 1e6
        return copied + again * (rates.encode + rates.decode)
    mix = shape.mix
    cores = rates.base + (copied if mix.individual else 0.0)
    if shape.picture:
        pixels += [UNKNOWN_PIXELS] * (EXPECTED - len(pixels))
        canvas = mix.width * mix.height * mix.fps / 1e6
        cores += canvas * (rates.encode * ENCODERS[mix.video_codec] + rates.draw) + sum(pixels) / 1e6 * rates.decode
    if shape.sound:
        cores += max(shape.voices, EXPECTED) * rates.voice
    return cores


@dataclass(frozen=True, slots=True)
class Balance:
    """The machine in cores: `free` is what may still be booked, and negative when it is over its limit. Without a limit
    (0) it is what would be left of all `cores`, and more may be booked."""

    limit: float
    used: float
    booked: float
    cores: float

    @property
    def free(self) -> float:
        return (self.limit or self.cores) - self.used - self.booked


@dataclass(slots=True)
class _Booking:
    cost: float
    since_s: float


class Ledger:
    """What is used and what is promised. A recording counts as what it was reckoned to cost until it has been
    running for a while and does its work; then as what it is measured to cost."""

    SETTLE_S = 20.0
    GONE_S = 15.0  # a booking without a process goes after this
    WORKING = 0.2  # of its cost: below that nobody is in the room yet

    def __init__(self, limit: float, cores: float = 0.0) -> None:
        self.limit = limit  # cores; 0: none
        self.cores = cores  # of the machine
        self._bookings: dict[str, _Booking] = {}
        self._measured: dict[str, float] = {}
        self._others = 0.0

    def balance(self) -> Balance:
        booked = sum(
            max(0.0, booking.cost - self._measured.get(recording, 0.0)) for recording, booking in self._bookings.items()
        )
        return Balance(self.limit, self._others + sum(self._measured.values()), booked, self.cores)

    def fits(self, cost: float) -> bool:
        return self.limit <= 0 or cost <= self.balance().free

    def book(self, recording: str, cost: float, now_s: float) -> None:
        """Promise `cost` cores to it, whether they are there or not: ask `fits` before."""
        self._bookings[recording] = _Booking(cost, now_s)

    def release(self, recording: str) -> None:
        self._bookings.pop(recording, None)

    def seen(self, measured: Mapping[str, float], others: float, now_s: float) -> None:
        """What the recorders that run, and the server's other processes, were measured to use."""
        self._measured = dict(measured)
        self._others = others
        for recording, booking in list(self._bookings.items()):
            age_s = now_s - booking.since_s
            cores = self._measured.get(recording)
            if cores is None:
                if age_s > self.GONE_S:
                    del self._bookings[recording]
            elif age_s > self.SETTLE_S and cores >= booking.cost * self.WORKING:
                del self._bookings[recording]

    def cost_of(self, recording: str) -> tuple[float, float]:
        """What it uses, and what is booked for it on top."""
        used = self._measured.get(recording, 0.0)
        booking = self._bookings.get(recording)
        return used, 0.0 if booking is None else max(0.0, booking.cost - used)

    def recordings(self) -> Iterable[str]:
        return sorted({*self._measured, *self._bookings})
