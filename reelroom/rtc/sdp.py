"""SDP offers in (RFC 8866, RFC 9429) as plain data, with clear refusals. Holds no answers: see `answer.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reelroom.rtc.dtls import Fingerprint

MAX_SDP_BYTES = 64 * 1024
_MAX_MEDIA = 16
_MAX_PAYLOAD_TYPES = 128

_CODECS = {
    ("video", "h264"): "h264",
    ("video", "h265"): "h265",
    ("video", "vp8"): "vp8",
    ("video", "vp9"): "vp9",
    ("video", "av1"): "av1",
    ("video", "av1x"): "av1",
    ("audio", "opus"): "opus",
    ("audio", "pcmu"): "pcmu",
    ("audio", "pcma"): "pcma",
}
_STATIC = {0: "PCMU/8000", 8: "PCMA/8000"}  # RFC 3551 payload types that need no rtpmap
_TOKEN = re.compile(r"^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}$")
_ICE = re.compile(r"^[A-Za-z0-9+/]{4,256}$")


class SdpError(ValueError):
    """The offer cannot be answered; the message says what is wrong and what would be right."""


@dataclass(slots=True)
class Codec:
    """One payload type that we can receive."""

    payload_type: int
    name: str  # "h264", "opus"...
    encoding: str  # as in rtpmap, "H264/90000"
    clock_rate: int
    channels: int
    fmtp: dict[str, str] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)
    rtx: int | None = None  # payload type of its retransmissions (RFC 4588)


@dataclass(slots=True)
class Media:
    """One m-section of an offer."""

    index: int
    kind: str  # "audio", "video", "application"...
    mid: str
    protocol: str
    formats: list[str]
    rejected: bool  # port 0
    direction: str = "sendrecv"
    codecs: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)
    rids: list[str] = field(default_factory=list)  # a=simulcast:send order
    ssrcs: list[int] = field(default_factory=list)
    rtx_of: dict[int, int] = field(default_factory=dict)  # RTX SSRC → media SSRC (ssrc-group FID)
    rtcp_mux: bool = False


@dataclass(slots=True)
class Offer:
    """What a peer offers, checked: BUNDLE, rtcp-mux, DTLS-SRTP and ICE are all there."""

    media: list[Media]
    bundle: list[str]
    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str  # "actpass", "active" or "passive"
    trickle: bool


def parse_offer(text: str) -> Offer:
    """Parse and check an offer; SdpError when it is not one that a WebRTC endpoint could make."""
    if len(text.encode()) > MAX_SDP_BYTES:
        raise SdpError(f"the SDP offer is longer than {MAX_SDP_BYTES} bytes")
    session, sections = _split(text)
    media = [_parse_media(index, lines) for index, lines in enumerate(sections)]
    if not media:
        raise SdpError("the SDP offer has no m= line")
    live = [section for section in media if not section.rejected]
    bundle = _bundle(session, live)
    transport = session + next((lines for section, lines in zip(media, sections, strict=True) if section in live), [])
    if "ice-lite" in _flags(session):
        raise SdpError("both sides cannot be ICE-lite: this server is, so the client must be a full ICE agent")
    ufrag, pwd = _first(transport, "ice-ufrag"), _first(transport, "ice-pwd")
    if not ufrag or not pwd or not _ICE.match(ufrag) or not _ICE.match(pwd) or len(pwd) < 22:
        raise SdpError("the SDP offer needs a=ice-ufrag (4+ ice-chars) and a=ice-pwd (22+ ice-chars)")
    prints = tuple(_fingerprint(value) for value in _all(transport, "fingerprint"))
    if not prints:
        raise SdpError("the SDP offer needs a=fingerprint: media is only taken over DTLS-SRTP")
    setup = _first(transport, "setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise SdpError(f"a=setup must be actpass, active or passive, not {setup!r}")
    trickle = "trickle" in (_first(transport, "ice-options") or "").split()
    return Offer(media, bundle, ufrag, pwd, prints, setup, trickle)


def parse_fragment(text: str) -> tuple[str | None, str | None]:
    """ice-ufrag and ice-pwd of a trickle ICE SDP fragment (RFC 8840 §9), each None if absent. SdpError if malformed.

    Its candidates are not needed: an ICE-lite agent learns addresses from the checks it gets.
    """
    if len(text.encode()) > MAX_SDP_BYTES:
        raise SdpError(f"the SDP fragment is longer than {MAX_SDP_BYTES} bytes")
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line and (len(line) < 2 or line[1] != "="):
            raise SdpError(f"not a line of an SDP fragment: {line[:40]!r}")
        if line.startswith("a="):
            lines.append(line[2:])
    ufrag, pwd = _first(lines, "ice-ufrag"), _first(lines, "ice-pwd")
    if (ufrag is None) != (pwd is None):
        raise SdpError("an SDP fragment has both a=ice-ufrag and a=ice-pwd, or neither")
    if ufrag is not None and pwd is not None and (not _ICE.match(ufrag) or not _ICE.match(pwd) or len(pwd) < 22):
        raise SdpError("the SDP fragment's a=ice-ufrag or a=ice-pwd is malformed")
    return ufrag, pwd


def _split(text: str) -> tuple[list[str], list[list[str]]]:
    """Session attributes, and per m-section its m= value followed by its attributes (a= stripped)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines or not lines[0].startswith("v=0"):
        raise SdpError("the SDP offer must begin with v=0")
    session: list[str] = []
    sections: list[list[str]] = []
    current = session
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) < 2 or line[1] != "=":
            raise SdpError(f"line {number} of the SDP offer is not of the form x=...: {line[:40]!r}")
        if line[0] == "m":
            if len(sections) == _MAX_MEDIA:
                raise SdpError(f"the SDP offer has more than {_MAX_MEDIA} m= lines")
            current = [line[2:]]
            sections.append(current)
        elif line[0] == "a":
            current.append(line[2:].strip())
    return session, sections


def _bundle(session: list[str], live: list[Media]) -> list[str]:
    groups = [value.split()[1:] for value in _all(session, "group") if value.split()[:1] == ["BUNDLE"]]
    mids = groups[0] if groups else []
    missing = [section.mid or f"#{section.index}" for section in live if section.mid not in mids]
    if len(live) > 1 and missing:
        raise SdpError(f"all media must be in one BUNDLE group (RFC 9143); not in a=group:BUNDLE: {', '.join(missing)}")
    for section in live:
        if section.kind in ("audio", "video") and not section.rtcp_mux:
            raise SdpError(f"the {section.kind} m-section (mid {section.mid!r}) needs a=rtcp-mux (RFC 5761)")
    return mids or [section.mid for section in live]


def _parse_media(index: int, lines: list[str]) -> Media:
    parts = lines[0].split()
    if len(parts) < 4 or not parts[1].split("/")[0].isdigit():
        raise SdpError(f"m= line {index + 1} is malformed: {lines[0][:60]!r}")
    kind, port, protocol, formats = parts[0], int(parts[1].split("/")[0]), parts[2], parts[3:]
    attributes = lines[1:]
    mid = _first(attributes, "mid") or ""
    if mid and not _TOKEN.match(mid):
        raise SdpError(f"a=mid of m= line {index + 1} is not a token: {mid[:40]!r}")
    rejected = port == 0 and "bundle-only" not in _flags(attributes)
    media = Media(index, kind, mid or str(index), protocol, formats, rejected)
    if kind not in ("audio", "video"):
        return media
    if not rejected and protocol not in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"):
        raise SdpError(f"the {kind} m-section must use UDP/TLS/RTP/SAVPF (DTLS-SRTP), not {protocol!r}")
    flags = _flags(attributes)
    media.direction = next((d for d in ("sendonly", "recvonly", "inactive", "sendrecv") if d in flags), "sendrecv")
    media.rtcp_mux = "rtcp-mux" in flags
    _parse_codecs(media, attributes)
    for value in _all(attributes, "extmap"):
        number, _, uri = value.partition(" ")
        number = number.split("/")[0]
        if number.isdigit() and 0 < int(number) < 256 and uri.split():
            media.extensions[int(number)] = uri.split()[0]
    _parse_sources(media, attributes)
    return media


def _parse_codecs(media: Media, attributes: list[str]) -> None:
    maps = {int(f): _STATIC[int(f)] for f in media.formats if f.isdigit() and int(f) in _STATIC}
    maps |= dict(_numbered(attributes, "rtpmap"))
    formats = {number: _parameters(value) for number, value in _numbered(attributes, "fmtp")}
    offered = [int(f) for f in media.formats if f.isdigit() and int(f) < 128][:_MAX_PAYLOAD_TYPES]
    for payload_type in offered:
        encoding = maps.get(payload_type, "")
        parts = encoding.split("/")
        name = _CODECS.get((media.kind, parts[0].lower()))
        if name is None or len(parts) < 2 or not parts[1].isdigit() or not 8000 <= int(parts[1]) <= 192_000:
            continue
        channels = int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else 1
        codec = Codec(payload_type, name, encoding, int(parts[1]), channels, formats.get(payload_type, {}))
        codec.feedback = [value for number, value in _feedback(attributes) if number in (str(payload_type), "*")]
        media.codecs[payload_type] = codec
    for payload_type in offered:
        if maps.get(payload_type, "").lower().startswith("rtx/"):
            apt = formats.get(payload_type, {}).get("apt", "")
            if apt.isdigit() and int(apt) in media.codecs:
                media.codecs[int(apt)].rtx = payload_type


def _parse_sources(media: Media, attributes: list[str]) -> None:
    for value in _all(attributes, "simulcast"):
        words = value.split()
        if "send" in words and words.index("send") + 1 < len(words):
            layers = words[words.index("send") + 1].split(";")
            media.rids = [layer.split(",")[0].lstrip("~") for layer in layers][:8]
    for value in _all(attributes, "ssrc"):
        number = value.split()[0] if value.split() else ""
        if number.isdigit() and int(number) < 1 << 32 and int(number) not in media.ssrcs and len(media.ssrcs) < 32:
            media.ssrcs.append(int(number))
    for value in _all(attributes, "ssrc-group"):
        words = value.split()
        if len(words) == 3 and words[0] == "FID" and words[1].isdigit() and words[2].isdigit():
            media.rtx_of[int(words[2])] = int(words[1])


def _fingerprint(value: str) -> Fingerprint:
    algorithm, _, digest = value.partition(" ")
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}", digest.strip()):
        raise SdpError("a=fingerprint must be a hash function and upper-case hex pairs with colons (RFC 8122)")
    return Fingerprint(algorithm.lower(), digest.strip().upper())


def _parameters(value: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in value.split(";"))
    return {name.lower(): text for name, _, text in pairs if name}


def _feedback(attributes: list[str]) -> list[tuple[str, str]]:
    return [(v.partition(" ")[0], v.partition(" ")[2].strip()) for v in _all(attributes, "rtcp-fb")]


def _numbered(attributes: list[str], name: str) -> list[tuple[int, str]]:
    found = []
    for value in _all(attributes, name):
        number, _, rest = value.partition(" ")
        if number.isdigit() and int(number) < 128:
            found.append((int(number), rest.strip()))
    return found


def _flags(attributes: list[str]) -> set[str]:
    return {attribute for attribute in attributes if ":" not in attribute}


def _all(attributes: list[str], name: str) -> list[str]:
    start = name + ":"
    return [attribute[len(start) :].strip() for attribute in attributes if attribute.startswith(start)]


def _first(attributes: list[str], name: str) -> str | None:
    found = _all(attributes, name)
    return found[0] if found else None
