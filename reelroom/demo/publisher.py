"""Publishes a stored clip over WHIP with aiortc, without transcoding and at exact times; makes no clip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import av
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtcpSrPacket

from reelroom.demo import whip
from reelroom.demo.clipfile import Clip, EncodedFrame, ticks

_NTP_EPOCH_S = 2_208_988_800
_VIDEO_MIME = {"h264": "video/H264", "vp8": "video/VP8"}
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1")


class PublishError(Exception):
    """The clip cannot be published: not supported codec, or a transport that did not come up or was lost."""


@dataclass(slots=True)
class Sent:
    """What one track handed to the transport: how many frames, the first and last number, the worst delay.

    Numbers go on through loops: frame n has the RTP time of n × its duration after the first.
    """

    frames: int = 0
    first: int | None = None
    last: int | None = None
    latest_ms: float = 0.0


@dataclass(slots=True)
class _Clock:
    """Media time 0 of all tracks, on the monotonic clock and on the wall; unset until the transport is up."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    monotonic_ns: int = 0
    wall_ns: int = 0
    ppm: int = 0  # how much faster it runs than the machine's

    def start(self) -> None:
        self.wall_ns, self.monotonic_ns = time.time_ns(), time.monotonic_ns()
        self.started.set()

    def due_ns(self, media_ns: int) -> int:
        """When the machine's monotonic clock shows a media time."""
        return self.monotonic_ns + media_ns - media_ns * self.ppm // 1_000_000

    async def reach(self, media_ns: int) -> None:
        """Wait for a media time."""
        wait_ns = self.due_ns(media_ns) - time.monotonic_ns()
        while wait_ns > 0:
            await asyncio.sleep(wait_ns / 1e9)
            wait_ns = self.due_ns(media_ns) - time.monotonic_ns()  # it may have stalled

    def stall(self, ns: int) -> None:
        """Media time stands still for so long, as when a device gives nothing."""
        self.wall_ns += ns
        self.monotonic_ns += ns

    def ntp(self, media_ns: int) -> int:
        """Media time as a 64-bit NTP time (RFC 3550 section 4)."""
        return ((self.wall_ns + media_ns + _NTP_EPOCH_S * 1_000_000_000) << 32) // 1_000_000_000


class _StoredTrack(MediaStreamTrack):
    """Gives each stored frame to aiortc at its time, as an `av.Packet`, which aiortc packetizes as it is."""

    def __init__(
        self, kind: str, frames: Sequence[EncodedFrame], rate: int, clock: _Clock, loop_ns: int | None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.muted = False
        self.sent = Sent()
        self.last_ns: int | None = None
        self.last_ntp: int | None = None  # when that frame was due, whatever has stalled since
        self._frames, self._rate, self._clock, self._loop_ns = frames, rate, clock, loop_ns
        self._next = 0
        self._wants_key = False

    async def recv(self) -> Any:
        await self._clock.started.wait()
        while True:
            number, self._next = self._next, self._next + 1
            rounds, index = divmod(number, len(self._frames))
            if (rounds and self._loop_ns is None) or self.readyState != "live":
                raise MediaStreamError
            frame = self._frames[index]
            media_ns = frame.pts_ns + rounds * (self._loop_ns or 0)
            # An absolute deadline: one that is missed delays its own frame only.
            await self._clock.reach(media_ns)
            if self.muted:
                self._wants_key = True
                continue
            if self._wants_key and not frame.key:
                continue
            self._wants_key = False
            late_ns = time.monotonic_ns() - self._clock.due_ns(media_ns)
            self._note(number, media_ns, late_ns)
            packet = av.Packet(frame.data)
            packet.pts, packet.time_base = ticks(media_ns, self._rate), Fraction(1, self._rate)
            return packet

    def _note(self, number: int, media_ns: int, late_ns: int) -> None:
        sent = self.sent
        sent.frames += 1
        sent.first = number if sent.first is None else sent.first
        sent.last = number
        sent.latest_ms = max(sent.latest_ms, late_ns / 1e6)
        self.last_ns, self.last_ntp = media_ns, self._clock.ntp(media_ns)


class AiortcPublisher:
    """One participant that publishes a clip's stored frames.

    - RTP times are the clip's: pts in ticks plus the random start that RFC 3550 asks for.
    - Sender reports pair the last frame's RTP time with the wall time at which it was *due*, for both tracks
      by one clock, so they say exactly how picture and sound belong together. (aiortc by itself takes the
      time after sending, which is late by a scheduler's whim, and reports zeros before the first packet.)
    - A PLI is not obeyed: stored frames cannot become key frames. The clip's GOP is the wait, 2 s by default.
    - `loop` begins the clip again at its end; RTP times and frame numbers go on, the bar code starts again.
    - `ppm`: the sender's clock, which its RTP and NTP times come from, is so much faster than the machine's.
    - H.264 and VP8 only: aiortc packetizes no VP9, AV1 or H.265; PublishError for these.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        clip: Clip,
        *,
        kinds: Sequence[str] = ("audio", "video"),
        loop: bool = False,
        edit_answer: Callable[[str], str] | None = None,
        ppm: int = 0,
    ) -> None:
        if "video" in kinds and clip.spec.codec not in _VIDEO_MIME:
            raise PublishError(f"aiortc does not packetize {clip.spec.codec}; it can send h264 and vp8")
        if not kinds or not set(kinds) <= {"audio", "video"}:
            raise PublishError(f"kinds {kinds!r}: audio, video or both can be published")
        self.url, self.token, self.clip = url, token, clip
        self._edit_answer = edit_answer
        self._clock = _Clock(ppm=ppm)
        loop_ns = clip.duration_ns if loop else None
        frames = {"audio": (clip.audio, 48_000), "video": (clip.video, 90_000)}
        self._tracks = {k: _StoredTrack(k, *frames[k], self._clock, loop_ns) for k in kinds}
        self._session: whip.WhipSession | None = None
        self._pc: RTCPeerConnection | None = None
        self._lost = asyncio.Event()
        self._until_ns = 0

    @property
    def sent(self) -> dict[str, Sent]:
        """What was sent until now, by kind."""
        return {kind: track.sent for kind, track in self._tracks.items()}

    @property
    def media_ns(self) -> int:
        """The media time now, 0 before `start`; goes on through loops, and after a clip's end."""
        return time.monotonic_ns() - self._clock.monotonic_ns if self._clock.started.is_set() else 0

    @property
    def wall_start_ns(self) -> int:
        """The wall time (UTC) of media time 0, which the sender reports announce."""
        return self._clock.wall_ns

    async def start(self, *, timeout_s: float = 15.0) -> None:
        """Connect; media flows from the clip's beginning as soon as the transport is up.

        Raises WhipError when the server refuses, PublishError when ICE or DTLS does not come up in time.
        """
        pc = self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        connected = asyncio.Event()

        def changed() -> None:
            if pc.connectionState == "connected":
                connected.set()
            elif pc.connectionState in ("failed", "closed"):
                self._lost.set()

        pc.on("connectionstatechange", changed)
        try:
            self._add_tracks(pc)
            await pc.setLocalDescription(await pc.createOffer())
            offer = pc.localDescription.sdp
            self._session = await asyncio.to_thread(whip.publish, self.url, self.token, offer)
            answer = self._edit_answer(self._session.answer) if self._edit_answer else self._session.answer
            await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await asyncio.wait_for(connected.wait(), timeout_s)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise PublishError(f"{self.url}: no ICE and DTLS connection within {timeout_s} s") from error
            raise
        self._clock.start()

    def _add_tracks(self, pc: RTCPeerConnection) -> None:
        for kind, track in self._tracks.items():
            transceiver = pc.addTransceiver(track, direction="sendonly")
            if kind == "video":
                mime = _VIDEO_MIME[self.clip.spec.codec]
                codecs = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in (mime, "video/rtx")]
                transceiver.setCodecPreferences(codecs)
            _exact_sender_reports(transceiver.sender, track, self._clock)
            if urlsplit(self.url).hostname in _LOOPBACK_HOSTS:
                _gather_on_loopback(transceiver.sender)

    async def run(self, seconds: float) -> None:
        """Wait until `seconds` more of media were sent than earlier runs waited for; media goes on after it.

        Raises PublishError when the transport is lost meanwhile.
        """
        self._until_ns += round(seconds * 1e9)
        try:
            await asyncio.wait_for(self._lost.wait(), max(0, self._until_ns - self.media_ns) / 1e9)
        except TimeoutError:
            return
        raise PublishError(f"{self.url}: the connection was lost")

    def mute(self, kind: str) -> None:
        """Send nothing of a kind from the next frame on, as a sender whose track was taken away."""
        self._tracks[kind].muted = True

    def unmute(self, kind: str) -> None:
        """Send again, video from the clip's next key frame on; RTP times have gone on meanwhile."""
        self._tracks[kind].muted = False

    def stall(self, seconds: float) -> None:
        """Nothing is captured for so long, and RTP times do not count it: sender reports tell that it passed."""
        self._clock.stall(round(seconds * 1e9))

    def stop(self) -> None:
        """Send no more media, for good; the transport stays and answers NACKs until `close`."""
        for track in self._tracks.values():
            track.stop()

    async def close(self, *, delete: bool = True) -> None:
        """Stop sending and end the WHIP session; with `delete=False` without a word to the WHIP server."""
        self.stop()
        session, self._session = self._session, None
        pc, self._pc = self._pc, None
        try:
            if session and delete:
                await asyncio.to_thread(session.delete)
        except whip.WhipError as error:
            if error.status != 404:
                raise
        finally:
            if pc:
                await pc.close()


def _exact_sender_reports(sender: RTCRtpSender, track: _StoredTrack, clock: _Clock) -> None:
    """Make a sender's reports exact.

    Between `recv` returning a frame and its last packet leaving, aiortc never gives up the event loop, so
    whenever the report task runs, the RTP time that it reports is that of the track's last frame.
    """
    send: Callable[[list[Any]], Awaitable[None]] = sender._send_rtcp

    async def send_rtcp(packets: list[Any]) -> None:
        reports = [p for p in packets if isinstance(p, RtcpSrPacket)]
        if reports and track.last_ns is None:
            return
        for report in reports:
            report.sender_info.ntp_timestamp = track.last_ntp or clock.ntp(0)
            # What aiortc compares the receiver's reports with, to know the round trip.
            sender._RTCRtpSender__lsr = report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF  # type: ignore[attr-defined]
        await send(packets)

    sender._send_rtcp = send_rtcp  # type: ignore[method-assign]


def _gather_on_loopback(sender: RTCRtpSender) -> None:
    """Use 127.0.0.1 as the host candidate, which aioice leaves out; a machine may have no other address."""
    connection = sender.transport.transport.iceGatherer._connection
    gather = connection.get_component_candidates

    async def on_loopback(component: int, addresses: list[str], **options: Any) -> Any:
        return await gather(component=component, addresses=["127.0.0.1"], **options)

    setattr(connection, gather.__name__, on_loopback)
