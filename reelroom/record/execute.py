"""What commands do to a recording that goes on: pauses, subscriptions, scenes. Reads none (see `commands.py`).

Pause and resume: frames of the pause are left out and its time is cut out of media time. On resume a key frame
is asked for, sound goes on at once, and pictures go on at the first key frame after the resume.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from reelroom.domain import lines
from reelroom.record.intake import Intake
from reelroom.record.mixed.recording import MixedRecording
from reelroom.record.worker import Worker
from reelroom.rooms import protocol


class Executor:
    """Carries out every command but Stop. `send` reaches the ingest."""

    def __init__(
        self, intake: Intake, mixed: MixedRecording | None, worker: Worker, send: Callable[[Struct], None]
    ) -> None:
        self._intake = intake
        self._mixed = mixed
        self._worker = worker
        self._send = send

    def restore(self, command: lines.AnyCommand) -> None:
        """Take over the state that a command has left which the journal shows as carried out."""
        match command:
            case lines.Pause(at_ns=at_ns):
                self._intake.pauses = self._intake.pauses.pause(at_ns)
            case lines.Resume(at_ns=at_ns):
                self._intake.pauses = self._intake.pauses.resume(at_ns)
            case lines.Change(at_ns=at_ns, subscription=subscription):
                self._intake.tracks.subscription = subscription
                if self._mixed is not None:
                    self._mixed.subscribe(at_ns, subscription)
            case lines.ChangeScene(at_ns=at_ns, scene=scene) if self._mixed is not None:
                self._mixed.show(at_ns, scene)
            case _:
                pass

    def foresee(self, command: lines.AnyCommand) -> None:
        """A command that is still to be carried out: a mix must not render beyond it without it."""
        if isinstance(command, lines.ChangeScene) and self._mixed is not None:
            self._mixed.show(command.at_ns, command.scene)

    def carry_out(self, command: lines.AnyCommand, now: int, guarded: Callable[[Callable[[], None]], None]) -> None:
        """Do what was foreseen and say so in the journal. `guarded` runs what writes logs."""
        at_ns = command.at_ns
        match command:
            case lines.Pause():
                guarded(lambda: self._intake.pause(at_ns, now))
                self.mix_pauses()
                self._worker.lines([lines.Paused(at_ns=at_ns)])
            case lines.Resume():
                self._intake.resume(at_ns, now)
                self.mix_pauses()
                self._worker.lines([lines.Resumed(at_ns=at_ns)])
            case lines.Change(subscription=subscription):
                self._intake.tracks.subscribe(at_ns, subscription)
                if self._mixed is not None:
                    self._mixed.subscribe(at_ns, subscription)
                self._send(protocol.Update(subscription=subscription, at_ns=at_ns))
                self._worker.lines([lines.Subscribed(at_ns=at_ns, subscription=subscription)])
            case lines.ChangeScene(scene=scene):  # control refuses it for recordings without a mix
                self._worker.lines([lines.SceneChanged(at_ns=at_ns, scene=scene)])

    def mix_pauses(self) -> None:
        """Tell the mix which pauses there are."""
        if self._mixed is not None:
            self._mixed.set_pauses(self._intake.pauses)
