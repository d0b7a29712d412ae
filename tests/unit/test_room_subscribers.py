"""A room with made-up publishers: what recorders are told, from the past on, when they come back, when they lag."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Selection, Source, Subscription
from reelroom.rooms import protocol, subscriber
from reelroom.rooms.protocol import (
    CaughtUp,
    GapSeen,
    Participant,
    Position,
    Subscribe,
    TrackAdded,
    TrackRemoved,
    Update,
)
from reelroom.rooms.room import Room
from reelroom.rooms.session import Session
from reelroom.rooms.subscriber import Outbox, Subscriber
from reelroom.rtc.answer import receive_sections
from reelroom.rtc.clock import SenderClock
from reelroom.rtc.loss import WAIT_NS
from reelroom.rtc.sdp import parse_offer
from reelroom.rtc.track import RemoteTrack
from tests.rtcpeer import offer_text

S = 1_000_000_000
MS = 1_000_000
T0 = 1_800_000_000 * S


class Frame(Struct):
    track: int
    seq: int
    room_ns: int
    key: bool
    data: bytes


class Wire:
    """A socket that takes what it is told to, and reads it back as messages."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.room = 1 << 40
        self.messages: list[Any] = []

    def sendmsg(self, buffers: Sequence[bytes | memoryview]) -> int:
        if not self.room:
            raise BlockingIOError
        data = b"".join(buffers)[: self.room]
        self.room -= len(data)
        self.taken += data
        return len(data)

    def read(self) -> list[Any]:
        """Messages since the last time."""
        found: list[Any] = []
        while len(self.taken) >= 5:
            length, kind = protocol.PREFIX.unpack_from(self.taken)
            if len(self.taken) < 4 + length:
                break
            body = bytes(self.taken[: 4 + length])
            del self.taken[: 4 + length]
            if kind == protocol.FRAME:
                _, _, flags, track, seq, room_ns, _, _ = protocol.FRAME_HEADER.unpack_from(body)
                found.append(Frame(track, seq, room_ns, bool(flags & 1), body[protocol.FRAME_OVERHEAD :]))
            else:
                found.append(protocol.decode(kind, body[5:]))
        self.messages += found
        return found


class Recorder:
    def __init__(self, room: Room, request: Subscribe, now_ns: int) -> None:
        self.wire = Wire()
        self.subscriber = Subscriber(request, Outbox(self.wire))  # type: ignore[arg-type]
        room.subscribe(self.subscriber, request, "life-1", now_ns)

    def told(self) -> list[Any]:
        self.subscriber.outbox.flush()
        return self.wire.read()

    def frames(self, track: int) -> list[Frame]:
        self.told()
        return [m for m in self.wire.messages if isinstance(m, Frame) and m.track == track]

    def of(self, kind: type) -> list[Any]:
        self.told()
        return [message for message in self.wire.messages if isinstance(message, kind)]


def subscribe(since_ns: int, **more: Any) -> Subscribe:
    more.setdefault("subscription", Subscription())
    return Subscribe(app="app", room="room", recording="r", since_ns=since_ns, **more)


def make_room() -> Room:
    numbers = itertools.count(1)
    return Room("app", "room", T0, 10 * S, 1 << 24, lambda: next(numbers))


class Someone:
    """A participant's session without packets: `play` gives frames to it as a publisher would."""

    def __init__(self, room: Room, identity: str, number: str = "", *, screen: bool = False, at_ns: int = T0) -> None:
        sources = (
            {"a": Source.SCREEN_AUDIO, "v": Source.SCREEN} if screen else {"a": Source.MICROPHONE, "v": Source.CAMERA}
        )
        self.room = room
        self.session = Session(number or f"s-{identity}", identity, sources, at_ns, room)
        room.sessions[self.session.id] = self.session
        sections = receive_sections(parse_offer(offer_text()))
        self.tracks = {section.mid: RemoteTrack(section, SenderClock(), self.session) for section in sections}
        self.replaced = room.connected(self.session, at_ns)

    def play(self, from_s: float, to_s: float, kinds: str = "av", gop_s: float = 2.0) -> None:
        for at in range(round(from_s * 50), round(to_s * 50)):  # 50 sounds and 10 pictures a second
            room_ns = T0 + at * 20 * MS
            if "a" in kinds:
                self.give("a", room_ns, key=True)
            if "v" in kinds and at % 5 == 0:
                self.give("v", room_ns, key=at % round(gop_s * 50) == 0)

    def give(self, mid: str, room_ns: int, *, key: bool) -> None:
        track = self.tracks[mid]
        track.last_arrival_ns = room_ns
        self.session.frame(track, f"{self.session.identity}{mid}{room_ns}".encode(), key, 0, room_ns, 255, False, 0)

    def leave(self, at_s: float, reason: str = "left") -> None:
        self.room.left(self.session, reason, T0 + int(at_s * S))

    def number(self, mid: str) -> int:
        return self.session.live[mid].info.track


def recorded() -> tuple[Room, Someone, Recorder]:
    """Somebody alone in a room, and who records it from the first moment on."""
    room = make_room()
    return room, Someone(room, "ann"), Recorder(room, subscribe(T0), T0)


def in_a_row(frames: list[Frame]) -> bool:
    return all(b.seq == a.seq + 1 and b.room_ns > a.room_ns for a, b in itertools.pairwise(frames))


def test_a_recording_begins_at_the_key_frame_before_it_with_the_sound_beside_it() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 9)
    recorder = Recorder(room, subscribe(T0 + 9 * S), T0 + 9 * S)
    ann.play(9, 10)
    pictures, sounds = recorder.frames(ann.number("v")), recorder.frames(ann.number("a"))
    assert pictures[0].key and pictures[0].room_ns == T0 + 8 * S
    assert sounds[0].room_ns == T0 + 8 * S
    assert in_a_row(pictures) and in_a_row(sounds)
    assert pictures[-1].room_ns == T0 + 10 * S - 100 * MS
    first = [message for message in recorder.wire.messages if isinstance(message, TrackAdded | Frame | CaughtUp)]
    for added in recorder.of(TrackAdded):
        frame = next(m for m in first if isinstance(m, Frame) and m.track == added.info.track)
        assert first.index(added) < first.index(frame) and added.next_seq == frame.seq
    caught = next(index for index, m in enumerate(first) if isinstance(m, CaughtUp))
    backlog = [m for m in first[:caught] if isinstance(m, Frame)]
    assert [m.room_ns for m in backlog] == sorted(m.room_ns for m in backlog)


def test_preroll_reaches_back_as_far_as_asked() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 20)
    recorder = Recorder(room, subscribe(T0 + 13 * S), T0 + 20 * S)
    assert recorder.frames(ann.number("v"))[0].room_ns == T0 + 12 * S


def test_a_recorder_that_comes_back_gets_exactly_what_it_lacks() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 2)
    first = Recorder(room, subscribe(T0), T0 + 2 * S)
    ann.play(2, 4)
    had = {mid: first.frames(ann.number(mid)) for mid in "av"}
    room.unsubscribe(first.subscriber)
    ann.play(4, 7)
    resume = tuple(Position(track=ann.number(mid), seq=had[mid][-1].seq) for mid in "av")
    again = Recorder(room, subscribe(T0, resume=resume, ingest="life-1"), T0 + 7 * S)
    ann.play(7, 8)
    for mid, each in (("a", 50), ("v", 10)):
        whole = had[mid] + again.frames(ann.number(mid))
        assert [frame.seq for frame in whole] == list(range(1, 8 * each + 1))
    assert again.of(GapSeen) == []
    elsewhere = Recorder(room, subscribe(T0, resume=resume, ingest="another life"), T0 + 8 * S)
    assert elsewhere.frames(ann.number("v"))[0].seq == 1


def test_what_the_ring_has_let_go_is_told_as_a_gap() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 60)
    track = ann.number("v")
    recorder = Recorder(room, subscribe(T0, resume=(Position(track=track, seq=5),), ingest="life-1"), T0 + 60 * S)
    gap = next(gap for gap in recorder.of(GapSeen) if gap.track == track)
    frames = recorder.frames(track)
    assert gap.reason == "ring" and gap.to_ns == frames[0].room_ns
    assert frames[0].key and in_a_row(frames)


def test_who_left_while_the_recorder_was_away_is_still_delivered_to_the_end() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 3)
    number = ann.number("v")
    ann.leave(3)
    late = Recorder(room, subscribe(T0, resume=(Position(track=number, seq=20),), ingest="life-1"), T0 + 4 * S)
    assert [frame.seq for frame in late.frames(number)] == list(range(21, 31))
    assert [r.reason for r in late.of(TrackRemoved) if r.track == number] == ["left"]


def test_who_left_before_a_recording_began_is_no_part_of_it() -> None:
    room = make_room()
    ann, bob = Someone(room, "ann"), Someone(room, "bob")
    ann.play(0, 3)
    bob.play(0, 8)
    ann.leave(3)
    recorder = Recorder(room, subscribe(T0 + 8 * S), T0 + 8 * S)
    assert {added.info.identity for added in recorder.of(TrackAdded)} == {"bob"}
    assert {message.identity for message in recorder.of(Participant)} == {"bob"}
    room.forget_ended(T0 + 20 * S)
    assert room.ended == []


def test_a_changed_subscription_ends_and_begins_tracks() -> None:
    room = make_room()
    ann, bob = Someone(room, "ann"), Someone(room, "bob")
    only_ann = Subscription(audio=Selection(include=("ann",)), video=Selection(include=("ann",)))
    only_bob = Subscription(audio=None, video=Selection(include=("bob",)))
    for one in (ann, bob):
        one.play(0, 5)
    recorder = Recorder(room, subscribe(T0 + 5 * S, subscription=only_ann), T0 + 5 * S)
    assert recorder.frames(bob.number("v")) == []
    room.resubscribe(recorder.subscriber, Update(subscription=only_bob, at_ns=T0 + 5 * S), T0 + 5 * S)
    for one in (ann, bob):
        one.play(5, 6)
    assert {removed.reason for removed in recorder.of(TrackRemoved)} == {"unsubscribed"}
    assert recorder.frames(ann.number("v"))[-1].room_ns < T0 + 5 * S
    pictures = recorder.frames(bob.number("v"))
    assert pictures[0].key and pictures[0].room_ns == T0 + 4 * S and in_a_row(pictures)
    assert recorder.frames(bob.number("a")) == []
    room.resubscribe(recorder.subscriber, Update(subscription=Subscription(), at_ns=T0 + 6 * S), T0 + 6 * S)
    bob.play(6, 7)
    assert in_a_row(recorder.frames(bob.number("v")))
    assert recorder.frames(bob.number("a"))


NOBODY = Subscription(audio=Selection(include=()), video=Selection(include=()))


def change(room: Room, recorder: Recorder, subscription: Subscription, call_s: float, handled_s: float) -> None:
    """A changed subscription that the room hears of a little later than the call."""
    update = Update(subscription=subscription, at_ns=T0 + round(call_s * S))
    room.resubscribe(recorder.subscriber, update, T0 + round(handled_s * S))


def removed(recorder: Recorder) -> dict[int, tuple[str, float]]:
    """Track → why and when it was removed, in s of the room; each once."""
    told = recorder.of(TrackRemoved)
    assert len(told) == len({message.track for message in told})
    return {message.track: (message.reason, (message.room_ns - T0) / S) for message in told}


def test_what_was_captured_before_somebody_is_left_out_is_delivered_though_it_comes_later() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    recorder, other = Recorder(room, subscribe(T0), T0), Recorder(room, subscribe(T0), T0)
    ann.play(0, 4.6)  # what follows is late
    change(room, recorder, NOBODY, 5, 5.1)
    assert removed(recorder) == {}
    ann.play(4.6, 5)
    lost = room.tracks[ann.number("v")]
    room.tell_gap(lost, T0 + 4 * S, T0 + 5 * S, 3, "loss")
    assert removed(recorder) == {}
    ann.play(5, 6)
    assert [frame.seq for frame in recorder.frames(ann.number("v"))] == list(range(1, 51))
    assert [frame.seq for frame in recorder.frames(ann.number("a"))] == list(range(1, 251))
    assert removed(recorder) == {ann.number(mid): ("unsubscribed", 5) for mid in "av"}
    assert [gap.packets for gap in recorder.of(GapSeen)] == [3]
    for number in (ann.number("v"), ann.number("a")):  # its end comes behind its last frame
        told = [m for m in recorder.wire.messages if isinstance(m, Frame | TrackRemoved) and m.track == number]
        assert isinstance(told[-1], TrackRemoved)
    assert len(other.frames(ann.number("v"))) == 60 and other.of(TrackRemoved) == []


def test_who_is_left_out_is_gone_at_once_where_nothing_can_be_on_its_way() -> None:
    room, ann, recorder = recorded()
    ann.play(0, 5.2)
    change(room, recorder, NOBODY, 5, 5.2)
    assert removed(recorder) == {ann.number(mid): ("unsubscribed", 5) for mid in "av"}


def test_late_frames_are_waited_for_no_longer_than_lost_packets() -> None:
    room, ann, recorder = recorded()
    ann.play(0, 4)
    change(room, recorder, NOBODY, 5, 5.1)
    room.forget_ended(T0 + 5 * S + 100 * MS + WAIT_NS - 1)
    assert removed(recorder) == {}
    room.forget_ended(T0 + 5 * S + 100 * MS + WAIT_NS)
    assert removed(recorder) == {ann.number(mid): ("unsubscribed", 5) for mid in "av"}
    ann.play(4, 6)
    assert len(recorder.frames(ann.number("v"))) == 40
    assert len(removed(recorder)) == 2


def test_who_leaves_the_room_while_late_frames_are_waited_for_is_removed_once() -> None:
    room, ann, recorder = recorded()
    ann.play(0, 4)
    numbers = {mid: ann.number(mid) for mid in "av"}
    change(room, recorder, NOBODY, 5, 5.1)
    ann.leave(5.2)
    room.forget_ended(T0 + 8 * S)
    assert removed(recorder) == dict.fromkeys(numbers.values(), ("unsubscribed", 5))


def test_a_recorder_that_is_gone_waits_for_nothing() -> None:
    room, ann, recorder = recorded()
    ann.play(0, 4)
    change(room, recorder, NOBODY, 5, 5.1)
    had = len(recorder.frames(ann.number("v")))
    room.unsubscribe(recorder.subscriber)
    ann.play(4, 6)
    room.forget_ended(T0 + 8 * S)
    assert len(recorder.frames(ann.number("v"))) == had and recorder.of(TrackRemoved) == []


def test_who_is_taken_in_again_begins_before_the_call_though_a_later_key_frame_has_come() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    recorder = Recorder(room, subscribe(T0, subscription=NOBODY), T0)
    ann.play(0, 8.3)
    change(room, recorder, Subscription(), 7.9, 8.3)
    ann.play(8.3, 9)
    pictures, sounds = recorder.frames(ann.number("v")), recorder.frames(ann.number("a"))
    assert pictures[0].key and pictures[0].room_ns == T0 + 6 * S and in_a_row(pictures)
    assert sounds[0].room_ns == T0 + 6 * S and in_a_row(sounds)


def test_who_is_taken_in_again_while_late_frames_are_waited_for_begins_anew() -> None:
    room, ann, recorder = recorded()
    ann.play(0, 4.5)
    change(room, recorder, NOBODY, 5, 5.1)
    change(room, recorder, Subscription(), 5.3, 5.4)
    ann.play(4.5, 7)
    number = ann.number("v")
    recorder.told()
    told = [m for m in recorder.wire.messages if isinstance(m, Frame | TrackAdded | TrackRemoved)]
    mine = [m for m in told if (m.info.track if isinstance(m, TrackAdded) else m.track) == number]
    kinds = [kind for kind, _ in itertools.groupby(mine, type)]
    assert kinds == [TrackAdded, Frame, TrackRemoved, TrackAdded, Frame]
    again = mine[[type(m) for m in mine].index(TrackRemoved) + 2 :]
    assert again[0].key and again[0].room_ns == T0 + 4 * S and in_a_row(again)
    assert again[-1].room_ns == T0 + 7 * S - 100 * MS
    room.forget_ended(T0 + 8 * S)
    assert len(recorder.of(TrackRemoved)) == 2


def test_a_recorder_that_lags_still_gets_what_was_before_it_left_somebody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "MAX_WAITING", 5_000)
    for drained_s in (4.9, 6):  # while late frames are waited for, and after
        room = make_room()
        ann = Someone(room, "ann")
        recorder = Recorder(room, subscribe(T0), T0)
        recorder.wire.room = 0
        ann.play(0, 4)
        assert recorder.subscriber.lagging
        change(room, recorder, NOBODY, 5, 5.1)
        ann.play(4, drained_s)
        recorder.wire.room = 1 << 40
        assert recorder.subscriber.outbox.flush()
        room.catch_up_lagging(recorder.subscriber)
        ann.play(drained_s, 7)
        assert [frame.seq for frame in recorder.frames(ann.number("v"))] == list(range(1, 51))
        assert [frame.seq for frame in recorder.frames(ann.number("a"))] == list(range(1, 251))
        assert removed(recorder) == {ann.number(mid): ("unsubscribed", 5) for mid in "av"}
        assert recorder.of(GapSeen) == []


class InLayers(Someone):
    """A participant whose camera comes as a small and a large picture."""

    def __init__(self, room: Room, identity: str) -> None:
        super().__init__(room, identity)
        (section,) = receive_sections(parse_offer(offer_text(rids=("q", "f"), audio=False)))
        self.camera = RemoteTrack(section, SenderClock(), self.session)
        self.session.sources = {section.mid: Source.CAMERA}
        codec = next(iter(section.codecs))
        self.layers = [self.camera.add_layer(n, rid, codec) for n, rid in enumerate("qf", 1)]
        for layer, (width, height) in zip(self.layers, ((160, 90), (640, 360)), strict=True):
            depacketizer: Any = layer.stream.depacketizer
            depacketizer.width, depacketizer.height = width, height

    def send(self, from_s: float, to_s: float, which: str = "qf") -> None:
        """Ten pictures a second of each, every tenth a key frame."""
        for number in range(round(from_s * 10), round(to_s * 10)):
            at_ns = T0 + number * S // 10
            sent = [layer for layer in self.layers if layer.rid in which]
            for layer in sent:
                layer.stream.last_arrival_ns = at_ns
            for layer in reversed(sent):
                data = f"{layer.rid}{number}".encode()
                self.camera.layer_frame(layer, data, number % 10 == 0, number * 9000, at_ns, False, 0)


def pictures(recorder: Recorder) -> tuple[list[TrackInfo], list[str]]:
    told = recorder.told()
    infos = [message.info for message in told if isinstance(message, TrackAdded)]
    return infos, [message.data.decode() for message in told if isinstance(message, Frame)]


LOW = Subscription(layer="low")


def test_one_recording_gets_the_smallest_layer_and_another_the_largest_of_the_same_camera() -> None:
    room = make_room()
    seen: list[str] = []
    room.watch = lambda published: seen.append(published.info.identity)
    ann = InLayers(room, "ann")
    ann.send(0, 1)
    high = Recorder(room, subscribe(T0), T0 + S)
    low = Recorder(room, subscribe(T0, subscription=LOW), T0 + S)
    ann.send(1, 3)
    (whole,), large = pictures(high)
    (info,), small = pictures(low)
    assert large == [f"f{n}" for n in range(30)]
    assert small == [f"q{n}" for n in range(10, 30)]  # nobody had wanted it before: from its next key frame on
    assert (info.identity, info.source, info.codec) == (whole.identity, whole.source, whole.codec)
    assert info.track != whole.track
    ann.send(3, 5, "f")  # the small one stops: what there is, from its next key frame on
    ann.send(5, 7, "qf")
    _, large = pictures(high)
    _, small = pictures(low)
    assert large == [f"f{n}" for n in range(30, 70)]
    assert small == [f"f{n}" for n in range(40, 51)] + [f"q{n}" for n in range(50, 70)]
    ann.leave(7)
    assert [type(message) for message in high.told()] == [type(message) for message in low.told()]
    assert seen == ["ann", "ann"]  # one camera came and went


def test_who_comes_when_somebody_wants_small_layers_is_asked_for_them_at_once() -> None:
    room = make_room()
    low = Recorder(room, subscribe(T0, subscription=LOW), T0)
    ann, bob = InLayers(room, "ann"), Someone(room, "bob")
    ann.send(0, 2)
    bob.play(0, 2, "v")
    infos, small = pictures(low)
    assert {info.identity for info in infos} == {"ann", "bob"}  # bob's camera has one size only
    assert [data for data in small if data[0] in "qf"] == [f"q{n}" for n in range(20)]


def test_a_changed_subscription_may_want_another_layer() -> None:
    room = make_room()
    ann = InLayers(room, "ann")
    recorder = Recorder(room, subscribe(T0), T0)
    ann.send(0, 1)
    room.resubscribe(recorder.subscriber, Update(subscription=LOW, at_ns=T0 + S), T0 + S)
    ann.send(1, 2)
    infos, data = pictures(recorder)
    assert len(infos) == 2
    assert data == [f"f{n}" for n in range(10)] + [f"q{n}" for n in range(10, 20)]


def test_a_recorder_that_lags_catches_up_from_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "MAX_WAITING", 20_000)
    room = make_room()
    ann, bob = Someone(room, "ann"), Someone(room, "bob")
    recorder = Recorder(room, subscribe(T0), T0)
    quick = Recorder(room, subscribe(T0), T0)
    for second in range(8):
        ann.play(second, second + 1)
        bob.play(second, second + 1, "a")
        recorder.wire.room = 5_000 if second < 2 else 0
        recorder.subscriber.outbox.flush()
        quick.told()
    assert recorder.subscriber.lagging and recorder.subscriber.outbox.bytes < 30_000
    assert len(quick.frames(ann.number("v"))) == 80, "another recorder does not notice"
    number = bob.number("a")
    bob.leave(8)
    recorder.wire.room = 1 << 40
    assert recorder.subscriber.outbox.flush()
    room.catch_up_lagging(recorder.subscriber)
    ann.play(8, 9)
    for track, count in ((ann.number("v"), 90), (ann.number("a"), 450), (number, 400)):
        assert [frame.seq for frame in recorder.frames(track)] == list(range(1, count + 1))
    assert recorder.of(GapSeen) == []


def test_somebody_who_comes_again_takes_the_place_of_the_session_before() -> None:
    room = make_room()
    recorder = Recorder(room, subscribe(T0), T0)
    before = Someone(room, "ann", "s1")
    before.play(0, 2)
    old = before.number("v")
    after = Someone(room, "ann", "s2", at_ns=T0 + 2 * S)
    assert after.replaced == [before.session]
    before.leave(2, "replaced")
    after.play(2, 4)
    assert after.number("v") != old
    told = [(m.session, m.joined, m.reason) for m in recorder.of(Participant)]
    assert told == [("s1", True, ""), ("s2", True, ""), ("s1", False, "replaced")]
    assert {(r.track, r.reason) for r in recorder.of(TrackRemoved)} >= {(old, "replaced")}
    assert in_a_row(recorder.frames(after.number("v")))


def test_camera_and_screen_of_one_person_do_not_replace_each_other() -> None:
    room = make_room()
    recorder = Recorder(room, subscribe(T0), T0)
    camera, screen = Someone(room, "ann", "s1"), Someone(room, "ann", "s2", screen=True)
    assert screen.replaced == []
    camera.play(0, 1)
    screen.play(0, 1)
    outputs = {(added.info.identity, added.info.source.output) for added in recorder.of(TrackAdded)}
    assert outputs == {("ann", "camera"), ("ann", "screen")}


def test_silence_is_a_mute_and_speaking_again_ends_it() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 2)
    recorder = Recorder(room, subscribe(T0 + 2 * S), T0 + 2 * S)
    ann.session.look_for_mutes(T0 + 6 * S)
    ann.play(10, 11, "a")
    states = [(state.track, state.muted) for state in recorder.of(protocol.TrackState)]
    assert states == [(ann.number("a"), True), (ann.number("v"), True), (ann.number("a"), False)]
    fresh = Recorder(room, subscribe(T0 + 60 * S), T0 + 60 * S)
    assert fresh.frames(ann.number("v")) == []
    assert [(s.track, s.muted) for s in fresh.of(protocol.TrackState)] == [(ann.number("v"), True)]


def test_a_room_is_empty_when_nobody_needs_it() -> None:
    room = make_room()
    ann = Someone(room, "ann")
    ann.play(0, 1)
    recorder = Recorder(room, subscribe(T0), T0)
    ann.leave(1)
    assert not room.empty
    room.unsubscribe(recorder.subscriber)
    assert not room.empty, "its ring may still be asked for"
    room.forget_ended(T0 + 30 * S)
    assert room.empty
