"""What is missing from one RTP stream and when to ask for it again (RFC 4585 §6.2.1). Holds no packets."""

from __future__ import annotations

MS = 1_000_000

#: How long a packet is waited for before its frame is given up. Recording needs no low latency, and senders keep
#: about a second of packets for retransmission.
WAIT_NS = 1000 * MS
_FIRST_RETRY_NS = 50 * MS
_MAX_TRACKED = 1024  # missing numbers at once; more than that is a dead link, not loss to repair
_BEYOND = 8  # numbers after the newest that are asked for in a silence: one bit each of the same request
_BEYOND_TIMES = 3  # that they are asked for; each fails for one in ten at 5 % loss both ways


class Missing:
    """The sequence numbers one stream waits for, with their retries. Numbers are extended."""

    __slots__ = ("_beyond", "_beyond_due_ns", "_beyond_times", "_round_trip_ns", "entries")

    def __init__(self) -> None:
        # Public for the hot path: asking a dict whether it is empty costs a tenth of asking this class.
        self.entries: dict[int, list[int]] = {}  # number → [noticed, next request, requests sent]
        self._round_trip_ns = _FIRST_RETRY_NS
        self._beyond = -1  # the newest number in the silence that was last asked about
        self._beyond_due_ns = self._beyond_times = 0

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, first: int, stop: int, now_ns: int) -> None:
        """Numbers first..stop-1 have not come although a later one has."""
        for number in range(max(first, stop - _MAX_TRACKED), stop):  # giving up one gives up all before it
            self.entries[number] = [now_ns, now_ns, 0]

    def arrived(self, number: int, now_ns: int) -> bool:
        """True when `number` was waited for. Learns the round trip from packets asked for once."""
        entry = self.entries.pop(number, None)
        if entry is None:
            return False
        if entry[2] == 1:
            sample = now_ns - (entry[1] - self._pause())
            if 0 < sample < WAIT_NS:
                self._round_trip_ns = (7 * self._round_trip_ns + sample) // 8
        return True

    def due(self, now_ns: int) -> list[int]:
        """Numbers to ask for now, ascending; each again after about a round trip."""
        pause = self._pause()
        wanted = []
        for number, entry in self.entries.items():
            if entry[1] <= now_ns:
                wanted.append(number)
                entry[1] = now_ns + pause
                entry[2] += 1
        wanted.sort()
        return wanted

    def beyond(self, newest: int, now_ns: int) -> list[int]:
        """What to ask for now that the stream is silent: what is lost after `newest` shows by no later number.

        Most silences are the sender's: nothing is waited for, and each is asked about a few times only. Senders ignore
        requests for what they have not sent (libwebrtc, aiortc, Pion and GStreamer look each number up).
        """
        if newest != self._beyond:
            self._beyond, self._beyond_times = newest, 0
        elif self._beyond_times == _BEYOND_TIMES or now_ns < self._beyond_due_ns:
            return []
        self._beyond_times += 1
        self._beyond_due_ns = now_ns + self._pause()
        return list(range(newest + 1, newest + 1 + _BEYOND))

    def give_up(self, now_ns: int, wait_ns: int = WAIT_NS) -> int | None:
        """The highest number whose time has come, all up to it forgotten; None while all may still come."""
        expired = [number for number, entry in self.entries.items() if now_ns - entry[0] >= wait_ns]
        if not expired:
            return None
        highest = max(expired)
        self.forget_to(highest)
        return highest

    def forget_to(self, highest: int) -> int:
        """Stop waiting for everything up to `highest`; returns how many were waited for."""
        gone = [number for number in self.entries if number <= highest]
        for number in gone:
            del self.entries[number]
        return len(gone)

    def clear(self) -> None:
        self.entries.clear()

    def _pause(self) -> int:
        return max(20 * MS, min(200 * MS, self._round_trip_ns + self._round_trip_ns // 4))
