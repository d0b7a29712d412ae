"""One incoming RTP stream (an SSRC): order, loss and whole encoded frames. Holds no sockets, times or tracks."""

from __future__ import annotations

from collections.abc import Callable

from reelroom.rtc.depacketize import Depacketizer
from reelroom.rtc.loss import Missing

_MAX_HELD = 2048  # packets behind a hole; then the hole is given up
_MAX_JUMP = 3000  # a sequence number further off than this may be a restart (RFC 3550 A.1 MAX_DROPOUT)
_RESTART_PACKETS = 3  # and is one when so many come ...
_RESTART_SPAN = 1000  # ... within so many numbers
_RESTART_NS = 200_000_000  # ... and, when they are old numbers, nothing else for so long: not late retransmissions
_PATIENCE_NS = 120_000_000  # the least silence that says anything; browsers on busy machines stop for half as long
_SPACING_NS = 100_000_000  # from frame to frame, while that is not known
_LONGEST_SPACING_NS = 1_000_000_000
_BEFORE = 64  # numbers before the first that came, a key frame's; asked for where that does not begin one
_BEFORE_NS = 150_000_000  # and waited for; as long as a stream's first frames wait anyway

#: on_frame(data, key, extended RTP timestamp, arrival ns, after_gap, quarter turns clockwise)
FrameSink = Callable[[bytes, bool, int, int, bool, int], None]

#: A packet's marker: 0 there is none, 1 there is one, or one that tells the orientation: this and the quarter turns.
TURNED = 4


class ReceiveStream:
    """Packets of one SSRC in any order → frames in order. `receive` is the hot path."""

    __slots__ = (
        "_after_gap",
        "_depacketizer",
        "_expected_prior",
        "_frames_prior",
        "_held",
        "_highest_ts",
        "_malformed",
        "_next",
        "_open_ts",
        "_opens_ns",
        "_received_prior",
        "_sink",
        "_started",
        "_strange",
        "_strange_highest",
        "_transit",
        "_ts_prior",
        "base",
        "bytes",
        "clock_rate",
        "duplicates",
        "frames",
        "frames_dropped",
        "frozen",
        "highest",
        "jitter",
        "last_arrival_ns",
        "lost",
        "lost_in_gap",
        "missing",
        "packets",
        "patience_ns",
        "repaired",
        "rotation",
        "ssrc",
        "wants_keyframe",
    )  # fmt: skip

    def __init__(self, ssrc: int, clock_rate: int, depacketizer: Depacketizer | None, sink: FrameSink) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.missing = Missing()
        self._depacketizer = depacketizer
        self._sink = sink
        self._held: dict[int, tuple[int, int, bytes, int]] = {}
        self._next = -1  # extended number of the next packet to hand on
        self._strange: dict[int, tuple[int, int, bytes, int]] = {}  # packets with impossible numbers, near each other
        self._strange_highest = -1  # `highest` when they began
        self._highest_ts = -1
        self._open_ts = -1  # timestamp of the frame being joined
        self._opens_ns = 0  # until then all packets are held, for the first may be lost; 0: the first is known
        self._after_gap = False
        self._malformed = 0
        self._started = depacketizer is None  # video starts at a key frame
        self.frozen = False  # video: broken by loss, until the next key frame
        self.wants_keyframe = False  # a new stream begins with one by itself: ask when its first frame is none
        self.rotation = 0  # quarter turns clockwise that a display makes, as last told
        self.base = self.highest = 0
        self.packets = self.bytes = self.duplicates = self.lost = self.repaired = 0
        self.frames = self.frames_dropped = self.lost_in_gap = 0
        self.jitter = 0.0
        self._transit = 0
        self._expected_prior = self._received_prior = 0
        self.last_arrival_ns = 0
        self.patience_ns = _PATIENCE_NS + _SPACING_NS  # a silence as long is none of those between frames
        self._frames_prior = self._ts_prior = 0

    @property
    def depacketizer(self) -> Depacketizer | None:
        return self._depacketizer

    def receive(self, sequence: int, timestamp: int, marker: int, payload: bytes, now_ns: int) -> None:
        """One packet, decrypted and unwrapped from RTX. `sequence` and `timestamp` as on the wire; `marker`: TURNED."""
        expected = self._next
        if expected < 0:
            self._begin(sequence + 65536, timestamp, payload, now_ns)
            expected = self._next
        number = expected + ((sequence - expected + 32768) & 65535) - 32768
        self.packets += 1
        self.bytes += len(payload)
        self.last_arrival_ns = now_ns
        if number == expected and not self._held:
            self._next = number + 1
            self.highest = number
            if timestamp == self._open_ts and payload and not marker:
                self._depacketizer.push(payload, False)  # type: ignore[union-attr]
                return  # the middle of a picture, as most packets are: only a marker completes a frame
            self._hand_on(timestamp, marker, payload, now_ns)
            return
        self._out_of_order(number, timestamp, marker, payload, now_ns)

    def poll(self, now_ns: int) -> list[int]:
        """Give up what waited too long; return sequence numbers (on the wire) to ask for now."""
        wanted: list[int] = []
        if self._opens_ns and now_ns >= self._opens_ns:
            self._open()
        if self.missing:
            highest = self.missing.give_up(now_ns)
            if highest is not None:
                self._skip_to(highest + 1, now_ns)
            wanted = self.missing.due(now_ns)
        if self._next >= 0 and now_ns - self.last_arrival_ns > self.patience_ns:
            wanted += self.missing.beyond(self.highest, now_ns)
        return [number & 0xFFFF for number in wanted]

    def learn_spacing(self) -> None:
        """See from the frames since the last call (a second or so ago) how long their silences are."""
        frames = self.frames - self._frames_prior
        if frames > 0:
            if self._frames_prior:
                spacing_ns = (self._highest_ts - self._ts_prior) * 1_000_000_000 // (frames * self.clock_rate)
                jitter_ns = int(self.jitter) * 1_000_000_000 // self.clock_rate
                self.patience_ns = max(2 * (min(spacing_ns, _LONGEST_SPACING_NS) + jitter_ns), _PATIENCE_NS)
            self._frames_prior, self._ts_prior = self.frames, self._highest_ts

    def set_depacketizer(self, depacketizer: Depacketizer | None) -> None:
        """The sender changed codec: start anew at the next key frame."""
        if self._held:  # of the old codec: hand them on while that can still read them
            self._skip_to(max(self._held) + 1, self.last_arrival_ns)
        self._depacketizer = depacketizer
        self._malformed = 0
        self._open_ts = -1
        self._started = depacketizer is None
        self.wants_keyframe = False

    def extend_timestamp(self, timestamp: int) -> int:
        """The unwrapped form of a wire timestamp near the newest one."""
        reference = self._highest_ts
        return reference + ((timestamp - reference + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def report_block(self) -> tuple[int, int, int, int]:
        """(fraction lost of 256 since the last call, lost in total, extended highest sequence, jitter in ticks)."""
        expected = self.highest - self.base + 1
        interval = expected - self._expected_prior
        received = self.packets - self._received_prior
        self._expected_prior, self._received_prior = expected, self.packets
        fraction = max(0, interval - received) * 256 // interval if interval > 0 else 0
        extended = (self.highest - 65536) & 0xFFFFFFFF  # on the wire the first cycle is number 0
        return min(fraction, 255), expected - self.packets, extended, int(self.jitter)

    def _begin(self, number: int, timestamp: int, payload: bytes, now_ns: int) -> None:
        """The first packet. What came before it shows by no earlier one: asked for where it shows by what this one is,
        and nobody's loss if it does not come, as when a sender was long under way."""
        self._next = self.base = self.highest = number
        self._highest_ts = timestamp + (1 << 32)
        if payload and self._depacketizer is not None and not self._depacketizer.begins(payload):
            self._next = number - _BEFORE
            self._opens_ns = now_ns + _BEFORE_NS
            self.wants_keyframe = True
            self.missing.add(self._next, number, now_ns)

    def _open(self) -> None:
        """The stream's first packet is known: hand on what was held."""
        self._opens_ns = 0
        self.missing.forget_to(self.base - 1)
        self._next = max(self._next, self.base)
        self._drain()

    def _out_of_order(self, number: int, timestamp: int, marker: int, payload: bytes, now_ns: int) -> None:
        if not -_MAX_JUMP <= number - self._next <= _MAX_JUMP:
            self.packets -= 1
            self._doubt(number, (timestamp, marker, payload, now_ns))
            return
        if number < self._next or number in self._held:
            self.duplicates += 1
            self.packets -= 1
            return
        self._take(number, (timestamp, marker, payload, now_ns))

    def _take(self, number: int, packet: tuple[int, int, bytes, int]) -> None:
        now_ns = packet[3]
        if number > self.highest:
            if number > self.highest + 1:
                self.missing.add(self.highest + 1, number, now_ns)
            self.highest = number
        elif self.missing.arrived(number, now_ns):
            self.repaired += 1
            self.base = min(self.base, number)
        self._held[number] = packet
        if self._opens_ns and self._depacketizer is not None and self._depacketizer.begins(packet[2]):
            self._open()
            return
        if len(self._held) > _MAX_HELD:
            self._skip_to(min(self._held), now_ns)
        self._drain()

    def _drain(self) -> None:
        held = self._held
        while (packet := held.pop(self._next, None)) is not None:
            self._next += 1
            self._hand_on(*packet)

    def _skip_to(self, number: int, now_ns: int) -> None:
        """Give up everything before `number` that has not come: its frame is lost, and said so."""
        if self._opens_ns:
            self._open()
        self.missing.forget_to(number - 1)
        while self._next < number:
            packet = self._held.pop(self._next, None)
            self._next += 1
            if packet is not None:
                self._hand_on(*packet)
                continue
            self._give_up_one()
        self._drain()

    def _doubt(self, number: int, packet: tuple[int, int, bytes, int]) -> None:
        """An impossible number: hold the packet back until others like it show that the sender restarted."""
        strange, now_ns = self._strange, packet[3]
        if strange and (abs(number - next(iter(strange))) > _RESTART_SPAN or self._strange_highest != self.highest):
            strange.clear()
        self._strange_highest = self.highest
        strange[number] = packet
        waited = now_ns - next(iter(strange.values()))[3]
        if len(strange) < _RESTART_PACKETS or (number < self._next and waited < _RESTART_NS):
            return
        self._strange = {}
        if self._held:
            self._skip_to(max(self._held) + 1, now_ns)
        first = min(strange)
        self.missing.clear()
        self._give_up_one()
        self.base += first - self.highest - 1  # what was lost until now stays as it is
        self._next, self.highest = first, first - 1
        for restarted in sorted(strange):
            self.packets += 1
            self._take(restarted, strange[restarted])

    def _give_up_one(self) -> None:
        self.lost += 1
        self.lost_in_gap += 1
        self._after_gap = True
        if self._depacketizer is not None:
            self._depacketizer.reset()
            self._open_ts = -1
            self.frozen = self.wants_keyframe = True

    def _hand_on(self, timestamp: int, marker: int, payload: bytes, now_ns: int) -> None:
        depacketizer = self._depacketizer
        if depacketizer is None:
            if payload:
                self._emit(payload, True, timestamp, now_ns)
            return
        if timestamp != self._open_ts:
            if self._open_ts >= 0:
                frame = depacketizer.flush()
                if frame is not None:
                    self._emit_video(frame, depacketizer.keyframe, self._open_ts, now_ns)
                elif depacketizer.malformed != self._malformed:
                    self._broken(depacketizer)
                self._open_ts = -1
            if not payload:
                return  # padding between frames
            self._open_ts = timestamp
        if marker > 1 and marker & 3 != self.rotation:
            # It holds until another is told (TS 26.114). Files can change their orientation at key frames only.
            self.rotation = marker & 3
            self.wants_keyframe = True
        if payload:
            frame = depacketizer.push(payload, marker > 0)
            if frame is not None:
                self._open_ts = -1
                self._emit_video(frame, depacketizer.keyframe, timestamp, now_ns)
            elif marker:
                self._open_ts = -1
                if depacketizer.malformed != self._malformed:
                    self._broken(depacketizer)

    def _broken(self, depacketizer: Depacketizer) -> None:
        """The depacketizer dropped a frame that made no sense: later ones refer to it, as after a loss."""
        self._malformed = depacketizer.malformed
        self._after_gap = True
        self.lost_in_gap += 1
        self.frozen = self.wants_keyframe = True

    def _emit_video(self, frame: bytes, key: bool, timestamp: int, now_ns: int) -> None:
        if key:
            self._started = True
            self.frozen = self.wants_keyframe = False
        elif self.frozen or not self._started:
            self.frames_dropped += 1
            self.wants_keyframe = True
            return
        self._emit(frame, key, timestamp, now_ns)

    def _emit(self, data: bytes, key: bool, timestamp: int, now_ns: int) -> None:
        reference = self._highest_ts
        extended = reference + ((timestamp - reference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if extended > reference:
            self._highest_ts = extended
        transit = now_ns * self.clock_rate // 1_000_000_000 - extended
        if self.frames:
            self.jitter += (abs(transit - self._transit) - self.jitter) / 16  # RFC 3550 A.8, once a frame
        self._transit = transit
        self.frames += 1
        after_gap, self._after_gap = self._after_gap, False
        self._sink(data, key, extended, now_ns, after_gap, self.rotation)
