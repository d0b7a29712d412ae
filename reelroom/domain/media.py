"""Tracks and codecs as the rest of the house speaks of them. Holds no packets and no container."""

from __future__ import annotations

from msgspec import Struct

from reelroom.domain.recording import Format, Source

#: What participants send. A mix is encoded in the codecs of `mix.py`.
VIDEO_CODECS = ("h264", "h265", "vp8", "vp9", "av1")
AUDIO_CODECS = ("opus", "pcmu", "pcma")

#: Codecs that each format's container takes as they are; anything else is transcoded to `TARGET`.
#: VP8 is kept in fMP4 segments of our own, but few players take it in MP4 or HLS files; G.711 is only taken as AAC.
#: FLV would take MP3 at 44.1 kHz and no other rate of ours.
COPIES: dict[str, frozenset[str]] = {
    "fmp4": frozenset({"h264", "h265", "vp9", "av1", "opus", "aac", "mp3"}),
    "mp4": frozenset({"h264", "h265", "vp9", "av1", "opus", "aac", "mp3"}),
    "ts": frozenset({"h264", "h265", "aac", "mp3"}),
    "webm": frozenset({"vp8", "vp9", "av1", "opus"}),
    "flv": frozenset({"h264", "aac"}),
    "aac": frozenset({"aac"}),
    "mp3": frozenset({"mp3"}),
    "opus": frozenset({"opus"}),
    "m4a": frozenset({"aac"}),
}
TARGET: dict[str, tuple[str | None, str]] = {  # container → video, audio codec when it must transcode
    "fmp4": ("h264", "aac"),
    "mp4": ("h264", "aac"),
    "ts": ("h264", "aac"),
    "webm": ("vp8", "opus"),
    "flv": ("h264", "aac"),
    "aac": (None, "aac"),
    "mp3": (None, "mp3"),
    "opus": (None, "opus"),
    "m4a": (None, "aac"),
}
AUDIO_ONLY = frozenset({Format.AAC, Format.MP3, Format.OPUS, Format.M4A})


class TrackInfo(Struct, frozen=True, kw_only=True):
    """One stream of one participant, as the ingest announces it on the bus."""

    track: int  # number on the bus, unique within one ingest process's life
    identity: str
    source: Source
    codec: str
    clock_rate: int
    channels: int = 0  # audio: 1 or 2
    fmtp: dict[str, str] = {}
    session: str = ""  # the participant's session; a rejoin is another session

    @property
    def kind(self) -> str:
        return self.source.kind
