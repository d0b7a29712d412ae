"""From RTP timestamps to the room's clock: sender reports, arrival times, smooth correction. Holds no frames.

Room time is UTC nanoseconds. RTP → sender's NTP clock by regression over the last sender reports; sender's clock →
room by the smallest one-way delay seen. Corrections are slewed, never backwards; a jump is a discontinuity.
"""

from __future__ import annotations

from collections import deque

S = 1_000_000_000
MS = 1_000_000

_REPORTS = 20  # sender reports in the regression
_OUTLIER_NS = 50 * MS  # a report this far off the line is doubted; two in a row start a new line
_UNLIKELY_NS = 300 * MS  # a first report this far from what arrival says waits for a second with the right rate
_SPAN_NS = 500 * MS  # between two reports that are to show a rate
_MAX_DRIFT = 1e-3  # a clock further off its nominal rate than this is taken as nominal
_JUMP_NS = 3 * S  # RTP time and arrival disagree by this much: a discontinuity, not drift
_AUDIO_JUMP_NS = 100 * MS  # audio that is this late by its reports was not captured: a hole, not slew
_NEAR_NS = 2 * MS  # an error too small to bend the spacing of frames for
_LATE_NS = 500 * MS  # so late for so long: time passed at the sender that its RTP clock did not count
_LATE_LASTS_NS = 5 * S
_CHECK_NS = 200 * MS  # media time between two looks at the error
_OFFSET_SLEW = 1e-3  # of the participant's offset: 1 ms a second, all its tracks together
_WINDOW_NS = 30 * S
_HELD_UP_NS = 1 * S  # the most that a report is believed to be held up by
_STRANGE_NS = 5 * S  # a track whose reports are so far from its sender's other tracks' has a clock of its own


class SenderClock:
    """One participant's NTP clock against the room's: room = ntp + offset."""

    __slots__ = ("_candidates", "_set_at_ns", "anchored", "offset_ns", "steps_ns")

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self.anchored = False  # by audio, which then needs no correction
        self.steps_ns = 0  # by how much the sender has set its clock, altogether
        self._candidates: deque[tuple[int, int]] = deque()  # (arrival, arrival − ntp), rising in the second
        self._set_at_ns = 0

    def report(self, ntp_ns: int, arrival_ns: int) -> None:
        """A sender report's NTP time and when it came in."""
        candidate = arrival_ns - ntp_ns
        candidates = self._candidates
        while candidates and candidates[-1][1] >= candidate:
            candidates.pop()
        candidates.append((arrival_ns, candidate))
        while arrival_ns - candidates[0][0] > _WINDOW_NS:
            candidates.popleft()
        target = candidates[0][1]
        if self.offset_ns is None:
            self.offset_ns = target
        else:
            limit = int((arrival_ns - self._set_at_ns) * _OFFSET_SLEW)
            self.offset_ns += max(-limit, min(limit, target - self.offset_ns))
        self._set_at_ns = arrival_ns

    def stepped(self, step_ns: int, offset_ns: int) -> None:
        """A track's reports have leapt by `step_ns` against its RTP time, and arrive `offset_ns` after their NTP time.
        If this clock has leapt, too, follow it, so that room times do not."""
        if self.offset_ns is None or abs(offset_ns - self.offset_ns + step_ns) > abs(step_ns) // 2:
            return  # it was the track's RTP clock, or another track has told
        self.steps_ns += step_ns
        self.offset_ns -= step_ns
        self._candidates.clear()

    def lower(self, by_ns: int) -> None:
        """Frames show that the shortest delay is shorter than the reports have it."""
        if self.offset_ns is not None:
            self.offset_ns -= by_ns
            self._candidates.clear()
            self._candidates.append((self._set_at_ns, self.offset_ns))

    def anchor(self, offset_ns: int) -> None:
        """Let audio that already flows define the offset, if that is believable."""
        if not self.anchored and self.offset_ns is not None and abs(self.offset_ns - offset_ns) < 150 * MS:
            self.offset_ns = offset_ns
            self.anchored = True


class TrackClock:
    """One SSRC's RTP time on the room's clock; `room_time` is monotonic."""

    __slots__ = (
        "_audio", "_base_room", "_base_rtp", "_check_at", "_doubted", "_last_arrival", "_last_room", "_last_rtp",
        "_late_since", "_least", "_middle", "_misled", "_nominal", "_rate", "_reports", "_sender", "_slope", "_started",
        "_steps", "clock_rate", "discontinuities",
    )  # fmt: skip

    def __init__(self, clock_rate: int, sender: SenderClock, *, audio: bool) -> None:
        self.clock_rate = clock_rate
        self.discontinuities = 0
        self._sender = sender
        self._audio = audio
        self._nominal = S / clock_rate  # ns a tick
        self._rate = self._nominal  # with slew
        self._slope = self._nominal  # the sender's true rate
        self._base_rtp = 0
        self._base_room = 0
        self._last_rtp = 0
        self._last_room = 0
        self._last_arrival = 0
        self._check_at = 0
        self._late_since = 0
        self._least: int | None = None  # arrival-only: smallest arrival − mapped since the last look
        self._reports: deque[tuple[int, int]] = deque(maxlen=_REPORTS)
        self._middle = (0.0, 0, 0.0)  # of the reports: RTP time, a base of NTP time and the mean beyond it
        self._doubted: tuple[int, int] | None = None
        self._started = False
        self._misled = False  # a report was followed that was wrong: back to what arrival says
        self._steps = 0  # `SenderClock.steps_ns` when the reports in use began

    def start(self, rtp: int, room_ns: int) -> None:
        """Let extended RTP time `rtp` be `room_ns`: the earliest of what the first packets allow."""
        target = self._by_reports(rtp)
        if target is None:
            pass  # no report yet: the packets tell
        elif 0 < target - room_ns <= _HELD_UP_NS:
            self._sender.lower(target - room_ns)
        elif target < room_ns - _UNLIKELY_NS and self._unproven():
            self._doubted = self._reports[-1]  # it came before anything could contradict it
            self._reports.clear()
        elif abs(target - room_ns) < _JUMP_NS:
            room_ns = target
        self._base_rtp = self._last_rtp = self._check_at = rtp
        self._base_room = room_ns
        self._last_room = room_ns - 1
        self._rate = self._slope
        self._last_arrival = 0
        self._started = True

    @property
    def last(self) -> tuple[int, int]:
        """(extended RTP timestamp, room time) of the newest frame."""
        return self._last_rtp, self._last_room

    def room_time(self, rtp: int, arrival_ns: int) -> int:
        """Room time of extended RTP timestamp `rtp` that arrived at `arrival_ns`; at least one ns after the last."""
        room = self._base_room + int((rtp - self._base_rtp) * self._rate)
        late = arrival_ns - room
        if self._last_arrival:
            # RTP time that leaps ahead of what has passed, or falls back, was set anew. Late packets are no leap:
            # a sender or a path that stood still delivers what it kept, and that belongs where it was captured.
            leap = room - self._last_room
            if leap > arrival_ns - self._last_arrival + _JUMP_NS or leap < -_JUMP_NS:
                return self._discontinuity(rtp, arrival_ns)
        if self._least is None or late < self._least:
            self._least = late
        if rtp >= self._check_at:
            room = self._correct(rtp, room)
        if room <= self._last_room:
            room = self._last_room + 1
        self._last_room = room
        self._last_rtp = rtp
        self._last_arrival = arrival_ns
        return room

    def report(self, rtp: int, ntp_ns: int, arrival_ns: int) -> None:
        """A sender report that came in at `arrival_ns`: extended RTP time `rtp` is `ntp_ns` by the sender."""
        reports, sender = self._reports, self._sender
        offset = sender.offset_ns
        if not reports and offset is not None and abs(arrival_ns - ntp_ns - offset) > _STRANGE_NS:
            sender = self._sender = SenderClock()
        if not reports and self._started and not self._may_begin(rtp, ntp_ns, arrival_ns):
            return
        if reports:
            error = self._ntp(rtp) - ntp_ns
            if abs(error) > _OUTLIER_NS:
                doubted, self._doubted = self._doubted, (rtp, ntp_ns)
                if self._stood_still(-error):
                    doubted = rtp, ntp_ns
                elif doubted is not None and 0 <= ntp_ns - doubted[1] < _SPAN_NS:
                    self._doubted = doubted  # too soon after the other to bear it out
                    return
                elif doubted is None or abs((rtp - doubted[0]) * self._slope - ntp_ns + doubted[1]) > _OUTLIER_NS:
                    if doubted is not None and self._unproven():
                        reports.clear()  # no two reports have agreed yet: the first was no better than the rest
                        self._misled = True
                    return
                sender.stepped(-error, arrival_ns - ntp_ns)
                reports.clear()
                reports.append(doubted)
                self._steps = sender.steps_ns
        else:
            self._steps = sender.steps_ns
        self._doubted = None
        mapped = self._mapped(rtp)
        first = self._started and not reports
        # Until now times went by the quickest frames. A report that was held up tells no more than they.
        held_up = first and 0 < arrival_ns - mapped <= _LATE_NS
        sender.report(ntp_ns, mapped if held_up else arrival_ns)
        reports.append((rtp, ntp_ns))
        self._fit()
        if self._audio and first:
            self._sender.anchor(mapped - ntp_ns)
        self._check_at = min(self._check_at, self._last_rtp)

    def _mapped(self, rtp: int) -> int:
        """Room time of `rtp` as frames get it now, before any correction."""
        return self._base_room + int((rtp - self._base_rtp) * self._rate)

    def _stood_still(self, by_ns: int) -> bool:
        """Whether frames are as late as a report says that time has passed for the sender without its RTP time: two
        witnesses are enough. Packets that were held up are late, too, but their reports say nothing of the kind."""
        return by_ns > _LATE_NS and abs(self._last_arrival - self._last_room - by_ns) < _UNLIKELY_NS

    def _may_begin(self, rtp: int, ntp_ns: int, arrival_ns: int) -> bool:
        """Whether a report may be the first in use. One whose RTP time is not about now by arrival may be right (the
        first packets were held up) or wrong (GStreamer 1.22.0's RTP time runs at twice the media's speed): a second
        one tells, by the rate between them. While none has the right rate, times go by arrival alone."""
        doubted = self._doubted
        if doubted is None:
            mapped = self._mapped(rtp)
            offset = self._sender.offset_ns  # by the participant's other tracks: this report may have been held up
            sent_ns = arrival_ns if offset is None else min(arrival_ns, ntp_ns + offset)
            if abs(mapped - sent_ns) <= _UNLIKELY_NS:
                return True
        else:
            passed = ntp_ns - doubted[1]
            if 0 <= passed < _SPAN_NS:
                return False
            error = abs((rtp - doubted[0]) * self._nominal - passed)
            # 1 %, or what a scheduler may put between the two times of a report
            if passed > 0 and error <= max(passed // 100, _OUTLIER_NS):
                return True
        self._doubted = (rtp, ntp_ns)
        return False

    def _unproven(self) -> bool:
        """Whether the reports in use are too close together to show that their rate is right."""
        return self._reports[-1][1] - self._reports[0][1] < _SPAN_NS

    def _fit(self) -> None:
        """Least squares over the reports; the nominal rate until they span enough to tell."""
        reports = self._reports
        rtp0, ntp0 = reports[-1]
        count = len(reports)
        xs = [rtp - rtp0 for rtp, _ in reports]
        ys = [ntp - ntp0 for _, ntp in reports]
        mean_x, mean_y = sum(xs) / count, sum(ys) / count
        self._middle = (rtp0 + mean_x, ntp0, mean_y)
        if count < 4 or rtp0 - reports[0][0] < 5 * self.clock_rate:
            return
        spread = sum((x - mean_x) ** 2 for x in xs)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
        self._slope = slope if abs(slope / self._nominal - 1) < _MAX_DRIFT else self._nominal

    def _ntp(self, rtp: int) -> int:
        """Sender's clock at `rtp`: the line through the middle of the reports."""
        middle_rtp, ntp0, mean_y = self._middle
        return ntp0 + int(mean_y + (rtp - middle_rtp) * self._slope)

    def _by_reports(self, rtp: int) -> int | None:
        offset = self._sender.offset_ns
        if not self._reports or offset is None:
            return None
        return self._ntp(rtp) + offset + self._sender.steps_ns - self._steps

    def _correct(self, rtp: int, room: int) -> int:
        """Look at the error and choose the rate until the next look; the curve stays continuous and rising."""
        target = self._by_reports(rtp)
        error = self._error_by_arrival() if target is None else self._error_by_reports(target - room)
        self._least = None
        if abs(error) > _JUMP_NS or error > (_AUDIO_JUMP_NS if self._audio else _LATE_NS):
            self.discontinuities += 1
            room = max(room + error, self._last_room + 1)
            error = 0
        fastest = 0.25 if not self._audio or abs(error) > _AUDIO_JUMP_NS else 0.02
        if target is not None and abs(error) < _NEAR_NS:
            error = 0
        slew = max(-fastest, min(fastest, error / (4 * _CHECK_NS)))
        self._base_rtp, self._base_room = rtp, room
        self._rate = self._slope * (1 + slew)
        self._check_at = rtp + self.clock_rate * _CHECK_NS // S
        return room

    def _error_by_reports(self, error: int) -> int:
        """Nothing is captured after it has arrived: reports that say so were held up on their way. Frames come much
        oftener than reports, so the quickest of them tells more of the shortest delay."""
        least = self._least
        if least is None or error <= least or error - least > _HELD_UP_NS:
            return error
        self._sender.lower(error - least)
        return least

    def _error_by_arrival(self) -> int:
        """What comes earlier than mapped proves the mapping late, at once. Lateness proves nothing until it lasts:
        then the sender's clock stood still while nothing was captured."""
        error = self._least if self._least is not None else 0
        if self._misled and _NEAR_NS < error < _JUMP_NS:
            return min(error, _AUDIO_JUMP_NS)
        if error < _LATE_NS:
            self._late_since = 0
            self._misled = False
            return error if error < 0 else min(error, 5 * MS) // 5
        if not self._late_since:
            self._late_since = self._last_arrival
        return error if self._last_arrival - self._late_since > _LATE_LASTS_NS else 0

    def _discontinuity(self, rtp: int, arrival_ns: int) -> int:
        self.discontinuities += 1
        room = max(arrival_ns, self._last_room + 1)
        target = self._by_reports(rtp)
        if target is not None and abs(target - arrival_ns) < _JUMP_NS:
            room = max(target, self._last_room + 1)
        self._reports.clear()
        self._doubted = None
        self._base_rtp, self._base_room, self._rate = rtp, room, self._slope
        self._check_at = rtp
        self._last_rtp, self._last_room, self._last_arrival = rtp, room, arrival_ns
        self._least = None
        return room
