"""What journal lines become events, and that their ids hold."""

from __future__ import annotations

from reelroom.domain import events, lines
from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Source, Subscription


def test_a_resumed_recorder_is_no_second_start() -> None:
    first = lines.Opened(room_ns=5, spec_sha256="", ingest="", public_key="")
    again = lines.Opened(room_ns=9, spec_sha256="", ingest="", public_key="", resumed=True)
    assert events.of_line(1, 6, first) == events.Draft("recording.started", 5, {}, "line 1")
    made = events.of_line(9, 9, again)
    assert made is not None and made.type == "recording.recovered" and made.type in events.TYPES


def test_joining_and_leaving_are_two_events_with_the_reason() -> None:
    joined = events.of_line(2, 1, lines.Participant(identity="a", session="s", at_ns=1, joined=True))
    left = events.of_line(3, 2, lines.Participant(identity="a", session="s", at_ns=2, joined=False, reason="timeout"))
    assert joined is not None and joined.type == "participant.joined"
    assert left is not None and left.type == "participant.left" and left.data["reason"] == "timeout"


def test_every_change_of_a_track_is_an_event() -> None:
    info = TrackInfo(track=1, identity="a", source=Source.CAMERA, codec="h264", clock_rate=90000)
    made = [events.of_line(1, 1, lines.Track(info=info, at_ns=1, change=change)) for change in events.TRACK]
    assert [draft.type for draft in made if draft] == [
        "track.added", "track.removed", "track.muted", "track.unmuted",
    ]  # fmt: skip
    assert all(draft is not None and draft.type in events.TYPES for draft in made)


def test_bookkeeping_is_no_event() -> None:
    assert events.of_line(1, 1, lines.Subscribed(at_ns=1, subscription=Subscription())) is None
    assert events.of_line(1, 1, lines.Notice(code="x", message="y")) is None
    assert events.of_line(1, 1, lines.Finished(files=1)) is None  # the uploads end a recording


def test_ids_follow_from_recording_and_cause_alone() -> None:
    assert events.event_id("a", "line 1") == events.event_id("a", "line 1")
    assert len({events.event_id(r, c) for r in ("a", "b") for c in ("line 1", "line 2")}) == 4
    assert len(events.event_id("a", "line 1")) == 32
