"""A publishing peer: SRTP in, frames out, feedback back (RFC 3550, 4585, 4588, transport-cc). Holds no rooms."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container

from reelroom.rtc import rtcp, rtp
from reelroom.rtc.answer import Section
from reelroom.rtc.clock import SenderClock
from reelroom.rtc.delay import SendDelay
from reelroom.rtc.dtls import Certificate, Role
from reelroom.rtc.feedback import TransportFeedback
from reelroom.rtc.peer import MS, Peer, Send
from reelroom.rtc.sdp import Offer
from reelroom.rtc.srtp import SrtpError, SrtpTransport
from reelroom.rtc.stream import TURNED, ReceiveStream
from reelroom.rtc.track import Layer, RemoteTrack, TrackSink

_MAX_SSRCS = 64  # a peer; more are dropped and counted
_MAX_RETIRED = 256  # SSRCs of the past that are remembered
_NEW_SSRCS = 32  # that may come at once; then one each _FEEDBACK_NS
_FEEDBACK_NS = 100 * MS
_REPORT_NS = 1000 * MS
_LOSS_POLL_NS = 10 * MS
_NACKED = 256  # sequence numbers in one packet, at most 1 KB
_IDLE_POLL_NS = 50 * MS
_QUEUED_NS = 100 * MS  # so much in the path's queues: the sender is faster than the path

_unpack = rtp.HEADER.unpack_from


class _Inbound:
    """How packets of one SSRC are taken: the primary stream, or its retransmissions."""

    __slots__ = (
        "layer", "level_id", "missing", "orientation_id", "payload_type", "receive", "rtx", "sampled", "sent_id",
        "twcc_at", "twcc_tag", "words",
    )  # fmt: skip

    def __init__(
        self, layer: Layer, payload_type: int, *, rtx: bool, twcc_id: int, level_id: int, sent_id: int
    ) -> None:
        self.layer = layer
        self.payload_type = payload_type
        self.receive = layer.stream.receive
        self.missing = layer.stream.missing.entries
        self.rtx = rtx
        self.level_id = level_id if layer.track.kind == "audio" and not rtx else 0
        self.orientation_id = layer.track.section.extension(rtp.VIDEO_ORIENTATION)  # RTX has it too
        self.sent_id = sent_id if layer.track.kind == "video" and not rtx else 0
        self.sampled = -1  # RTP timestamp of the frame whose send time was last looked at
        self.twcc_tag = (twcc_id << 4) | 1 if twcc_id else 0  # over 255: ids that need two-byte headers, looked up
        self.twcc_at = 0  # offset in the extension where it was last found; 0: look
        self.words = -1


class Publisher(Peer):
    """Receives the sections agreed in an answer. The sink gets frames, gaps and codec changes."""

    def __init__(
        self,
        certificate: Certificate,
        offer: Offer,
        sections: list[Section],
        role: Role,
        send: Send,
        sink: TrackSink,
    ) -> None:
        super().__init__(certificate, offer, role, send)
        self.sections = [section for section in sections if section.codecs]
        self.media = self.sections[0].media
        self.sender_clock = SenderClock()
        self.tracks = {section.mid: RemoteTrack(section, self.sender_clock, sink) for section in self.sections}
        self.malformed = 0
        self.unknown_ssrc = 0
        self.mirrored = 0  # frames told to be mirror images, which are not mirrored back
        self.bytes = 0
        self._inbound: dict[int, _Inbound] = {}
        self._ssrc = secrets.randbits(32)
        self._unprotect: Callable[[bytes], bytes] = _not_connected
        self._twcc: TransportFeedback | None = None
        self._twcc_id = self._extension(rtp.TRANSPORT_CC)
        self._mid_id = self._extension(rtp.MID)
        self._rid_id = self._extension(rtp.RID)
        self._repaired_id = self._extension(rtp.REPAIRED_RID)
        self._level_id = self._extension(rtp.AUDIO_LEVEL)
        self._send_delay = SendDelay()
        self._feedback_due = self._report_due = 0
        self._remb_bps = 0
        self._bytes_reported = 0
        self._polled: list[ReceiveStream] = []
        self._retired: dict[int, None] = {}  # SSRCs that others took the place of, oldest first
        self._budget = _NEW_SSRCS
        self._remb = any("goog-remb" in codec.feedback for s in self.sections for codec in s.codecs.values())
        # Only what REMB is computed from: with transport-wide feedback the sender estimates by itself.
        self._sent_id = self._extension(rtp.ABS_SEND_TIME) if self._remb and not self._twcc_id else 0
        self._reduced_size = all(section.media.reduced_size for section in self.sections)

    def request_keyframe(self, track: RemoteTrack, now_ns: int) -> None:
        """Send a PLI for the layer in use, unless one was sent within the last half second."""
        layer = track.active or next(iter(track.layers.values()), None)
        if layer is not None and track.may_ask(layer, now_ns):
            self._send_rtcp(self._compound() + rtcp.pli(self._ssrc, layer.stream.ssrc))

    def _extension(self, uri: str) -> int:
        return next((number for section in self.sections if (number := section.extension(uri))), 0)

    def _connected(self, srtp: SrtpTransport, now_ns: int) -> None:
        self._unprotect = srtp.unprotect
        if self._twcc_id:
            self._twcc = TransportFeedback(now_ns)
        self._feedback_due = now_ns + _FEEDBACK_NS
        self._report_due = now_ns + _REPORT_NS // 4

    def _rtp(self, data: bytes, now_ns: int) -> None:
        # The hot path: about 190 times a second for each participant. No object, no queue, no log line.
        try:
            packet = self._unprotect(data)
        except (SrtpError, ValueError):
            self.rejected += 1
            return
        size = len(packet)
        first, second, sequence, timestamp, ssrc = _unpack(packet)
        inbound = self._inbound.get(ssrc)
        if inbound is None:
            inbound = self._identify(packet, second & 127, ssrc, now_ns)
            if inbound is None:
                self._acknowledge(packet, now_ns)
                return
        start = 12 + ((first & 15) << 2)
        marker = second >> 7
        if first & 16:
            extension = start
            if start + 4 > size:
                self.malformed += 1
                return
            words = (packet[start + 2] << 8) | packet[start + 3]
            start += 4 + (words << 2)
            if start > size:
                self.malformed += 1
                return
            tag = inbound.twcc_tag
            if tag:
                at = extension + inbound.twcc_at
                if words == inbound.words and packet[at] == tag:
                    self._twcc.arrived((packet[at + 1] << 8) | packet[at + 2], now_ns)  # type: ignore[union-attr]
                else:
                    self._find_transport_sequence(inbound, packet, extension, words, now_ns)
            if inbound.level_id:
                level = rtp.parse_extensions(packet, extension).get(inbound.level_id)
                if level:
                    inbound.layer.track.level = level[0] & 127
            if inbound.sent_id and timestamp != inbound.sampled:
                inbound.sampled = timestamp
                sent = rtp.parse_extensions(packet, extension).get(inbound.sent_id)
                if sent is not None and len(sent) == 3:
                    self._send_delay.sample(int.from_bytes(sent), now_ns)
            if marker and inbound.orientation_id:
                orientation = rtp.orientation(rtp.parse_extensions(packet, extension).get(inbound.orientation_id))
                if orientation is not None:
                    marker = TURNED | orientation & 3
                    self.mirrored += orientation >> 2 & 1
        end = size
        if first & 32:
            end -= packet[-1]
            if end < start:
                self.malformed += 1
                return
        if second & 127 != inbound.payload_type and not self._payload_type_changed(inbound, second & 127, now_ns):
            return
        if inbound.rtx:
            if end - start < 2:
                return  # padding that probes for bandwidth
            sequence = (packet[start] << 8) | packet[start + 1]
            start += 2
        payload = packet[start:end]
        self.bytes += size
        inbound.receive(sequence, timestamp, marker, payload, now_ns)
        if inbound.missing and self.next_poll_ns > now_ns + _LOSS_POLL_NS:
            self.next_poll_ns = now_ns + _LOSS_POLL_NS
        for tap in inbound.layer.taps:
            tap(sequence, timestamp, marker, payload, now_ns)

    def _find_transport_sequence(
        self, inbound: _Inbound, packet: bytes, extension: int, words: int, now_ns: int
    ) -> None:
        """Find the element the slow way and remember where, for packets of the same shape."""
        value = rtp.parse_extensions(packet, extension).get(self._twcc_id)
        if value is None or len(value) != 2 or self._twcc is None:
            return
        self._twcc.arrived((value[0] << 8) | value[1], now_ns)
        if inbound.twcc_tag > 255:
            return
        place = packet.find(bytes([inbound.twcc_tag]) + value, extension + 4, extension + 4 + (words << 2))
        inbound.twcc_at = place - extension if place >= 0 else 0
        inbound.words = words if place >= 0 else -1

    def _identify(self, packet: bytes, payload_type: int, ssrc: int, now_ns: int) -> _Inbound | None:
        """Find the track of a new SSRC: by MID and RID, by the SDP's ssrc lines, or by payload type."""
        if self._srtp is None or not self._srtp.admit(ssrc, self._inbound):
            self.unknown_ssrc += 1
            return None
        if len(self._inbound) >= _MAX_SSRCS or self._budget <= 0:
            self.unknown_ssrc += 1
            return None
        header = rtp.parse_header(packet)
        if header is None:
            self.malformed += 1
            return None
        elements = rtp.parse_extensions(packet, header.extension_at) if header.extension_at else {}
        mid = elements.get(self._mid_id, b"").decode("ascii", "replace") if self._mid_id else ""
        rid = elements.get(self._rid_id, b"").decode("ascii", "replace") if self._rid_id else ""
        repaired = elements.get(self._repaired_id, b"").decode("ascii", "replace") if self._repaired_id else ""
        track = self.tracks.get(mid) or self._track_by_sdp(ssrc, payload_type)
        if track is None:
            self.unknown_ssrc += 1
            return None
        rtx = payload_type not in track.section.codecs
        if rtx:
            layer = self._layer_repaired_by(track, ssrc, payload_type, repaired or rid)
        else:
            layer = self._new_layer(track, ssrc, rid, payload_type, now_ns)
        if layer is None:
            self.unknown_ssrc += 1
            return None
        self._budget -= 1
        inbound = _Inbound(
            layer, payload_type, rtx=rtx, twcc_id=self._twcc_id, level_id=self._level_id, sent_id=self._sent_id
        )
        known = {id(known_layer) for t in self.tracks.values() for known_layer in t.layers.values()}
        self._inbound = {number: entry for number, entry in self._inbound.items() if id(entry.layer) in known}
        self._inbound[ssrc] = inbound
        self._polled = [entry.layer.stream for entry in self._inbound.values() if not entry.rtx]
        return inbound

    def _acknowledge(self, packet: bytes, now_ns: int) -> None:
        """Tell the sender that a packet of no known stream came. Chromium probes the path with padding on RTX streams
        whose media is still to come; what is not told counts as lost, and makes it begin at a fraction of the rate."""
        header = rtp.parse_header(packet)
        if self._twcc is None or header is None or not header.extension_at:
            return
        value = rtp.parse_extensions(packet, header.extension_at).get(self._twcc_id)
        if value is not None and len(value) == 2:
            self._twcc.arrived(int.from_bytes(value), now_ns)

    def _new_layer(self, track: RemoteTrack, ssrc: int, rid: str, payload_type: int, now_ns: int) -> Layer | None:
        """The layer of a media SSRC that has just come up; None while it cannot be told, or must not be believed."""
        media = track.section.media
        if rid and rid not in media.rids:
            return None
        if not rid and media.rids and self._rid_id and ssrc not in media.ssrcs:
            return None  # a simulcast layer whose first packets, which say which, are still to come
        if not rid and ssrc in media.layers:
            rid = f"ssrc:{ssrc}"
        before = next((layer for layer in track.layers.values() if layer.rid == rid), None)
        if before is not None:
            if ssrc in self._retired and before.flows(now_ns):
                return None  # a straggler of the stream that `before` took the place of
            self._retired.pop(ssrc, None)
            self._retired[before.stream.ssrc] = None
            if len(self._retired) > _MAX_RETIRED:
                del self._retired[next(iter(self._retired))]
        return track.add_layer(ssrc, rid, payload_type)

    def _track_by_sdp(self, ssrc: int, payload_type: int) -> RemoteTrack | None:
        for section in self.sections:
            if ssrc in section.media.ssrcs:
                return self.tracks[section.mid]
        fitting = [
            section
            for section in self.sections
            if any(payload_type in (number, codec.rtx) for number, codec in section.codecs.items())
        ]
        return self.tracks[fitting[0].mid] if len(fitting) == 1 else None

    def _layer_repaired_by(self, track: RemoteTrack, ssrc: int, payload_type: int, rid: str) -> Layer | None:
        if not any(codec.rtx == payload_type for codec in track.section.codecs.values()):
            return None
        if rid:
            return next((layer for layer in track.layers.values() if layer.rid == rid), None)
        repaired = track.section.media.rtx_of.get(ssrc)
        if repaired is not None:
            return track.layers.get(repaired)
        return next(iter(track.layers.values())) if len(track.layers) == 1 else None

    def _payload_type_changed(self, inbound: _Inbound, payload_type: int, now_ns: int) -> bool:
        section = inbound.layer.track.section
        if inbound.rtx:
            if not any(codec.rtx == payload_type for codec in section.codecs.values()):
                return False
        elif payload_type not in section.codecs:
            return False  # RED, comfort noise, DTMF: not agreed to
        elif not inbound.layer.track.change_codec(inbound.layer, payload_type, now_ns):
            return False
        inbound.payload_type = payload_type
        return True

    def _rtcp(self, compound: bytes, now_ns: int) -> None:
        for packet in rtcp.parse(compound):
            if isinstance(packet, rtcp.SenderReport):
                inbound = self._inbound.get(packet.ssrc)
                if inbound is None or inbound.rtx:
                    continue
                layer = inbound.layer
                layer.lsr, layer.lsr_arrival_ns = packet.ntp_middle, now_ns
                if packet.ntp_ns != rtcp.NO_CLOCK_NS and layer.stream.frames:
                    ticks = layer.stream.extend_timestamp(packet.rtp_timestamp)
                    layer.clock.report(ticks, packet.ntp_ns, now_ns)

    def _poll(self, now_ns: int) -> None:
        waiting = False
        for stream in self._polled:
            if stream.missing or now_ns - stream.last_arrival_ns > stream.patience_ns:
                sequences = stream.poll(now_ns)
                for at in range(0, len(sequences), _NACKED):
                    asked = sequences[at : at + _NACKED]
                    self._send_rtcp(self._compound() + rtcp.nack(self._ssrc, stream.ssrc, asked))
                waiting = waiting or bool(stream.missing)
        if now_ns >= self._feedback_due:
            self._feedback_due = now_ns + _FEEDBACK_NS
            self._budget = min(self._budget + 1, _NEW_SSRCS)
            self._send_feedback(now_ns)
        if now_ns >= self._report_due:
            self._report_due = now_ns + _REPORT_NS
            self._send_reports(now_ns)
        self.next_poll_ns = now_ns + (_LOSS_POLL_NS if waiting else _IDLE_POLL_NS)

    def _send_feedback(self, now_ns: int) -> None:
        for track in self.tracks.values():
            if track.kind == "video" or track.active is None:
                for ssrc in track.keyframes_wanted(now_ns):
                    self._send_rtcp(self._compound() + rtcp.pli(self._ssrc, ssrc))
        if self._twcc is not None:
            before = b"" if self._reduced_size else self._compound()
            media_ssrc = self._polled[0].ssrc if self._polled else 0
            while (message := self._twcc.message(self._ssrc, media_ssrc)) is not None:
                self._send_rtcp(before + message)

    def _send_reports(self, now_ns: int) -> None:
        blocks = []
        lossy = 0
        for stream in self._polled:
            stream.learn_spacing()
            fraction, lost, highest, jitter = stream.report_block()
            layer = self._inbound[stream.ssrc].layer
            delay = (now_ns - layer.lsr_arrival_ns) * 65536 // 1_000_000_000 if layer.lsr_arrival_ns else 0
            blocks.append((stream.ssrc, fraction, lost, highest, jitter, layer.lsr, delay))
            lossy = max(lossy, fraction)
        if not blocks:
            return
        description = rtcp.source_description(self._ssrc, "reelroom")
        compound = rtcp.receiver_report(self._ssrc, blocks) + description
        for at in range(31, len(blocks), 31):  # a report has room for 31
            self._send_rtcp(rtcp.receiver_report(self._ssrc, blocks[at:]) + description)
        if self._remb and self._twcc is None:
            compound += rtcp.remb(self._ssrc, self._estimate(lossy), [stream.ssrc for stream in self._polled])
        self._send_rtcp(compound)

    def _estimate(self, fraction_lost: int) -> int:
        """Bit rate for REMB by loss (draft-ietf-rmcat-gcc-02 §6) and, with send times, by queueing delay (§5.5)."""
        received = (self.bytes - self._bytes_reported) * 8 * 1_000_000_000 // _REPORT_NS
        self._bytes_reported = self.bytes
        current = self._remb_bps or 2_000_000
        queued = self._send_delay.take()
        if queued > _QUEUED_NS:
            current = min(current, received * 85 // 100)
        elif fraction_lost > 26:  # over 10 %
            current = current * (512 - fraction_lost) // 512
        elif fraction_lost < 6:  # under 2 %: room to grow, never far beyond what is used
            current = min(current * 108 // 100 + 1000, max(4_000_000, received * 2))
        self._remb_bps = max(current, 100_000)
        return self._remb_bps

    def _in_use(self) -> Container[int]:
        return self._inbound

    def _compound(self) -> bytes:
        """The report that a compound packet must begin with (RFC 3550 §6.1)."""
        return rtcp.receiver_report(self._ssrc, []) + rtcp.source_description(self._ssrc, "reelroom")

    def _ended(self) -> None:
        self._inbound.clear()
        self._polled = []


def _not_connected(_: bytes) -> bytes:
    raise ValueError("no keys yet")
