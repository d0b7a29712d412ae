"""Which tracks there are, and lately were, with lines for the journal when that changes. Takes no frames."""

from __future__ import annotations

from reelroom.domain import lines
from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND
from reelroom.record.output import FOREVER_NS, TrackIn
from reelroom.record.outputs import Outputs
from reelroom.record.worker import Worker
from reelroom.rooms import protocol

ENDED_NS = 120 * SECOND  # longer than any ring


class Tracks:
    """All tracks of one recording, over connections that break and come back. `now_ns` is the monotonic clock."""

    def __init__(
        self, published: dict[int, TrackIn], subscription: Subscription, outputs: Outputs, worker: Worker
    ) -> None:
        """`published` are those of which `outputs` knows too."""
        self.subscription = subscription
        self.published = published
        self.ended: dict[int, tuple[TrackIn, int]] = {}  # that went lately, and when on the monotonic clock
        self._told: set[int] = set()  # those whose state this connection has told
        self._outputs = outputs
        self._worker = worker

    def hello(self, now_ns: int) -> None:
        """A connection begins: it tells of everything that is there."""
        self._told.clear()
        for track in list(self.published.values()):
            track.fresh = False
            if track.until_ns < FOREVER_NS:  # nobody says its end any more: it was let go with the last connection
                self._remove(track, track.until_ns, "unsubscribed", now_ns)

    def ingest_died(self, room_ns: int, now_ns: int) -> None:
        """And with it all tracks."""
        for track in list(self.published.values()):
            self._remove(track, room_ns, "ingest_restart", now_ns)
        self.ended.clear()  # the next ingest numbers its own

    def message(self, message: protocol.TrackRemoved | protocol.TrackState | protocol.GapSeen, now_ns: int) -> None:
        """Something of one track, if it is one of ours."""
        track = self.published.get(message.track)
        if track is None:
            return
        match message:
            case protocol.TrackRemoved():
                self._remove(track, message.room_ns, message.reason, now_ns)
            case protocol.TrackState():
                self._state(track, message)
            case protocol.GapSeen():
                if message.reason == "ring":
                    track.ring_gap = False
                if track.output is not None and not track.passed_over:
                    track.output.note(track, message)

    def added(self, added: protocol.TrackAdded) -> None:
        """One is there: newly, or since before this connection."""
        info = added.info
        track = self.published.get(info.track)
        if track is not None:  # a connection that came back
            track.fresh = True
            if added.next_seq > track.last_seq + 1:
                track.ring_gap = True
                track.short_until = -1
            return
        if not self.subscription.wants(info.identity, info.source):
            return
        before = self.ended.pop(info.track, None)
        if before is not None and before[0].output not in (None, *self._outputs):
            return  # of an output that has ended
        if before is not None and not before[0].unsubscribed:  # the rest of a track that had gone already
            self.published[info.track] = before[0]
            before[0].fresh = before[0].known_gone = True
            return
        track = self.published[info.track] = TrackIn(added)
        track.last_seq = before[0].last_seq if before is not None else 0
        self._outputs.end_left(track, added.room_ns)
        output = self._outputs.of(track)
        if output is not None:
            output.add_track(track)
        self._worker.lines([lines.Track(info=info, at_ns=added.room_ns, change="added")])

    def _remove(self, track: TrackIn, room_ns: int, reason: str, now_ns: int) -> None:
        del self.published[track.number]
        track.live = False
        self.ended[track.number] = (track, now_ns)
        track.unsubscribed = reason == "unsubscribed"
        if track.known_gone:
            return
        output = track.output
        if output is not None:
            if not track.passed_over:
                output.note(track, protocol.TrackRemoved(track=track.number, room_ns=room_ns, reason=reason))
            output.remove_track(track, now_ns)
            output.left_ns = room_ns
            for other in output.tracks.values():
                if other.video == track.video and other.live and other.passed_over and not track.passed_over:
                    other.passed_over, other.needs_key = False, other.video
        self._worker.lines([lines.Track(info=track.info, at_ns=room_ns, change="removed", reason=reason)])

    def _state(self, track: TrackIn, state: protocol.TrackState) -> None:
        self._told.add(track.number)
        if track.muted == state.muted:
            return
        track.muted = state.muted
        if state.muted:
            track.muted_ns = state.room_ns
        else:
            self._outputs.end_muted(track, state.room_ns)
        if track.output is not None and not track.passed_over:
            track.output.note(track, state)
            track.output.refresh()
        change = "muted" if state.muted else "unmuted"
        self._worker.lines([lines.Track(info=track.info, at_ns=state.room_ns, change=change)])

    def caught_up(self, room_ns: int, now_ns: int) -> None:
        """All that are there have been told of: the others went while nobody listened."""
        for track in list(self.published.values()):
            if not track.fresh:
                wanted = self.subscription.wants(track.info.identity, track.info.source)
                self._remove(track, room_ns, "left" if wanted else "unsubscribed", now_ns)
            elif track.muted and track.number not in self._told:
                self._state(track, protocol.TrackState(track=track.number, room_ns=room_ns, muted=False))

    def subscribe(self, at_ns: int, subscription: Subscription) -> None:
        """From `at_ns` on other tracks are wanted. The ingest ends the others when all from before has come."""
        self.subscription = subscription
        for track in self.published.values():
            if not subscription.wants(track.info.identity, track.info.source):
                track.until_ns = min(track.until_ns, at_ns)
                track.short_until = min(track.short_until, at_ns)

    def forget(self, now_ns: int) -> None:
        """Those of which the ingest has nothing any more."""
        for number in [n for n, (_, gone_ns) in self.ended.items() if now_ns - gone_ns > ENDED_NS]:
            del self.ended[number]

    def known(self) -> list[TrackIn]:
        """Those that are published, and those that went lately."""
        return [*self.published.values(), *(track for track, _ in self.ended.values())]

    def positions(self) -> tuple[protocol.Position, ...]:
        """What has been received of each track, of those that went lately too: the ingest still has them."""
        return tuple(protocol.Position(track=t.number, seq=t.last_seq) for t in self.known() if t.last_seq)
