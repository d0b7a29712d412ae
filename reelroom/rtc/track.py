"""One m-section's incoming track: its codec, its simulcast layers, its times. Holds no packets and no feedback."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from reelroom.rtc.answer import Section
from reelroom.rtc.clock import SenderClock, TrackClock
from reelroom.rtc.depacketize import make_depacketizer
from reelroom.rtc.sdp import Codec
from reelroom.rtc.stream import ReceiveStream

MS = 1_000_000

#: A stream's first frames wait this long, so that a burst of packets that queued up somewhere does not shift its times.
GATE_NS = 150 * MS
_LAYER_SILENT_NS = 1000 * MS
_LAYER_STOPPED_NS = 400 * MS  # silence of the chosen layer while another one goes on: the sender has stopped it
_BEHIND_NS = 100 * MS  # a frame so far behind what another layer already told is not told
_PLI_PAUSE_NS = 500 * MS
_CODEC_PAUSE_NS = 1000 * MS  # between changes of a layer's codec: packets of the one before may still straggle in

#: tap(sequence, timestamp, marker, payload, now): sees the chosen layer's packets as they come, before reordering.
Tap = Callable[[int, int, int, bytes, int], None]


class TrackSink(Protocol):
    """Who takes a track's frames."""

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
        """`rotation`: quarter turns clockwise that a display makes."""

    def codec_changed(self, track: RemoteTrack) -> None: ...

    def gap(self, track: RemoteTrack, from_ns: int, to_ns: int, packets: int, reason: str) -> None:
        """`reason`: "loss", or "layer": a simulcast layer has stopped, and another one took its place."""


class Layer:
    """One SSRC of a track: a simulcast layer, or the only one."""

    __slots__ = (
        "_changed_ns",
        "_gate_ns",
        "_waiting",
        "clock",
        "last_pli_ns",
        "lsr",
        "lsr_arrival_ns",
        "payload_type",
        "rid",
        "stream",
        "taps",
        "track",
    )

    def __init__(self, track: RemoteTrack, ssrc: int, rid: str, codec: Codec) -> None:
        self.track = track
        self.rid = rid
        self.payload_type = codec.payload_type
        depacketizer = make_depacketizer(codec.name, codec.fmtp) if track.kind == "video" else None
        self.stream = ReceiveStream(ssrc, codec.clock_rate, depacketizer, self._frame)
        self.clock = TrackClock(codec.clock_rate, track.sender_clock, audio=track.kind == "audio")
        self.last_pli_ns = 0
        self.lsr = 0
        self.lsr_arrival_ns = 0
        self.taps: list[Tap] = []
        self._changed_ns = 0
        self._gate_ns = 0  # when the gate opens; -1: it is open
        self._waiting: list[tuple[bytes, bool, int, int, bool, int]] = []

    @property
    def area(self) -> int:
        depacketizer = self.stream.depacketizer
        return depacketizer.width * depacketizer.height if depacketizer is not None else 0

    @property
    def waits(self) -> bool:
        """Its first frames wait; the first of pictures is a key frame."""
        return bool(self._waiting)

    def change_codec(self, codec: Codec, now_ns: int) -> bool:
        """False when the last change was a moment ago."""
        if self._changed_ns and now_ns - self._changed_ns < _CODEC_PAUSE_NS:
            return False
        self._changed_ns = now_ns
        depacketizer = make_depacketizer(codec.name, codec.fmtp) if self.track.kind == "video" else None
        self.stream.set_depacketizer(depacketizer)
        if codec.clock_rate != self.clock.clock_rate:
            self.open_gate()
            self.stream.clock_rate = codec.clock_rate
            self.clock = TrackClock(codec.clock_rate, self.track.sender_clock, audio=self.track.kind == "audio")
            self._gate_ns = 0
        self.payload_type = codec.payload_type
        return True

    def flows(self, now_ns: int) -> bool:
        return now_ns - self.stream.last_arrival_ns < _LAYER_SILENT_NS

    def poll_gate(self, now_ns: int) -> None:
        if self._waiting and now_ns >= self._gate_ns:
            self.track.open_gates()

    def _frame(self, data: bytes, key: bool, rtp: int, arrival_ns: int, after_gap: bool, rotation: int) -> None:
        if self._gate_ns >= 0:
            if not self._gate_ns:
                self._gate_ns = arrival_ns + GATE_NS
            self._waiting.append((data, key, rtp, arrival_ns, after_gap, rotation))
            if arrival_ns >= self._gate_ns:
                self.track.open_gates()
            return
        room_ns = self.clock.room_time(rtp, arrival_ns)
        self.track.layer_frame(self, data, key, rtp, room_ns, after_gap, rotation)

    def open_gate(self) -> list[tuple[bytes, bool, int, int, bool, int]]:
        """The frames that waited, if there are any, as `RemoteTrack.layer_frame` takes them."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        self._gate_ns = -1
        first = waiting[0][2]
        ticks = 1_000_000_000 / self.stream.clock_rate
        self.clock.start(first, min(arrival - int((rtp - first) * ticks) for _, _, rtp, arrival, _, _ in waiting))
        return [
            (data, key, rtp, self.clock.room_time(rtp, arrival_ns), after_gap, rotation)
            for data, key, rtp, arrival_ns, after_gap, rotation in waiting
        ]


class RemoteTrack:
    """What one m-section sends: frames of the best layer that flows, in order, on the room's clock.

    The best layer is the largest. Of a simulcast sender, whoever wants the smallest gets that from `low`, which is
    there from the first `want_low` on.
    """

    def __init__(self, section: Section, sender_clock: SenderClock, sink: TrackSink, *, smallest: bool = False) -> None:
        self.section = section
        self.kind = section.kind
        self.smallest = smallest
        self.name = f"{section.mid} low" if smallest else section.mid  # a mid has no spaces
        self.simulcast = self.kind == "video" and max(len(section.media.rids), len(section.media.layers)) > 1
        self.low: RemoteTrack | None = None
        self.sender_clock = sender_clock
        self.layers: dict[int, Layer] = {}  # by SSRC
        self.active: Layer | None = None
        self.codec: Codec = next(iter(section.codecs.values()))
        self.level = 255  # last audio level, -dBov; 255: not told
        self.last_room_ns = 0
        self.last_arrival_ns = 0
        self._sink = sink

    def want_low(self) -> None:
        """Tell the sink of the smallest layer that flows, too, as another track."""
        if self.simulcast and not self.smallest and self.low is None:
            self.low = RemoteTrack(self.section, self.sender_clock, self._sink, smallest=True)
            self.low.layers = self.layers

    @property
    def _choices(self) -> tuple[RemoteTrack, ...]:
        return (self,) if self.low is None else (self, self.low)

    def add_layer(self, ssrc: int, rid: str, payload_type: int) -> Layer:
        """A new SSRC of this track. A new SSRC without rid replaces the one before (RFC 3550 §8.2)."""
        codec = self.section.codecs[payload_type]
        layer = Layer(self, ssrc, rid, codec)
        for other in list(self.layers.values()):
            if other.rid == rid:
                del self.layers[other.stream.ssrc]
                for choice in self._choices:
                    if choice.active is other:
                        choice.active = None
        self.layers[ssrc] = layer
        for choice in self._choices:
            if choice.active is None:
                choice._adopt_codec(codec)
        return layer

    def change_codec(self, layer: Layer, payload_type: int, now_ns: int) -> bool:
        """The sender switched payload type; False when it is too soon to believe that."""
        codec = self.section.codecs[payload_type]
        if codec.name != self.section.codecs[layer.payload_type].name or codec.clock_rate != layer.stream.clock_rate:
            if not layer.change_codec(codec, now_ns):
                return False
            for choice in self._choices:
                if layer is choice.active:
                    choice._adopt_codec(codec)
        layer.payload_type = payload_type
        return True

    def layer_frame(
        self, layer: Layer, data: bytes, key: bool, rtp: int, room_ns: int, after_gap: bool, rotation: int
    ) -> None:
        """A frame of any layer; those of the chosen one go to the sink."""
        lost = layer.stream.lost_in_gap if after_gap else 0
        chosen = layer is self.active or self.active is None
        taken = self._take(layer, data, key, rtp, room_ns, after_gap, rotation, lost)
        if self.low is not None:
            chosen |= layer is self.low.active
            taken |= self.low._take(layer, data, key, rtp, room_ns, after_gap, rotation, lost)
        if taken and (after_gap or not chosen):  # told, or from before anybody looked at this layer
            layer.stream.lost_in_gap = 0

    def _take(
        self, layer: Layer, data: bytes, key: bool, rtp: int, room_ns: int, after_gap: bool, rotation: int, lost: int
    ) -> bool:
        """Whether it is told. `lost`: packets that never came before it."""
        if layer is not self.active:
            if not self._should_switch(layer, key) or room_ns < self.last_room_ns - _BEHIND_NS:
                return False
            if self.active is not None:
                lost = 0  # while nobody looked at this layer
                if self._stopped(self.active, layer.stream.last_arrival_ns) and room_ns > self.last_room_ns:
                    self._sink.gap(self, self.last_room_ns, room_ns, 0, "layer")
            self.active = layer
            self._adopt_codec(self.section.codecs[layer.payload_type])
        if room_ns <= self.last_room_ns:
            if self.last_room_ns - room_ns > _BEHIND_NS:
                if self.kind == "video":  # what follows cannot be decoded without it
                    layer.stream.frozen = layer.stream.wants_keyframe = True
                return False
            room_ns = self.last_room_ns + 1
        if lost:
            self._sink.gap(self, self.last_room_ns or room_ns, room_ns, lost, "loss")
        self.last_room_ns = room_ns
        self.last_arrival_ns = layer.stream.last_arrival_ns
        self._sink.frame(self, data, key, rtp, room_ns, self.level, after_gap, rotation)
        return True

    def open_gates(self) -> None:
        """One layer has waited long enough: the others began with it, and the best shall be told from its start."""
        layers = sorted(self.layers.values(), key=lambda layer: layer.area, reverse=True)
        opened = [(layer, layer.open_gate()) for layer in layers]
        for choice in self._choices:
            for layer, frames in reversed(opened) if choice.smallest else opened:
                lost = layer.stream.lost_in_gap
                for data, key, rtp, room_ns, after_gap, rotation in frames:
                    told = lost if after_gap else 0
                    if choice._take(layer, data, key, rtp, room_ns, after_gap, rotation, told) and after_gap:
                        lost = 0
        for layer, frames in opened:
            if any(after_gap for _, _, _, _, after_gap, _ in frames):
                layer.stream.lost_in_gap = 0

    def keyframes_wanted(self, now_ns: int) -> list[int]:
        """SSRCs to send a PLI for now: broken or new streams, and layers worth switching to."""
        wanted = []
        for layer in self.layers.values():
            layer.poll_gate(now_ns)
            stream = layer.stream
            flowing = layer.flows(now_ns)
            better = not layer.waits and any(
                layer is not choice.active and choice._is_better(layer, now_ns) for choice in self._choices
            )
            if flowing and (stream.wants_keyframe or better) and self.may_ask(layer, now_ns):
                wanted.append(stream.ssrc)
        return wanted

    def may_ask(self, layer: Layer, now_ns: int) -> bool:
        """Rate limit of PLIs; true starts the next pause."""
        if self.kind != "video" or now_ns - layer.last_pli_ns < _PLI_PAUSE_NS:
            return False
        layer.last_pli_ns = now_ns
        return True

    def _should_switch(self, layer: Layer, key: bool) -> bool:
        if self.kind != "video" or (self.active is None and not self.smallest):
            return key
        return key and self._is_better(layer, layer.stream.last_arrival_ns)

    def _is_better(self, layer: Layer, now_ns: int) -> bool:
        active = self.active
        if active is None and not self.smallest:
            return True
        if active is None or self._stopped(active, now_ns):
            since_ns = (
                now_ns - _LAYER_SILENT_NS if active is None else active.stream.last_arrival_ns + _LAYER_STOPPED_NS
            )
            going = [each for each in self.layers.values() if each.stream.last_arrival_ns > since_ns]
            return layer in going and layer.area == self._best(each.area for each in going)
        return layer.area != active.area and layer.area == self._best((layer.area, active.area))

    def _best(self, areas: Iterable[int]) -> int:
        return min((area for area in areas if area), default=0) if self.smallest else max(areas)

    @staticmethod
    def _stopped(layer: Layer, now_ns: int) -> bool:
        return now_ns - layer.stream.last_arrival_ns > _LAYER_STOPPED_NS

    def _adopt_codec(self, codec: Codec) -> None:
        changed = codec.name != self.codec.name or codec.clock_rate != self.codec.clock_rate
        self.codec = codec
        if changed:
            self._sink.codec_changed(self)
