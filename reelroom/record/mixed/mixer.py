"""The mixing thread: renders tick after tick of the recording's media time, half to three quarters of a second behind.

Tick n is the picture at n/fps of media time, and sound is cut into frames on the same grid, so that pictures are
evenly apart whatever was paused. A tick is rendered when everything that was sent until then should have come in;
whoever is behind (a preroll, a restart, a stalled machine) renders as fast as it can. Only who is more than
`OVERLOAD_NS` behind leaves something out. Draws nothing itself (`stage.py`), and writes nothing (`output.py`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import structlog

from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.frames import Made, Mark, Resume
from reelroom.record.mixed.load import Load
from reelroom.record.mixed.push import Push
from reelroom.record.mixed.seen import FOREVER_NS
from reelroom.record.mixed.soundstage import FADE_NS, SoundStage
from reelroom.record.mixed.stage import Stage
from reelroom.record.mixed.watchdog import HUNG_NS

log = structlog.get_logger()
LATENCY_NS = 450_000_000  # a lost packet is sent again within this, a batch of the bus has come
HEARD_NS = 250_000_000  # of that: what the ingest or the main thread has not taken by then is waited for
_POLL_NS = 20_000_000
GROUP_NS = 250_000_000  # ticks of so long are rendered one after the other: a tenth less work than each at its own time
OVERLOAD_NS = 10 * SECOND
_ALONE_NS = 5 * SECOND  # so long the mix waits for an ingest that does not answer, or stands still
_AUDIO_TICKS = 10  # a second, of a mix without pictures


class Stages(NamedTuple):
    """What renders; None: nothing of that kind is wanted."""

    picture: Stage | None
    sound: SoundStage | None


class Mixer:
    """`stages` is called in the thread, `now` is the room time, `wake` is called when the thread has ended (by
    itself too: `error` says why)."""

    def __init__(
        self,
        fps: int,
        feed: Feed,
        stages: Callable[[], Stages],
        now: Callable[[], int],
        wake: Callable[[], None],
        since_ns: int,
        resume: Resume | None,
        at_latest_ns: int = FOREVER_NS,
    ) -> None:
        self.made: deque[Made | Mark] = deque()
        self.pushes: tuple[Push, ...] = ()  # they get every frame, and never make anybody wait
        self.notices: deque[tuple[str, str, int]] = deque()  # code, message, room time or 0
        self.error: BaseException | None = None
        self.done = False
        self.busy = False  # it does not wait; and `rounds` rises while it gets on with it
        self.rounds = 0
        self.start_ns = resume.start_ns if resume is not None else 0
        self.at_ns = 0  # room time of the tick that is rendered next
        self._rate = fps or _AUDIO_TICKS
        self._feed = feed
        self._stages = stages
        self._now = now
        self._wake = wake
        self._since_ns = since_ns
        self._resume = resume
        self._at_latest_ns = at_latest_ns
        self._changed = threading.Condition()
        self._pauses = Pauses()
        self._stop_ns = FOREVER_NS
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="mixer", daemon=True)
        self._picture: Stage | None = None
        self._sound: SoundStage | None = None
        self._tick = 0
        self._key = True
        self._paused_ns = 0  # the pause that a mark was made of
        self._allowed_ns = OVERLOAD_NS
        self._waited_ns = 0  # for what the ingest or the main thread has not taken yet
        self._behind_ns = 0  # of a mix that was taken over, until it has caught up
        self._times: dict[int, int] = {}  # tick → room time, of those in the encoder
        self._sounds: deque[Made] = deque()  # that wait for the pictures before them
        self._load = Load()

    # called by the main thread

    def start(self) -> None:
        self._thread.start()

    def set_pauses(self, pauses: Pauses) -> None:
        with self._changed:
            self._pauses = pauses
            self._changed.notify()

    def stop_at(self, at_ns: int) -> None:
        """Render what lies before it, empty the encoders and end."""
        with self._changed:
            self._stop_ns = at_ns
            self._changed.notify()

    @property
    def encoder(self) -> str:
        """The picture encoder that the thread is in just now, by FFmpeg's name."""
        picture = self._picture
        return picture.encoder.name if picture is not None and picture.encoder.busy else ""

    @property
    def beginning(self) -> bool:
        """Encoders are being chosen and opened."""
        return self.busy and not self.rounds

    def abandon(self) -> bool:
        """End now; what is in the encoders is let go. False: the thread did not come back, and is left behind."""
        with self._changed:
            self._abandoned = True
            if self._picture is not None:
                self._picture.hurry = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(HUNG_NS / SECOND)
        return not self._thread.is_alive()

    # the thread

    def _run(self) -> None:
        try:
            if self._begin():
                self._mix()
        except BaseException as error:
            log.exception("mixing failed")
            self.error = error
        self.done = True
        self.busy = False
        self._wake()

    def _begin(self) -> bool:
        """Wait for the room's first frame, unless an earlier recorder had it, or nobody need be there any more. False:
        nothing is to be rendered."""
        with self._changed:
            while not self._abandoned:
                if self._feed.caught_up or self._alone():
                    if self.start_ns:
                        break
                    first_ns = min(max(self._feed.first_ns, self._since_ns), self._at_latest_ns)
                    at_ns = self._pauses.room_ns(first_ns, 0) if first_ns < FOREVER_NS else None
                    if at_ns is not None and self._now() >= at_ns + LATENCY_NS:
                        self.start_ns = at_ns
                        break
                if not self.start_ns and self._now() >= self._stop_ns + LATENCY_NS:
                    return False
                self._changed.wait(0.02)
            if self._abandoned or self.start_ns >= self._stop_ns:
                return False
        self.busy = True
        self._picture, self._sound = self._stages()
        self._tell_encoder()
        if self._resume is not None:
            self._tick = self._resume.picture
            if self._sound is not None:
                self._sound.begin(self._resume.sound)
                if self._picture is None:
                    self._tick = self._sound.begins_ns * self._rate // SECOND
            at_ns = self._room_ns(self._tick)
            lost_ns = self._now() - max(OVERLOAD_NS, self._feed.ring_ns)
            if at_ns is not None and at_ns < lost_ns:
                self._leave_out("ring", at_ns, lost_ns)
        behind_ns = max(0, self._now() - (self._room_ns(self._tick) or self._now()))
        self._behind_ns = behind_ns if self._resume is not None else 0
        self._allowed_ns = behind_ns + OVERLOAD_NS
        return True

    def _alone(self) -> bool:
        return time.monotonic_ns() - self._feed.lost_ns > _ALONE_NS

    def _behind(self, at_ns: int) -> bool:
        """Whether the ingest or the main thread has still to take what came by then: on a machine that is full, or
        that stood still. What is waited is counted, not what passes: nobody counts while all stand still."""
        behind = self._feed.heard_ns < at_ns + HEARD_NS
        self._waited_ns = self._waited_ns + _POLL_NS if behind else 0
        return behind and self._waited_ns <= _ALONE_NS

    def _media_ns(self, tick: int) -> int:
        return tick * SECOND // self._rate

    def _room_ns(self, tick: int) -> int | None:
        return self._pauses.room_ns(self.start_ns, self._media_ns(tick))

    def _mix(self) -> None:
        while True:
            self.rounds += 1
            pauses = self._pauses
            self._tell_pause(pauses)  # not inside the lock: an encoder may take its time
            with self._changed:
                if self._abandoned:
                    return
                if pauses is not self._pauses:
                    continue
                at_ns = self._room_ns(self._tick)
                if self._stop_ns < FOREVER_NS and (at_ns is None or at_ns >= self._stop_ns):
                    break
                if at_ns is None:
                    self._wait(1.0)
                    continue
                self.at_ns = at_ns
                late_ns = self._now() - at_ns - SECOND // self._rate - LATENCY_NS
                if late_ns < 0:
                    self._allowed_ns = OVERLOAD_NS
                    self._tell_resumed()
                    together_ns = min(GROUP_NS, max(0, self._stop_ns - at_ns))
                    self._wait((together_ns - late_ns) / 1e9)
                    continue
                if self._behind(at_ns) or not (self._feed.caught_up or self._alone()):
                    self._wait(_POLL_NS / SECOND)
                    continue
            if late_ns > self._allowed_ns and self._stop_ns == FOREVER_NS:  # afterwards it only has to come to an end
                self._leave_out("overload", at_ns, self._now() - LATENCY_NS)
                continue
            began_ns = time.monotonic_ns()
            self._render(at_ns, pauses)
            now_ns = time.monotonic_ns()
            self._adapt(self._load.look(now_ns, max(0, late_ns - GROUP_NS), now_ns - began_ns))
        self._finish()

    def _wait(self, seconds: float) -> None:
        """Inside the lock: for a change, or so long."""
        self.busy = False
        self._changed.wait(seconds)
        self.busy = True

    def _render(self, at_ns: int, pauses: Pauses) -> None:
        if self._picture is not None:
            self._times[self._tick] = at_ns
            for encoded in self._picture.render(self._tick, at_ns, self._key):
                self._pictured(encoded.tick, encoded.key, encoded.payload)
            self._key = False
        else:
            self._feed.people(at_ns)  # lets go of who has left
        self._tick += 1
        if self._sound is not None:
            media_ns = self._media_ns(self._tick)
            if pauses.paused:  # sound of the open pause is not there yet, and what is before it may be the end
                media_ns = min(media_ns, pauses.media_ns(self.start_ns, pauses.spans[-1][0]) - FADE_NS)
            if self._stop_ns < FOREVER_NS:
                self._sound.end(pauses.media_ns(self.start_ns, self._stop_ns))
            self._sounded(self._sound.until(media_ns, self.start_ns, pauses))

    def _pictured(self, tick: int, key: bool, payload: bytes) -> None:
        room_ns = self._times.pop(tick)
        sounds = self._sounds
        while sounds and sounds[0].room_ns < room_ns:
            self._give(sounds.popleft())
        self._give(Made(True, key, tick + 1, room_ns, payload))

    def _give(self, made: Made) -> None:
        self.made.append(made)
        for push in self.pushes:
            push.put(made.video, made.key, made.room_ns, made.payload)

    def _sounded(self, made: list[Made]) -> None:
        """Sound waits for the pictures before it: the log has both in the order of their times."""
        if self._picture is not None:
            self._sounds.extend(made)
            return
        for frame in made:
            self._give(frame)

    def _empty(self) -> None:
        """Everything out of the picture's encoder."""
        if self._picture is not None:
            for encoded in self._picture.encoder.flush():
                self._pictured(encoded.tick, encoded.key, encoded.payload)
        while self._sounds:
            self._give(self._sounds.popleft())

    def _tell_pause(self, pauses: Pauses) -> None:
        """Once for each pause, behind the last frame before it."""
        spans = pauses.spans
        if not spans or spans[-1][0] <= self._paused_ns:
            return
        at_ns = pauses.room_ns(self.start_ns, self._media_ns(self._tick))
        begin_ns = next(begin for begin, _ in spans if begin > self._paused_ns)
        if at_ns is not None and at_ns < begin_ns:
            return
        self._paused_ns = begin_ns
        if begin_ns < self.start_ns:
            return
        self._empty()
        self._key = True
        media_ns = pauses.media_ns(self.start_ns, begin_ns)
        first = -(-media_ns * self._rate // SECOND)
        if first < self._tick:  # it was told of later than it began: what was rendered of it does not count
            self._tick = first
            if self._sound is not None:
                self._sound.rewind(media_ns)
        self.made.append(Mark("pause", begin_ns, begin_ns))

    def _leave_out(self, why: str, from_ns: int, to_ns: int) -> None:
        """Go on at a later tick."""
        if self._picture is not None:
            self._empty()
        self._key = True
        media_ns = self._pauses.media_ns(self.start_ns, to_ns)
        self._tick = max(self._tick + 1, -(-media_ns * self._rate // SECOND))
        if self._sound is not None:
            for frame in self._sound.skip(self._media_ns(self._tick)):
                self._give(frame)
        self._feed.left_out_ns = self._room_ns(self._tick) or to_ns
        self.made.append(Mark(why, from_ns, self._feed.left_out_ns))

    def _tell_encoder(self) -> None:
        if self._picture is None:
            return
        encoder = self._picture.encoder
        log.info("encoder", name=encoder.name, preset=encoder.preset)
        if encoder.why:
            self.notices.append(("encoder_hardware", f"{encoder.name} encodes the picture: {encoder.why}", 0))

    def _tell_resumed(self) -> None:
        if self._behind_ns:
            message = f"the mix went on {self._behind_ns / 1e9:.2f} s behind the call and has caught up"
            self.notices.append(("mix_resumed", message, self._now()))
            self._behind_ns = 0

    def _adapt(self, effort: int) -> None:
        if not effort or self._picture is None:
            return
        encoder = self._picture.encoder
        preset = encoder.slower() if effort > 0 else encoder.faster()
        if preset:
            why = "it keeps up easily" if effort > 0 else "it does not keep up"
            self.notices.append(
                ("encoder_preset", f"the picture is encoded with the preset {preset} from now on: {why}", 0)
            )

    def _finish(self) -> None:
        stop_ns = self._stop_ns
        if self._sound is not None:
            media_ns = self._pauses.media_ns(self.start_ns, stop_ns)
            self._sounded(self._sound.finish(media_ns, self.start_ns, self._pauses))
        self._empty()
