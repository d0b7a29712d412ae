"""From the bus to the mix: whose pictures and sound there are at a room time. Draws, mixes and encodes nothing.

The main thread puts messages and frames in; the mixing thread asks who is there at a time that it renders, half a
second later. What has come to an end is let go when the mixing thread has passed it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from reelroom.domain import lines
from reelroom.domain.layout import Person
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.decoder import Picture, PictureDecoder
from reelroom.record.mixed.gaps import Gaps
from reelroom.record.mixed.seats import Seats
from reelroom.record.mixed.seen import FOREVER_NS, Seen
from reelroom.record.mixed.sound import SoundMixer
from reelroom.rooms import protocol
from reelroom.rooms.protocol import AFTER_GAP, KEY, degrees

_ASK_NS = SECOND  # the least time between two requests for a key frame of one track


class Feed:
    """All tracks of a room that are mixed. `tell` takes journal lines."""

    def __init__(
        self,
        subscription: Subscription,
        decoders: Callable[[TrackInfo, Callable[[], None]], PictureDecoder] | None,
        sound: SoundMixer | None,
        tell: Callable[[Sequence[lines.AnyLine]], None],
        send: Callable[[Struct], None],
        *,
        gaps_of: str = "",
    ) -> None:
        self.caught_up = False
        self.lost_ns = time.monotonic_ns()  # since when it is not caught up
        self.ring_ns = 10 * SECOND
        self.heard_ns = FOREVER_NS  # room time at which all that the ingest had sent was taken; not told: nobody waits
        self.ingest_ns = FOREVER_NS  # room time until which the ingest has sent what came to it; as above
        self.first_ns = FOREVER_NS  # room time of the earliest frame
        self.pauses = Pauses()
        self.left_out_ns = 0  # room time of the end of what the mix has left out, which is told of elsewhere
        self._mixed_ns = 0  # room time that was asked for last
        self._subscriptions: list[tuple[int, Subscription]] = [(0, subscription)]
        self._decoders = decoders
        self._sound = sound
        self._tell = tell
        self._send = send
        self._gaps = Gaps(gaps_of, tell) if gaps_of else None  # else nobody wants them
        self._tracks: dict[int, Seen] = {}  # by bus number: frames go there
        self._all: list[Seen] = []  # with those that have ended and are still to be rendered
        self._serial = 0
        self._seats = Seats()
        self._ingest = ""
        self._wanted_keys: set[int] = set()
        self._lock = threading.Lock()
        self._version = 0  # of everything but frames
        self._known = -1
        self._known_from_ns = 0
        self._known_until_ns = 0
        self._people: tuple[Person, ...] = ()
        self._eyes: dict[tuple[str, str], PictureDecoder] = {}

    # called by the main thread

    def restore(self, orders: Iterable[str], gaps: Iterable[lines.Gap]) -> None:
        """What the journal has: people in the order in which they came, and gaps that have been told."""
        self._seats = Seats(orders)
        if self._gaps is not None:
            self._gaps.restore(gaps)

    def frame(self, number: int, flags: int, seq: int, room_ns: int, level: int, payload: memoryview) -> None:
        """One frame from the bus, those that were there before among them."""
        seen = self._tracks.get(number)
        if seen is None or seq <= seen.last_seq:
            return
        seen.last_seq = seq
        seen.last_ns = room_ns
        if room_ns < seen.from_ns:
            seen.from_ns = room_ns
            self.first_ns = min(self.first_ns, room_ns)
            self._version += 1
        if room_ns >= seen.until_ns:
            return
        wanted = room_ns >= seen.wanted_ns
        if self._gaps is not None and wanted:
            self._gaps.frame(seen, room_ns, len(payload), self.pauses)
        if seen.decoder is not None:
            seen.decoder.put(bytes(payload), room_ns, bool(flags & KEY), bool(flags & AFTER_GAP), degrees(flags))
        elif self._sound is not None and seen.heard and wanted:
            if self._gaps is not None:
                late = self.left_out_ns <= room_ns < self._mixed_ns and not self.pauses.covers(room_ns)
                self._gaps.sound(seen, room_ns, len(payload), late)
            self._sound.put(seen.serial, room_ns, bytes(payload), level)

    def message(self, message: Struct) -> None:
        """Everything else that the ingest says."""
        if isinstance(message, protocol.Heard):
            self.ingest_ns = message.room_ns
            return
        with self._lock:
            self._version += 1
            match message:
                case protocol.Hello():
                    self._hello(message)
                case protocol.TrackAdded():
                    self._added(message)
                case protocol.TrackRemoved(track=number) if number in self._tracks:
                    seen = self._tracks[number]
                    end_ns = max(message.room_ns, seen.last_ns + 1)
                    self._remove(seen, end_ns, message.reason)
                case protocol.TrackState(track=number, room_ns=at_ns, muted=muted) if number in self._tracks:
                    seen = self._tracks[number]
                    seen.mute(at_ns, muted)
                    if muted and self._gaps is not None:
                        self._gaps.note(seen, "mute")
                case protocol.GapSeen(track=number) if number in self._tracks:
                    if self._gaps is not None:
                        self._gaps.seen(self._tracks[number], message)
                case protocol.CaughtUp():
                    for seen in [one for one in self._tracks.values() if not one.fresh]:
                        self._remove(seen, message.room_ns, "left")
                    self.caught_up = True

    def subscribe(self, at_ns: int, subscription: Subscription) -> None:
        """From `at_ns` on other tracks are wanted."""
        with self._lock:
            self._version += 1
            self._subscriptions.append((at_ns, subscription))
            for seen in self._tracks.values():
                if not subscription.wants(seen.info.identity, seen.info.source):
                    seen.until_ns = min(seen.until_ns, at_ns)

    def disconnected(self) -> None:
        """The connection is gone: what comes on the next one will say what is still there."""
        self.ingest_ns = FOREVER_NS
        if self.caught_up:
            self.caught_up = False
            self.lost_ns = time.monotonic_ns()

    def positions(self) -> tuple[protocol.Position, ...]:
        """What has come of each track."""
        tracks = {seen.info.track: seen.last_seq for seen in self._all if seen.last_seq}
        return tuple(protocol.Position(track=number, seq=seq) for number, seq in tracks.items())

    def ask_for_keys(self, now_ns: int) -> None:
        """Pass on what decoders want, and tell what they could not show."""
        for each in self._all:
            damages = each.decoder.damages if each.decoder is not None else None
            while damages and self._gaps is not None:
                self._gaps.damaged(each, *damages.popleft())
        while self._wanted_keys:
            seen = self._tracks.get(self._wanted_keys.pop())
            if seen is not None and (not seen.asked_ns or now_ns - seen.asked_ns >= _ASK_NS):
                seen.asked_ns = now_ns
                self._send(protocol.Keyframe(track=seen.info.track))

    def close(self) -> None:
        """End all decoders' threads."""
        with self._lock:
            for seen in self._all:
                if seen.decoder is not None:
                    seen.decoder.close()

    def _hello(self, hello: protocol.Hello) -> None:
        self.ring_ns = round(hello.ring_s * SECOND)
        if self._ingest and hello.ingest != self._ingest:
            for seen in list(self._tracks.values()):
                self._remove(seen, hello.room_ns, "ingest_restart")
        self._ingest = hello.ingest
        self.disconnected()
        for seen in list(self._tracks.values()):
            seen.fresh = False
            if seen.until_ns < FOREVER_NS:  # nobody says its end any more: it was let go with the last connection
                self._remove(seen, seen.until_ns, "unsubscribed")

    def _added(self, added: protocol.TrackAdded) -> None:
        info = added.info
        before = self._tracks.get(info.track)
        if before is not None:
            before.fresh = True
            return
        wanted_ns, subscription = self._subscriptions[-1]
        if not subscription.wants(info.identity, info.source):
            return
        self._serial += 1
        seen = Seen(self._serial, info)
        seen.announced, seen.wanted_ns = max(added.room_ns, wanted_ns), wanted_ns
        earlier = [one for one in self._all if one.info.track == info.track and one.info.session == info.session]
        if earlier and earlier[-1].until_ns > wanted_ns:  # else it begins anew: with a key frame that has been before
            seen.last_seq = earlier[-1].last_seq
        try:
            if info.kind == "audio" and self._sound is not None:
                self._sound.add(seen.serial, info.codec, info.clock_rate, info.channels)
                seen.heard = True
            elif info.kind == "video" and self._decoders is not None:
                number = info.track
                seen.decoder = self._decoders(info, lambda: self._wanted_keys.add(number))
        except ValueError as error:  # of no codec that is agreed to; the others are mixed
            self._tell([lines.Notice(code="not_mixed", message=f"{info.identity}'s {info.source}: {error}")])
        self._tracks[info.track] = seen
        self._all.append(seen)
        self._seats.take(info.identity, seen.announced)
        if self._gaps is not None:
            self._gaps.added(seen)

    def _remove(self, seen: Seen, at_ns: int, reason: str) -> None:
        del self._tracks[seen.info.track]
        seen.until_ns = min(seen.until_ns, at_ns)
        seen.removed = True
        if self._gaps is not None:
            self._gaps.removed(seen, reason)
        if not any(one.info.identity == seen.info.identity for one in self._tracks.values()):
            self._seats.leave(seen.info.identity, at_ns)

    def begun(self, start_ns: int) -> None:
        """The mix has its output, which gaps are told of: those that reach beyond its begin."""
        if self._gaps is not None:
            self._gaps.begun(start_ns)

    # called by the mixing thread

    def people(self, at_ns: int) -> tuple[Person, ...]:
        """Who is there, by join order, camera before screen. Sizes and who spoke are not filled in."""
        self._mixed_ns = at_ns
        if self._known == self._version and self._known_from_ns <= at_ns < self._known_until_ns:
            return self._people
        with self._lock:
            self._known = self._version
            self._let_go(at_ns)
            changes = [FOREVER_NS]
            places: dict[tuple[str, str], Seen | None] = {}
            for seen in self._all:
                changes += [seen.begins_ns(), seen.until_ns, *(mute_ns for mute_ns, _ in seen.mutes)]
                if not seen.begins_ns() <= at_ns < seen.until_ns:
                    continue
                if seen.decoder is None:
                    if seen.place[1] == "camera":
                        places.setdefault(seen.place, None)
                    continue
                # Of two cameras of one person the newer one is shown, once it has sent something.
                before = places.get(seen.place)
                if before is None or seen.from_ns <= at_ns or before.from_ns > at_ns:
                    places[seen.place] = seen
            people = []
            eyes: dict[tuple[str, str], PictureDecoder] = {}
            for (identity, source), shown in places.items():
                picture = shown is not None and not shown.muted(at_ns)
                if shown is not None and shown.decoder is not None:
                    eyes[identity, source] = shown.decoder
                people.append(Person(identity, source, self._seats.of(identity), picture, 0, 0, 0))
            people.sort(key=lambda person: (person.order, person.source))
            for seen in self._all:  # who is still to come will need all that has come already
                if seen.decoder is not None and seen.decoder not in eyes.values() and seen.begins_ns() <= at_ns:
                    seen.decoder.show(False)
            self._people = tuple(people)
            self._eyes = eyes
            self._known_from_ns = at_ns
            self._known_until_ns = min(change for change in changes if change > at_ns)
            return self._people

    @property
    def eyes(self) -> dict[tuple[str, str], PictureDecoder]:
        """The decoders of the people last asked for, by identity and source."""
        return self._eyes

    def picture(self, identity: str, source: str, at_ns: int) -> Picture | None:
        decoder = self._eyes.get((identity, source))
        return decoder.at(at_ns) if decoder is not None else None

    def ready(self, at_ns: int) -> bool:
        """Whether every picture that came in until `at_ns` has been decoded."""
        return all(decoder.ready(at_ns) for decoder in self._eyes.values())

    def volumes(self) -> list[tuple[str, str, int]]:
        """Identity, "camera" or "screen", and how loud they were since the last call, of everybody with sound."""
        heard = self._sound.volumes() if self._sound is not None else {}
        return [(*seen.place, heard[seen.serial]) for seen in self._all if seen.heard and seen.serial in heard]

    def spoke(self, at_ns: int) -> dict[str, int]:
        """Identity → when they last spoke, from microphones."""
        if self._sound is None:
            return {}
        heard = self._sound.spoke(at_ns)
        found: dict[str, int] = {}
        for seen in self._all:
            if seen.heard and seen.place[1] == "camera" and seen.serial in heard:
                found[seen.info.identity] = max(heard[seen.serial], found.get(seen.info.identity, 0))
        return found

    def _let_go(self, at_ns: int) -> None:
        over = [seen for seen in self._all if seen.removed and seen.until_ns <= at_ns]
        for seen in over:
            if seen.decoder is not None:
                seen.decoder.close()
            if seen.heard and self._sound is not None:
                self._sound.remove(seen.serial)
        if over:
            self._all = [seen for seen in self._all if seen not in over]
