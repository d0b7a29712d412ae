"""One room: its sessions, its tracks and the recordings that listen. Holds no sockets and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge

from msgspec import Struct

from reelroom.domain.recording import Subscription
from reelroom.rooms import protocol
from reelroom.rooms.live import LiveTrack
from reelroom.rooms.ring import Kept, Ring
from reelroom.rooms.session import Session
from reelroom.rooms.subscriber import Subscriber
from reelroom.rtc.loss import WAIT_NS


class Room:
    """Made by its first participant or its first subscriber; `empty` when neither is left."""

    def __init__(
        self, app: str, name: str, now_ns: int, ring_ns: int, ring_bytes: int, number: Callable[[], int]
    ) -> None:
        self.app = app
        self.name = name
        self.created_ns = now_ns
        self.sessions: dict[str, Session] = {}
        self.tracks: dict[int, LiveTrack] = {}
        self.ended: list[LiveTrack] = []  # gone, but still in a ring's length: a recorder that comes back needs them
        self.subscribers: list[Subscriber] = []
        self.low = False  # somebody wanted the smallest layers: they are there beside the largest from then on
        self._ring_ns = ring_ns
        self._ring_bytes = ring_bytes
        self.next_track_number = number
        self.watch: Callable[[protocol.Published], None] | None = None  # told of every track that comes and goes

    @property
    def empty(self) -> bool:
        return not self.sessions and not self.subscribers and not self.ended

    def new_ring(self, kind: str) -> Ring:
        return Ring(video=kind == "video", length_ns=self._ring_ns, max_bytes=self._ring_bytes)

    # --- participants -------------------------------------------------------------------------------------------

    def connected(self, session: Session, now_ns: int) -> list[Session]:
        """The session's transport is up: tell everybody. Returns sessions it takes the place of."""
        session.announced = True
        replaced = [other for other in self.sessions.values() if other is not session and other.overlaps(session)]
        self._tell(protocol.Participant(identity=session.identity, session=session.id, room_ns=now_ns, joined=True))
        return replaced

    def left(self, session: Session, reason: str, now_ns: int) -> None:
        self.sessions.pop(session.id, None)
        session.end(reason)
        if session.announced:
            self._tell(
                protocol.Participant(
                    identity=session.identity, session=session.id, room_ns=now_ns, joined=False, reason=reason
                )
            )

    def forget_ended(self, now_ns: int) -> None:
        """Let go of what is over: tracks that nobody can ask for any more, and waits for frames that did not come."""
        for live in self.tracks.values():
            for leaving in [each for each in live.leaving if now_ns >= each.deadline_ns]:
                live.let_go(leaving)
        self.ended = [live for live in self.ended if now_ns - live.ended_ns < self._ring_ns]

    # --- tracks -------------------------------------------------------------------------------------------------

    def add_track(self, live: LiveTrack, room_ns: int) -> None:
        self.tracks[live.info.track] = live
        live.began_ns = room_ns
        if self.watch is not None and not live.low:
            self.watch(self.published(live))
        for subscriber in self.subscribers:
            if self._wants(subscriber, live):
                live.subscribers.append(subscriber)
                subscriber.tell(protocol.TrackAdded(info=live.info, room_ns=room_ns, next_seq=1))

    def remove_track(self, live: LiveTrack, reason: str) -> None:
        self.tracks.pop(live.info.track, None)
        live.ended_ns = live.last_ns
        live.removed_reason = reason
        for leaving in tuple(live.leaving):
            live.let_go(leaving)
        for subscriber in live.subscribers:
            if subscriber.lagging:  # its ring goes soon: hand over the rest now
                live.hand_over(subscriber)
            subscriber.tell(protocol.TrackRemoved(track=live.info.track, room_ns=live.last_ns, reason=reason))
        live.subscribers.clear()
        self.ended.append(live)
        if self.watch is not None and not live.low:
            self.watch(self.published(live, here=False))

    def published(self, live: LiveTrack, *, here: bool = True) -> protocol.Published:
        """What a watcher is told of a track."""
        session = self.sessions.get(live.info.session)
        return protocol.Published(
            app=self.app,
            room=self.name,
            info=live.info,
            room_ns=live.began_ns if here else live.ended_ns,
            joined_ns=live.began_ns if session is None else session.joined_ns,
            here=here,
            reason="" if here else live.removed_reason,
        )

    def tell_state(self, live: LiveTrack, room_ns: int, *, muted: bool) -> None:
        live.tell(protocol.TrackState(track=live.info.track, room_ns=room_ns, muted=muted))

    def tell_gap(self, live: LiveTrack, from_ns: int, to_ns: int, packets: int, reason: str) -> None:
        live.tell(protocol.GapSeen(track=live.info.track, from_ns=from_ns, to_ns=to_ns, packets=packets, reason=reason))

    # --- subscribers --------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber, request: protocol.Subscribe, ingest: str, now_ns: int) -> None:
        """Send everything the recording asked for from the past, then what comes."""
        self.subscribers.append(subscriber)
        self._want_low(request.subscription)
        for session in self.sessions.values():
            if session.announced:
                subscriber.tell(
                    protocol.Participant(
                        identity=session.identity, session=session.id, room_ns=session.joined_ns, joined=True
                    )
                )
        known = {position.track: position.seq for position in request.resume} if request.ingest == ingest else {}
        past = [live for live in self.ended if live.ended_ns >= request.since_ns or live.info.track in known]
        tracks = [live for live in (*past, *self.tracks.values()) if self._wants(subscriber, live)]
        self._catch_up(subscriber, tracks, request.since_ns, known)
        for live in tracks:
            if live.ended_ns:
                subscriber.tell(
                    protocol.TrackRemoved(track=live.info.track, room_ns=live.ended_ns, reason=live.removed_reason)
                )
            else:
                live.subscribers.append(subscriber)
                if live.muted:
                    self._tell_one_state(subscriber, live)
        subscriber.tell(protocol.CaughtUp(room_ns=now_ns))

    def resubscribe(self, subscriber: Subscriber, request: protocol.Update, now_ns: int) -> None:
        """A changed subscription: tracks no longer wanted end at its time, new ones begin at the key frame before it.

        What was captured before that time and is still on its way is waited for as long as a lost packet is: by then
        it has come or has been given up.
        """
        at_ns = min(request.at_ns, now_ns)
        before = subscriber.subscription
        subscriber.subscription = request.subscription
        self._want_low(request.subscription)
        added = []
        for live in self.tracks.values():
            wanted, had = self._wants(subscriber, live), _wants(before, live)
            if had and not wanted:
                live.release(subscriber, at_ns, now_ns + WAIT_NS)
            elif wanted and not had:
                for leaving in [each for each in live.leaving if each.subscriber is subscriber]:
                    live.let_go(leaving)
                added.append(live)
        self._catch_up(subscriber, added, at_ns, {})
        for live in added:
            live.subscribers.append(subscriber)
            if live.muted:
                self._tell_one_state(subscriber, live)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        if subscriber in self.subscribers:
            self.subscribers.remove(subscriber)
        for live in self.tracks.values():
            if subscriber in live.subscribers:
                live.subscribers.remove(subscriber)
            live.leaving = [each for each in live.leaving if each.subscriber is not subscriber]

    def catch_up_lagging(self, subscriber: Subscriber) -> None:
        """A recorder that stopped reading reads again: give it from the rings what it missed."""
        subscriber.lagging = False
        backlog = {}
        for live in self.tracks.values():
            if subscriber in live.subscribers or any(each.subscriber is subscriber for each in live.leaving):
                seq = subscriber.positions.get(live.info.track, 0)
                live.tell_ring_gap(subscriber, seq)
                backlog[live.info.track] = live.ring.after(seq)
        self._replay(subscriber, backlog)

    def _catch_up(self, subscriber: Subscriber, tracks: list[LiveTrack], since_ns: int, known: dict[int, int]) -> None:
        backlog: dict[int, list[Kept]] = {}
        starts: dict[tuple[str, str], int] = {}
        for live in sorted(
            tracks, key=lambda one: one.info.kind, reverse=True
        ):  # video first: it says where audio begins
            output = (live.info.identity, live.info.source.output)
            if live.info.track in known:
                frames = live.ring.after(known[live.info.track])
            else:
                frames = live.ring.since(min(since_ns, starts.get(output, since_ns)))
            if frames and live.info.kind == "video":
                starts[output] = min(starts.get(output, frames[0].room_ns), frames[0].room_ns)
            backlog[live.info.track] = frames
        for live in tracks:
            number = live.info.track
            next_seq = backlog[number][0].seq if backlog[number] else live.seq + 1
            subscriber.tell(protocol.TrackAdded(info=live.info, room_ns=live.last_ns, next_seq=next_seq))
            if number in known:
                live.tell_ring_gap(subscriber, known[number])
            subscriber.positions[number] = known.get(number, next_seq - 1)
        self._replay(subscriber, backlog)

    def _replay(self, subscriber: Subscriber, backlog: dict[int, list[Kept]]) -> None:
        """The frames of several tracks in the order of their times."""
        for _, number, frame in merge(*(_tagged(number, frames) for number, frames in backlog.items())):
            subscriber.replay(number, (frame,))

    def _tell_one_state(self, subscriber: Subscriber, live: LiveTrack) -> None:
        subscriber.tell(protocol.TrackState(track=live.info.track, room_ns=live.last_ns, muted=True))

    def _wants(self, subscriber: Subscriber, live: LiveTrack) -> bool:
        return _wants(subscriber.subscription, live)

    def _want_low(self, subscription: Subscription) -> None:
        if subscription.layer == "low" and not self.low:
            self.low = True
            for session in self.sessions.values():
                session.want_low()

    def _tell(self, message: Struct) -> None:
        for subscriber in self.subscribers:
            subscriber.tell(message)


def _wants(subscription: Subscription, live: LiveTrack) -> bool:
    """Of a camera that comes in several layers there are two tracks: one of them is meant."""
    if live.low != (subscription.layer == "low" and live.remote.simulcast):
        return False
    return subscription.wants(live.info.identity, live.info.source)


def _tagged(number: int, frames: list[Kept]) -> Iterator[tuple[int, int, Kept]]:
    return ((frame.room_ns, number, frame) for frame in frames)
