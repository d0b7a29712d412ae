"""Transport-wide congestion feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01). Holds no estimator."""

from __future__ import annotations

import struct

from reelroom.rtc.rtcp import RTPFB, TRANSPORT_CC_FMT

_TICK_NS = 250_000  # a receive delta's unit
_REFERENCE_NS = 64_000_000  # the reference time's unit
# Bounds of one message: at most 1300 bytes in the worst case, for libsrtp's buffer and the path's MTU. A hostile jump
# of the sequence number must not make a huge one either.
_MAX_SPAN = 1000  # sequence numbers
_MAX_REPORTED = 250  # arrivals not told before
_REACH = 100  # numbers behind the newest that are told again when one among them comes late


class TransportFeedback:
    """Collects (transport sequence number, arrival) of one transport and writes feedback messages."""

    __slots__ = ("_arrivals", "_base", "_before", "_count", "_epoch_ns", "_highest")

    def __init__(self, now_ns: int) -> None:
        self._arrivals: dict[int, int] = {}  # extended sequence number → arrival
        self._before: dict[int, int] = {}  # the last that was told, should reordering reach back into it
        self._highest = -1
        self._base = -1  # first sequence number of the next message
        self._count = 0
        self._epoch_ns = now_ns

    def arrived(self, sequence: int, now_ns: int) -> None:
        """One packet; the hot path."""
        highest = self._highest
        if highest < 0:
            extended = sequence + 65536
            self._base = extended
        else:
            extended = highest + ((sequence - highest + 32768) & 65535) - 32768
        if extended > highest:
            self._highest = extended
        self._arrivals[extended] = now_ns

    def message(self, sender_ssrc: int, media_ssrc: int) -> bytes | None:
        """A feedback packet about what came since the last one; call until it gives None: nothing is left to tell."""
        arrivals = self._arrivals
        if not arrivals:
            return None
        numbers = sorted(arrivals)
        # From where the last message ended, or from before that when reordering reaches back.
        base = max(min(self._base, numbers[0]), numbers[0] - _MAX_SPAN + 1)
        count = min(len(numbers), _MAX_REPORTED)
        if numbers[count - 1] >= base + _MAX_SPAN:
            count = next(index for index, number in enumerate(numbers) if number >= base + _MAX_SPAN)
        self._arrivals = {number: arrivals.pop(number) for number in numbers[count:]}
        del numbers[count:]
        told = self._before
        oldest = self._highest - _REACH
        self._before = {number: at for number, at in (told | arrivals).items() if number > oldest}
        if base < self._base:
            end = base + _MAX_SPAN
            arrivals = {number: at for number, at in told.items() if base <= number < end} | arrivals
            numbers = sorted(arrivals)
        self._base = max(self._base, numbers[-1] + 1)
        first_ns = next(arrivals[n] for n in numbers if n >= base) - self._epoch_ns
        reference = max(first_ns, 0) // _REFERENCE_NS
        statuses, deltas, last_ticks = [], bytearray(), reference * (_REFERENCE_NS // _TICK_NS)
        for number in range(base, numbers[-1] + 1):
            arrival = arrivals.get(number)
            if arrival is None:
                statuses.append(0)
                continue
            ticks = (arrival - self._epoch_ns) // _TICK_NS
            delta = ticks - last_ticks
            if 0 <= delta <= 255:
                statuses.append(1)
                deltas.append(delta)
            elif -32768 <= delta <= 32767:
                statuses.append(2)
                deltas += struct.pack("!h", delta)
            else:  # more than 8 s apart in one message: say it was not received rather than lie about when
                statuses.append(0)
                continue
            last_ticks = ticks
        body = struct.pack(
            "!IIHHI",
            sender_ssrc,
            media_ssrc,
            base & 0xFFFF,
            len(statuses),
            ((reference & 0xFFFFFF) << 8) | self._count,
        )
        self._count = (self._count + 1) & 0xFF
        body += _chunks(statuses) + deltas
        padding = -len(body) % 4
        if padding:
            body += bytes(padding - 1) + bytes([padding])
        return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | TRANSPORT_CC_FMT, RTPFB, len(body) // 4) + body


def _chunks(statuses: list[int]) -> bytes:
    """Packet status chunks: a run length where one pays, else two-bit vectors of seven."""
    out = bytearray()
    index, total = 0, len(statuses)
    while index < total:
        status = statuses[index]
        run = index + 1
        while run < total and run - index < 8191 and statuses[run] == status:
            run += 1
        if run - index >= 7 or run == total:
            out += struct.pack("!H", (status << 13) | (run - index))
            index = run
            continue
        vector = statuses[index : index + 7]
        word = 0xC000
        for place, value in enumerate(vector):
            word |= value << (12 - 2 * place)
        out += struct.pack("!H", word)
        index += len(vector)
    return bytes(out)
