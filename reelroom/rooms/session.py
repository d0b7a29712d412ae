"""One publishing connection of one participant: from its frames to the room's live tracks. Holds no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reelroom.domain.media import TrackInfo
from reelroom.domain.recording import Source
from reelroom.rooms.live import LiveTrack
from reelroom.rtc.answer import Section
from reelroom.rtc.receive import Publisher
from reelroom.rtc.track import RemoteTrack

if TYPE_CHECKING:
    from reelroom.rooms.room import Room

MS = 1_000_000
#: How long nothing comes before a track counts as muted. Opus DTX still sends every 400 ms; a still screen may be
#: shared at a frame a second or less.
_MUTED_AFTER_NS = {
    Source.MICROPHONE: 1000 * MS,
    Source.SCREEN_AUDIO: 1000 * MS,
    Source.CAMERA: 1500 * MS,
    Source.SCREEN: 3000 * MS,
}


class Session:
    """Takes a publisher's frames (it is the `TrackSink`) and keeps its live tracks."""

    def __init__(self, number: str, identity: str, sources: dict[str, Source], joined_ns: int, room: Room) -> None:
        self.id = number
        self.identity = identity
        self.sources = sources  # by mid
        self.joined_ns = joined_ns
        self.room = room
        self.announced = False
        self.peer: Publisher | None = None
        self.live: dict[str, LiveTrack] = {}  # by the remote track's name

    def frame(
        self,
        track: RemoteTrack,
        data: bytes,
        key: bool,
        rtp: int,
        room_ns: int,
        level: int,
        after_gap: bool,
        rotation: int,
    ) -> None:
        live = self.live.get(track.name)
        if live is None or live.muted:
            live = self._wake(track, live, room_ns)
        live.frame(data, key, rtp, room_ns, level, after_gap, rotation)

    def gap(self, track: RemoteTrack, from_ns: int, to_ns: int, packets: int, reason: str) -> None:
        live = self.live.get(track.name)
        if live is not None:
            self.room.tell_gap(live, from_ns, to_ns, packets, reason)

    def codec_changed(self, track: RemoteTrack) -> None:
        live = self.live.pop(track.name, None)
        if live is not None:
            self.room.remove_track(live, "codec_changed")

    def overlaps(self, other: Session) -> bool:
        """Both publish for one participant from the same camera, microphone or screen."""
        return self.identity == other.identity and bool(set(self.sources.values()) & set(other.sources.values()))

    def look_for_mutes(self, now_ns: int) -> None:
        for live in self.live.values():
            if not live.muted and now_ns - live.remote.last_arrival_ns > _MUTED_AFTER_NS[live.info.source]:
                live.muted = True
                self.room.tell_state(live, live.last_ns, muted=True)

    def end(self, reason: str) -> None:
        for live in self.live.values():
            self.room.remove_track(live, reason)
        self.live.clear()

    def _wake(self, track: RemoteTrack, live: LiveTrack | None, room_ns: int) -> LiveTrack:
        """The slow path of `frame`: a new track, or one that speaks again."""
        if live is not None:
            live.muted = False
            self.room.tell_state(live, room_ns, muted=False)
            return live
        codec = track.codec
        info = TrackInfo(
            track=self.room.next_track_number(),
            identity=self.identity,
            source=self.sources[track.section.mid],
            codec=codec.name,
            clock_rate=codec.clock_rate,
            channels=codec.channels if track.kind == "audio" else 0,
            fmtp=codec.fmtp,
            session=self.id,
        )
        live = self.live[track.name] = LiveTrack(info, track, self.room.new_ring(track.kind))
        self.room.add_track(live, room_ns)
        if self.room.low:
            track.want_low()
        return live

    def want_low(self) -> None:
        """Somebody wants the smallest layers of what comes in several."""
        for live in self.live.values():
            live.remote.want_low()


def name_sources(sections: list[Section], labels: Mapping[str, str]) -> dict[str, Source]:
    """Which source each section is. The first video is what `labels["video"]` says (default the camera), a second
    one the screen; audio goes along. ValueError for a label or a number of sections that has no place."""
    label = labels.get("video", "camera")
    if label not in ("camera", "screen"):
        raise ValueError(f"a track can be 'camera' or 'screen', not {label!r}")
    order = {
        "video": [Source.CAMERA, Source.SCREEN] if label == "camera" else [Source.SCREEN, Source.CAMERA],
        "audio": [Source.MICROPHONE, Source.SCREEN_AUDIO]
        if label == "camera"
        else [Source.SCREEN_AUDIO, Source.MICROPHONE],
    }
    named: dict[str, Source] = {}
    for section in sections:
        if not section.codecs:
            continue
        if not order[section.kind]:
            raise ValueError(f"at most two {section.kind} sections can be sent in one session: camera and screen")
        named[section.mid] = order[section.kind].pop(0)
    return named
