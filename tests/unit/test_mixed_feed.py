"""Who is part of a mix at which room time, and what the timeline is told of them. No pictures, no sound, no sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from reelroom.domain import lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Selection, Source, Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.feed import Feed
from reelroom.rooms import protocol

T0 = 1_700_000_000 * SECOND
MS = 1_000_000


class Mute:
    """A sound mixer that mixes nothing."""

    def add(self, *_what: object) -> None: ...

    def put(self, *_what: object) -> None: ...

    def remove(self, *_what: object) -> None: ...


class Bus:
    """What an ingest would say, and what it was told."""

    def __init__(self, subscription: Subscription | None = None, decoders: Any = None, sound: Any = None) -> None:
        self.told: list[lines.AnyLine] = []
        self.sent: list[object] = []
        self.seq: dict[int, int] = {}
        self.feed = Feed(subscription or Subscription(), decoders, sound, self._tell, self.sent.append, gaps_of="000")
        self.feed.begun(T0)
        self.say(protocol.Hello(ingest="life1", room_ns=T0, ring_s=10))
        self.say(protocol.CaughtUp(room_ns=T0))

    def _tell(self, found: Sequence[lines.AnyLine]) -> None:
        self.told += found

    def say(self, message: object) -> None:
        self.feed.message(message)  # type: ignore[arg-type]

    def add(self, number: int, identity: str, source: Source = Source.CAMERA, at: int = 0, session: str = "s") -> None:
        video = source.kind == "video"
        info = TrackInfo(
            track=number,
            identity=identity,
            source=source,
            codec="h264" if video else "opus",
            clock_rate=90_000 if video else 48_000,
            session=session,
        )
        self.say(protocol.TrackAdded(info=info, room_ns=T0 + at))

    def remove(self, number: int, at: int, reason: str = "left") -> None:
        self.say(protocol.TrackRemoved(track=number, room_ns=T0 + at, reason=reason))

    def frames(self, number: int, begin: int, end: int, step: int = 20 * MS) -> None:
        for at in range(begin, end, step):
            self.seq[number] = seq = self.seq.get(number, 0) + 1
            self.feed.frame(number, protocol.KEY, seq, T0 + at, 255, memoryview(b"frame"))

    def names(self, at: int) -> list[str]:
        return [person.identity for person in self.feed.people(T0 + at)]

    @property
    def gaps(self) -> list[tuple[str, str, int, int, str]]:
        return [
            (gap.identity, gap.kind, (gap.from_ns - T0) // MS, (gap.to_ns - T0) // MS, gap.reason)
            for gap in self.told
            if isinstance(gap, lines.Gap)
        ]


def test_people_stand_in_the_order_in_which_they_came_and_go_when_they_left() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.add(2, "bob", Source.MICROPHONE, at=SECOND)
    assert bus.names(SECOND // 2) == ["ann"]
    assert bus.names(SECOND) == ["ann", "bob"]
    bus.remove(1, at=2 * SECOND)
    assert bus.names(2 * SECOND - 1) == ["ann", "bob"]
    assert bus.names(2 * SECOND) == ["bob"]


def test_who_is_back_soon_has_their_old_place_and_who_stays_away_stands_last() -> None:
    bus = Bus()
    for number, name in enumerate(("ann", "bob", "cat"), 1):
        bus.add(number, name, Source.MICROPHONE, at=number)
    bus.remove(1, at=SECOND)
    bus.remove(2, at=SECOND)
    bus.add(11, "ann", Source.MICROPHONE, at=5 * SECOND)
    bus.add(12, "bob", Source.MICROPHONE, at=20 * SECOND)
    assert bus.names(21 * SECOND) == ["ann", "cat", "bob"]


def test_a_subscription_holds_from_its_room_time_on() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.add(2, "bob", Source.MICROPHONE)
    only = Subscription(audio=Selection(include=("ann",)), video=None)
    bus.feed.subscribe(T0 + 3 * SECOND, only)
    bus.remove(2, at=3 * SECOND + 7 * MS, reason="unsubscribed")
    assert bus.names(3 * SECOND - 1) == ["ann", "bob"]
    assert bus.names(3 * SECOND) == ["ann"]
    bus.feed.subscribe(T0 + 5 * SECOND, Subscription())
    bus.add(2, "bob", Source.MICROPHONE, at=4 * SECOND)  # replayed from its last key frame on
    bus.frames(2, 4 * SECOND, 6 * SECOND)
    assert bus.names(5 * SECOND - 1) == ["ann"]
    assert bus.names(5 * SECOND) == ["ann", "bob"]


def test_what_is_not_wanted_is_nobody() -> None:
    bus = Bus(Subscription(audio=Selection(exclude=("bob",))))
    bus.add(1, "bob", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    assert bus.names(SECOND) == []


def test_shared_sound_alone_is_no_person() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.SCREEN_AUDIO)
    assert bus.names(SECOND) == []


def test_gaps_are_told_with_whose_they_are_and_why() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    bus.say(protocol.TrackState(track=1, room_ns=T0 + SECOND, muted=True))
    bus.say(protocol.TrackState(track=1, room_ns=T0 + 3 * SECOND, muted=False))
    bus.frames(1, 3 * SECOND, 4 * SECOND)
    bus.remove(1, at=4 * SECOND)
    bus.add(2, "ann", Source.MICROPHONE, at=6 * SECOND, session="t")
    bus.frames(2, 6 * SECOND, 7 * SECOND)
    assert bus.gaps == [("ann", "audio", 980, 3000, "mute"), ("ann", "audio", 3980, 6000, "left")]


def test_gaps_that_the_journal_has_are_not_told_again() -> None:
    bus = Bus()
    told = lines.Gap(
        output="000", kind="audio", identity="ann", from_ns=T0, to_ns=T0 + 3 * SECOND, reason="mute", packets=0
    )
    bus.feed.restore(["bob", "ann"], [told])
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    bus.frames(1, 3 * SECOND, 4 * SECOND)
    assert bus.gaps == []
    bus.frames(1, 5 * SECOND, 6 * SECOND)
    assert len(bus.gaps) == 1
    bus.add(2, "bob", Source.MICROPHONE, at=6 * SECOND)
    assert bus.names(6 * SECOND) == ["bob", "ann"]  # as they came before the restart


def test_an_ingest_that_is_back_has_none_of_its_old_tracks() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    bus.feed.disconnected()
    assert not bus.feed.caught_up
    bus.say(protocol.Hello(ingest="life2", room_ns=T0 + 2 * SECOND, ring_s=10))
    bus.say(protocol.CaughtUp(room_ns=T0 + 2 * SECOND))
    assert bus.feed.caught_up
    assert bus.names(2 * SECOND) == []


def test_a_connection_that_is_back_says_who_has_left_meanwhile() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.add(2, "bob", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    bus.frames(2, 0, SECOND)
    assert {position.track: position.seq for position in bus.feed.positions()} == {1: 50, 2: 50}
    bus.feed.disconnected()
    bus.say(protocol.Hello(ingest="life1", room_ns=T0 + 2 * SECOND, ring_s=10))
    bus.add(1, "ann", Source.MICROPHONE)
    bus.say(protocol.CaughtUp(room_ns=T0 + 2 * SECOND))
    assert bus.names(SECOND) == ["ann", "bob"]
    assert bus.names(2 * SECOND) == ["ann"]


def test_what_was_captured_before_somebody_is_left_out_is_taken_though_it_comes_later() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, 2700 * MS)
    bus.feed.subscribe(T0 + 3 * SECOND, Subscription(audio=Selection(exclude=("ann",))))
    bus.frames(1, 2700 * MS, 3200 * MS)
    bus.remove(1, at=3 * SECOND, reason="unsubscribed")
    assert bus.names(3 * SECOND - 1) == ["ann"] and bus.names(3 * SECOND) == []
    bus.feed.subscribe(T0 + 5 * SECOND, Subscription())
    bus.add(1, "ann", Source.MICROPHONE, at=4 * SECOND)
    bus.frames(1, 4 * SECOND, 6 * SECOND)
    assert bus.gaps == [("ann", "audio", 2980, 5000, "unsubscribed")]


def test_who_was_left_out_when_the_connection_broke_is_there_again_when_wanted_again() -> None:
    bus = Bus()
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    bus.feed.subscribe(T0 + SECOND, Subscription(audio=Selection(exclude=("ann",))))
    bus.feed.disconnected()  # before the ingest has said that she is removed
    bus.feed.subscribe(T0 + 2 * SECOND, Subscription())
    bus.say(protocol.Hello(ingest="life1", room_ns=T0 + 2 * SECOND, ring_s=10))
    bus.add(1, "ann", Source.MICROPHONE, at=2 * SECOND)
    bus.say(protocol.CaughtUp(room_ns=T0 + 2 * SECOND))
    bus.frames(1, 2 * SECOND, 3 * SECOND)
    assert bus.names(SECOND) == [] and bus.names(2 * SECOND) == ["ann"]


class Eye:
    """A decoder that has not been able to decode for a while."""

    def __init__(self) -> None:
        self.damages = deque([(T0 + SECOND, T0 + 3 * SECOND)])
        self.put_ns: list[int] = []
        self.hidden = False

    def show(self, shown: bool) -> None:
        """Whether its pictures are wanted."""
        self.hidden = not shown

    def close(self) -> None:
        """Nobody will want them any more."""

    def put(self, _payload: bytes, room_ns: int, *_: object) -> None:
        """A frame."""
        self.put_ns.append(room_ns - T0)


def test_who_is_taken_in_again_at_once_is_decoded_from_a_key_frame_that_was_there_before() -> None:
    eyes: list[Eye] = []

    def decoder(_info: TrackInfo, _ask: object) -> Eye:
        eyes.append(Eye())
        return eyes[-1]

    bus = Bus(decoders=decoder)
    bus.add(1, "ann")
    bus.frames(1, 0, SECOND)
    bus.feed.subscribe(T0 + SECOND, Subscription(video=Selection(exclude=("ann",))))
    bus.remove(1, at=SECOND, reason="unsubscribed")
    bus.feed.subscribe(T0 + SECOND + 100 * MS, Subscription())
    bus.seq[1] = 20
    bus.add(1, "ann", at=400 * MS)
    bus.frames(1, 400 * MS, 1200 * MS)  # from the last key frame on
    assert eyes[1].put_ns == list(range(400 * MS, 1200 * MS, 20 * MS))


def spoken() -> Bus:
    """Somebody has been heard for a second."""
    bus = Bus(sound=Mute())
    bus.add(1, "ann", Source.MICROPHONE)
    bus.frames(1, 0, SECOND)
    return bus


def test_sound_that_comes_when_its_time_has_been_mixed_is_a_gap_of_its_sender() -> None:
    bus = spoken()
    bus.names(800 * MS)
    bus.frames(1, SECOND, 1500 * MS)
    assert bus.gaps == []
    bus.names(2500 * MS)  # the mix is there, and what was spoken at 1.5 s comes now
    bus.frames(1, 1500 * MS, 3 * SECOND)
    assert bus.gaps == [("ann", "audio", 1500, 2500, "late")]


def test_a_little_that_is_late_what_was_left_out_anyway_and_what_a_pause_covers_are_no_gap() -> None:
    bus = spoken()
    bus.names(1150 * MS)
    bus.frames(1, SECOND, 2 * SECOND)  # 0.15 s of it late
    bus.names(5 * SECOND)
    bus.feed.left_out_ns = T0 + 5 * SECOND  # told as "overload" or "ring"
    bus.frames(1, 2 * SECOND, 6 * SECOND)
    bus.feed.pauses = Pauses(((T0 + 6 * SECOND, T0 + 8 * SECOND),))
    bus.names(9 * SECOND)
    bus.frames(1, 6 * SECOND, 8 * SECOND)
    assert bus.gaps == []


def test_sound_that_was_late_to_the_end_of_its_track_is_a_gap_too() -> None:
    bus = spoken()
    bus.names(9 * SECOND)
    bus.frames(1, SECOND, 2 * SECOND)
    bus.remove(1, at=2 * SECOND)
    assert bus.gaps == [("ann", "audio", 1000, 2000, "late")]


def test_who_is_still_to_come_in_a_mix_that_is_behind_is_not_hidden() -> None:
    eyes: list[Eye] = []

    def decoder(_info: TrackInfo, _ask: object) -> Eye:
        eyes.append(Eye())
        return eyes[-1]

    bus = Bus(Subscription(video=None), decoders=decoder)
    bus.feed.subscribe(T0 + 5 * SECOND, Subscription())
    bus.add(1, "ann", at=4 * SECOND)
    bus.frames(1, 4 * SECOND, 8 * SECOND)  # more than one key frame: a hidden decoder keeps the last one only
    bus.remove(1, at=8 * SECOND)
    assert bus.names(3 * SECOND) == [] and not eyes[0].hidden
    assert bus.names(5 * SECOND) == ["ann"] and not eyes[0].hidden
    bus.add(2, "ann", at=6 * SECOND)
    bus.frames(2, 6 * SECOND, 9 * SECOND)
    assert bus.names(5 * SECOND) == ["ann"] and not eyes[1].hidden
    assert bus.names(6 * SECOND) == ["ann"] and eyes[0].hidden and not eyes[1].hidden


def test_pictures_that_cannot_be_decoded_are_a_gap_of_their_sender() -> None:
    told: list[lines.AnyLine] = []
    feed = Feed(
        Subscription(),
        lambda _info, _ask: Eye(),  # type: ignore[arg-type,return-value]
        None,
        told.extend,
        lambda _: None,
        gaps_of="000",
    )
    info = TrackInfo(track=1, identity="ann", source=Source.CAMERA, codec="h264", clock_rate=90_000, session="s")
    feed.message(protocol.TrackAdded(info=info, room_ns=T0))
    feed.ask_for_keys(T0)
    assert told == []
    feed.begun(T0)
    feed.ask_for_keys(T0)
    (gap,) = told
    assert isinstance(gap, lines.Gap)
    assert (gap.identity, gap.kind, gap.reason) == ("ann", "video", "damage")
    assert (gap.from_ns - T0, gap.to_ns - T0) == (SECOND, 3 * SECOND)
