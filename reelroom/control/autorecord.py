"""Recordings that rules start. What is there and what is recorded are compared whenever either changes; ends none:
a recorder does that by itself, when what it records has been away for the rule's `resume_s`.

That there is one recording for a match and no more is the database's doing (the index `recordings_one`): whatever is
killed when, and whoever else tries. A recording that was stopped by hand, or had its longest time, is not begun again
before everybody whom it was for has left; one that ended because nobody was there is, as soon as somebody is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelroom.control.apps import Apps
from reelroom.control.errors import ControlError
from reelroom.control.new_recording import NewRecording
from reelroom.control.recorded import Recorded
from reelroom.control.rules import Rules, StoredRule
from reelroom.control.starts import Starts
from reelroom.control.streams import Present, Streams
from reelroom.control.templates import Declined, Templates, recording_of
from reelroom.domain.recording import ACTIVE, Selection, StopReason, Subscription
from reelroom.domain.rules import Match, Per, match_of

log = structlog.get_logger("reelroom.autorecord")

AT_ONCE = 8  # starts at the same time
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_SLACK_NS = 5_000_000_000  # who came so shortly before an idle end was not seen by the recorder
_MARGIN_S = 0.05
_S = 1_000_000_000
_LASTING = frozenset({"unavailable", "conflict", "overloaded"})  # refusals that may be none a moment later


class AutoRecord:
    """Starts what rules want. One per control process."""

    def __init__(
        self,
        ring_s: float,
        apps: Apps,
        streams: Streams,
        rules: Rules,
        templates: Templates,
        recorded: Recorded,
        starts: Starts,
    ) -> None:
        self._ring_s = ring_s
        self._apps = apps
        self._streams = streams
        self._rules = rules
        self._templates = templates
        self._recorded = recorded
        self._starts = starts
        self._going: dict[str, Match] = {}  # recordings that rules have going on → what for
        self._tasks: dict[Match, asyncio.Task[None]] = {}
        self._again: set[Match] = set()  # looked at once more when its task is done
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.started = 0
        self.failures: dict[str, str] = {}  # why a rule's last start failed, by its id

    async def start(self) -> None:
        """Load the rules; from now on what the ingest processes tell is held against them."""
        await self._rules.load()
        self._rules.changed = self._reconsider
        self._streams.listen(self._stream)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ended(self, recording: str) -> None:
        """A recording has been stopped: whoever came back a moment too late for it gets another one."""
        match = self._going.pop(recording, None)
        if match is not None:
            self._look_soon(match)

    def _stream(self, present: Present, here: bool, _reason: str) -> None:
        if not here:
            return
        for stored in self._rules.of(present.stream.app):
            if stored.rule.matches(present.stream):
                self._look_soon(match_of(stored.id, stored.rule, present.stream))

    def _reconsider(self, app: str) -> None:
        """The app's rules have changed."""
        for rule in self.failures.keys() - {stored.id for stored in self._rules.of(app)}:
            if self._rules.find(app, rule) is None and all(match.rule != rule for match in self._tasks):
                del self.failures[rule]
        for present in self._streams.all(app):
            self._stream(present, True, "")

    def _look_soon(self, match: Match) -> None:
        if match in self._tasks:
            self._again.add(match)
            return
        task = asyncio.create_task(self._look(match), name=f"rule {match.rule} in {match.room}")
        self._tasks[match] = task
        task.add_done_callback(lambda _task: self._looked(match))

    def _looked(self, match: Match) -> None:
        self._tasks.pop(match, None)
        if match in self._again:
            self._again.discard(match)
            self._look_soon(match)

    async def _look(self, match: Match) -> None:
        """Start the match's recording unless it is not wanted; tried again while what it is for is there."""
        tries = 0
        while (wanted := self._wanted(match)) is not None:
            stored, present = wanted
            try:
                async with self._gate:
                    await self._begin(stored, match, present)
                self.failures.pop(stored.id, None)
                return
            except Declined:
                return
            except ControlError as error:
                if error.kind not in _LASTING:
                    self._failed(match, f"{error.where}: {error.message}".removeprefix(": "))
                    return
                self._failed(match, error.message)
            except (SQLAlchemyError, OSError) as error:
                self._failed(match, repr(error))
            except Exception as error:  # a dialect's mistake, or a template of another version's
                log.exception("a rule's recording cannot be made", rule=match.rule, app=match.app)
                self.failures[match.rule] = repr(error)[:300]
                return
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _failed(self, match: Match, why: str) -> None:
        self.failures[match.rule] = why[:300]
        log.error("a rule started no recording", rule=match.rule, app=match.app, room=match.room, error=why)

    def _wanted(self, match: Match) -> tuple[StoredRule, list[Present]] | None:
        """The rule of a match and the streams that are there for it; None: there are none, or no such rule any more."""
        stored = self._rules.find(match.app, match.rule)
        if stored is None:
            return None
        here = [
            present
            for present in self._streams.all(match.app, match.room)
            if stored.rule.matches(present.stream) and match_of(stored.id, stored.rule, present.stream) == match
        ]
        return (stored, here) if here else None

    async def _begin(self, stored: StoredRule, match: Match, present: Sequence[Present]) -> None:
        last = await self._recorded.last_match(match.key)
        while last is not None and last.state in ACTIVE:
            if last.id in self._going:
                return
            self._going[last.id] = match  # from now on we hear of its end; it may have come just before
            last = await self._recorded.last_match(match.key)
        ended_ns = 0
        if last is not None:
            self._going.pop(last.id, None)
            ended_ns = last.stopped_ns or last.finished_ns or last.created_ns
            if last.reason == StopReason.IDLE:
                if all(one.joined_ns < ended_ns - _SLACK_NS for one in present):
                    return  # they were there all the time: it does not want what they send
            elif any(one.joined_ns < ended_ns for one in present):
                return  # stopped while they were there, and they have not left since
        since_ns = max(min(one.since_ns for one in present), stored.created_ns, ended_ns)
        new = await self._new(stored, match, since_ns)
        row = await self._starts.start(new)
        self._going[row.id] = match
        self.started += 1
        log.info("a rule started a recording", rule=stored.id, app=match.app, room=match.room, recording=row.id)

    async def _new(self, stored: StoredRule, match: Match, since_ns: int) -> NewRecording:
        app = await self._apps.by_id(match.app)
        if app is None:
            raise ControlError("not_found", f"the app {match.app} is gone")
        template = await self._templates.get(match.app, stored.dialect, stored.rule.template)
        now = time.time_ns()
        new = await recording_of(template, app, match.room, now, match)
        spec = new.spec
        subscription = spec.subscription
        if stored.rule.per is Per.STREAM:
            only = Selection(include=(match.identity,))
            subscription = Subscription(
                audio=None if subscription.audio is None else only,
                video=None if subscription.video is None else only,
                sources=match.sources,
            )
        late_s = max(0, now - since_ns) / _S + _MARGIN_S
        preroll_s = spec.preroll_s
        if late_s <= self._ring_s:  # the ring still has the stream's beginning
            preroll_s = max(preroll_s, late_s)
        spec = msgspec.structs.replace(
            spec,
            subscription=subscription,
            limits=msgspec.structs.replace(spec.limits, idle_s=stored.rule.resume_s),
            preroll_s=preroll_s,
            requested_ns=now,
        )
        return replace(new, spec=spec, match=match.key, idempotency_key=None)
