"""A mixed recording within the recorder's process: what mixes, and what the main thread has to do with it.

All methods are for the main thread. Owns no bus, no journal and no outputs but the mix's own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import RecordingSpec, Subscription
from reelroom.domain.scene import Scene
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record import recovery
from reelroom.record.mixed.codecs import UNKNOWN
from reelroom.record.mixed.decoder import PictureDecoder
from reelroom.record.mixed.encoder import PictureEncoder
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.frames import OUTPUT, Resume
from reelroom.record.mixed.images import Images
from reelroom.record.mixed.loudness import Log, Meter
from reelroom.record.mixed.mixer import Mixer, Stages
from reelroom.record.mixed.output import MixedOutput
from reelroom.record.mixed.push import Push
from reelroom.record.mixed.seen import FOREVER_NS
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.soundstage import SoundStage
from reelroom.record.mixed.stage import Stage
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.record.mixed.watchdog import HUNG_NS, Watchdog
from reelroom.record.paths import Paths
from reelroom.record.worker import Worker

_BEFORE_NS = 2 * SECOND  # what is heard and seen again after a restart, so that decoders have settled
_SHORTEST_NS = 20_000_000  # no encoder's frame is shorter


class MixedRecording:
    """`now` is the room time, `wake` wakes the main thread, `hardware` are the encoders to try before software."""

    STOP_NS = 60 * SECOND  # whoever is behind at the stop gets so long to render the rest

    def __init__(
        self,
        paths: Paths,
        spec: RecordingSpec,
        since_ns: int,
        worker: Worker,
        send: Callable[[Struct], None],
        now: Callable[[], int],
        wake: Callable[[], None],
        hardware: tuple[str, ...] = (),
    ) -> None:
        assert spec.mix is not None
        self._mix = spec.mix
        self._spec = spec
        self._paths = paths
        self._worker = worker
        self._since_ns = since_ns
        self._send = send
        self._now = now
        self._wake = wake
        self._hardware = hardware
        self._hung: frozenset[str] = frozenset()  # encoders that did not come back in earlier recorders
        self._failed = ""  # how the last one of them failed
        self._watchdog = Watchdog()
        self._stopping = self._given_up = False
        self.lost = False  # the mixing thread hangs or has failed: this process is to end, and another one to go on
        self._pauses = Pauses()
        self._resume: Resume | None = None
        self._scenes: list[tuple[int, Scene]] = [(0, spec.mix.scene)]
        wanted = spec.subscription
        self._sound = SoundMixer(self._mix.sample_rate, self._mix.channels) if wanted.audio is not None else None
        if self._sound is not None:
            self._sound.most = self._mix.scene.voices
        self.feed = Feed(
            wanted,
            self._decoder if wanted.video is not None else None,
            self._sound,
            worker.lines,
            send,
            gaps_of="" if spec.mix.individual else OUTPUT,
        )
        self._loudness = Log(paths, self._mix.loudness) if self._mix.loudness and self._sound is not None else None
        self._volumes: deque[tuple[int, list[tuple[str, str, int]]]] = deque()  # of seconds that are not kept yet
        if self._loudness is not None and self._sound is not None:
            self._sound.meter = Meter()
        self._output = MixedOutput(paths, spec, worker, lambda: self._pauses)
        self._pushes = tuple(
            Push(push, spec.mix, video=wanted.video is not None, audio=wanted.audio is not None)
            for push in spec.mix.pushes
        )
        self._closers: list[threading.Thread] = []
        self._mixer: Mixer | None = None

    # life

    def adopt(self, found: recovery.Found, gaps: Iterable[lines.Gap], now_ns: int) -> None:
        """What a predecessor has left, if there was one."""
        self._resume = self._output.adopt(found, now_ns)
        self._hung, self._failed = frozenset(found.hung), found.failed
        self.feed.restore(found.orders, gaps)

    def start(self) -> None:
        """Begin to mix, once everything that is known from before has been told."""
        self._mixer = Mixer(
            self._mix.fps if self._spec.subscription.video is not None else 0,
            self.feed,
            self._stages,
            self._now,
            self._wake,
            self._since_ns,
            self._resume,
            self._at_latest_ns(),
        )
        self._mixer.set_pauses(self._pauses)
        self._mixer.pushes = self._pushes
        for push in self._pushes:
            push.start()
        self._mixer.start()

    def _at_latest_ns(self) -> int:
        """The room time at which it begins though nobody sends anything."""
        if self._mix.at_once:
            return self._since_ns
        return self._since_ns + round(self._mix.wait_s * SECOND) if self._mix.wait_s else FOREVER_NS

    def since_ns(self) -> int:
        """The room time from which on the ingest should send what it still has."""
        mixer = self._mixer
        if mixer is not None and mixer.at_ns:
            return mixer.at_ns - _BEFORE_NS
        if self._resume is not None:
            return self._resumed_ns(self._resume) - _BEFORE_NS
        return self._since_ns

    def tick(self, now_ns: int) -> None:
        """Every 100 ms. Raises OSError (a full disk)."""
        mixer = self._mixer
        if mixer is None:
            return
        if mixer.error is not None and not self.lost and not self._given_up:
            self._fail(mixer.error)
        self._output.take(mixer, now_ns)
        self._output.tick(now_ns)
        self._keep_volumes()
        if self._output.opened is not None:
            self.feed.begun(self._output.opened.start_ns)
        self.feed.ask_for_keys(now_ns)
        while mixer.notices:
            code, message, at_ns = mixer.notices.popleft()
            self._worker.lines([lines.Notice(code=code, message=message, output=OUTPUT, at_ns=at_ns)])
        self._tell_of_pushes()
        if not self.lost and self._watchdog.hung(now_ns, mixer.rounds, mixer.busy):
            self.lost = True
            self._tell_hung(mixer)

    def _fail(self, error: BaseException) -> None:
        """Another recorder tries again. It is told once, however often they fail in the same way; a recording that is
        stopped then ends with what there is."""
        message = f"mixing failed: {error!r}"
        again = message == self._failed
        self._given_up = again and self._stopping
        self.lost = not self._given_up
        if not again:
            self._worker.lines([lines.Notice(code="mix_failed", message=message, output=OUTPUT, at_ns=self._now())])

    def _tell_hung(self, mixer: Mixer) -> None:
        """The next recorder reads it, and takes an encoder that is less likely to do it again."""
        about = mixer.encoder or (UNKNOWN if mixer.beginning and self._hardware else "")
        what = f"the encoder {about}" if about else "the mix"
        message = f"{what} did not come back for {HUNG_NS // SECOND} s: another recorder goes on where it stopped"
        self._worker.lines(
            [lines.Notice(code="mix_hung", message=message, output=OUTPUT, about=about, at_ns=self._now())]
        )

    def _keep_volumes(self) -> None:
        while self._loudness is not None and self._volumes:
            self._loudness.add(*self._volumes[0])
            self._volumes.popleft()

    def _tell_of_pushes(self) -> None:
        for push in self._pushes:
            while push.notices:
                notice = push.notices.popleft()
                code = notice.code.replace(".", "_")
                self._worker.lines([lines.Notice(code=code, message=notice.message, output=OUTPUT, about=notice.push)])

    # commands

    def set_pauses(self, pauses: Pauses) -> None:
        """A pause or a resume."""
        self._pauses = self.feed.pauses = pauses
        if self._mixer is not None:
            self._mixer.set_pauses(pauses)

    def subscribe(self, at_ns: int, subscription: Subscription) -> None:
        self.feed.subscribe(at_ns, subscription)

    def show(self, at_ns: int, scene: Scene) -> None:
        """Another scene from then on."""
        self._scenes.append((at_ns, scene))
        if self._sound is not None:
            self._sound.most = scene.voices

    def stop(self, at_ns: int) -> None:
        self._stopping = True
        if self._mixer is not None:
            self._mixer.stop_at(at_ns)

    @property
    def done(self) -> bool:
        mixer = self._mixer
        return mixer is None or (mixer.done and (mixer.error is None or self._given_up))

    def finish(self, now_ns: int, before_ns: int | None, giving_up: bool) -> None:
        """The recording is stopped: write what was made, close what is open. `giving_up`: the disk is full."""
        mixer = self._mixer
        if mixer is not None:
            whole = mixer.done and mixer.error is None
            mixer.abandon()
            if not giving_up:
                self._output.take(mixer, now_ns)
                self._keep_volumes()
            if not giving_up and before_ns is not None:
                self._tell_lost(None if whole else mixer, before_ns)
        self._output.finish(before_ns, giving_up)
        self._close()

    def _tell_lost(self, mixer: Mixer | None, to_ns: int) -> None:
        """The end of the recording that was left out, or is not rendered any more by a `mixer` that has not ended."""
        opened = self._output.opened
        if opened is None:
            return
        for kind in ("video", "audio") if opened.kind == "av" else (opened.kind,):
            mark = self._output.left_out.get(kind == "video")
            if mark is not None:
                from_ns, reason = mark.from_ns, mark.what
            elif mixer is not None:
                from_ns, reason = mixer.at_ns, "overload" if mixer.error is None else "failure"
            else:
                continue
            if from_ns < to_ns:
                self._worker.lines(
                    [lines.Gap(output=OUTPUT, kind=kind, identity="", from_ns=from_ns, to_ns=to_ns, reason=reason)]
                )

    def keep(self, now_ns: int) -> None:
        """This process ends and another one will go on. Nobody waits for a thread that hangs."""
        if self._mixer is not None:
            if not self.lost and not self._mixer.abandon():
                self.lost = True
                self._tell_hung(self._mixer)
            self._output.take(self._mixer, now_ns)
        self._output.keep()
        if not self.lost:
            self._close()

    def end(self) -> None:
        """The process ends: wait for what has still to be pushed."""
        for closer in self._closers:
            closer.join()

    def _close(self) -> None:
        self._tell_of_pushes()
        self.feed.close()
        self._closers = [threading.Thread(target=push.close, daemon=True) for push in self._pushes]
        for closer in self._closers:
            closer.start()

    # in the mixing thread

    def _decoder(self, info: TrackInfo, on_key_wanted: Callable[[], None]) -> PictureDecoder:
        return PictureDecoder(info.codec, on_key_wanted)

    def _stages(self) -> Stages:
        picture = sound = None
        if self._spec.subscription.video is not None:
            picture = Stage(
                self._mix,
                self._scenes,
                self.feed,
                Images(self._paths.folder / "images"),
                lambda: PictureEncoder(self._mix, self._hardware, hung=self._hung),
            )
        if self._sound is not None:
            told = self._passed if self._loudness is not None else None
            sound = SoundStage(self._mix, self._sound, lambda: SoundEncoder(self._mix), told)
        return Stages(picture, sound)

    def _passed(self, second: int) -> None:
        self._volumes.append((second, self.feed.volumes()))

    def _resumed_ns(self, resume: Resume) -> int:
        """About where it goes on; of sound alone not after that."""
        media_ns = resume.picture * SECOND // self._mix.fps if resume.picture else resume.sound * _SHORTEST_NS
        return self._pauses.room_ns(resume.start_ns, media_ns) or self._now()
