"""SDP offers in (RFC 8866, RFC 9429) as plain data, with clear refusals. Holds no answers: see `answer.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reelroom.rtc.depacketize import make_depacketizer
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
_RID = re.compile(r"^[A-Za-z0-9_-]{1,32}$")  # RFC 8851 §10
_MAX_SSRC = 0xFFFFFFFF


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
    layers: list[int] = field(default_factory=list)  # simulcast without rids: SSRCs of ssrc-group SIM
    ssrcs: list[int] = field(default_factory=list)
    rtx_of: dict[int, int] = field(default_factory=dict)  # RTX SSRC → media SSRC (ssrc-group FID)
    rtcp_mux: bool = False
    reduced_size: bool = False  # RFC 5506


@dataclass(slots=True)
class Offer:
    """What a peer offers, checked: BUNDLE, rtcp-mux, DTLS-SRTP and ICE are all there."""

    media: list[Media]
    bundle: list[str]  # mids; empty: one m-section and no group
    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    setup: str  # "actpass", "active" or "passive"
    trickle: bool


def parse_offer(text: str) -> Offer:
    """Parse and check an offer; SdpError when it is not one that a WebRTC endpoint could make."""
    if len(text.encode(errors="replace")) > MAX_SDP_BYTES:
        raise SdpError(f"the SDP offer is longer than {MAX_SDP_BYTES} bytes")
    session, sections = _split(text)
    media = [_parse_media(index, lines) for index, lines in enumerate(sections)]
    if not media:
        raise SdpError("the SDP offer has no m= line")
    mids = [section.mid for section in media]
    if len(set(mids)) < len(mids):
        raise SdpError("two m= lines of the SDP offer have the same a=mid")
    live = [section for section in media if not section.rejected]
    bundle = _bundle(session, live)
    tagged = next((section for section in live if section.mid in bundle[:1]), live[0] if live else None)
    own = sections[tagged.index] if tagged is not None else []
    transport = own + session  # what a section says goes before what the session says
    if "ice-lite" in _flags(session):
        raise SdpError("both sides cannot be ICE-lite: this server is, so the client must be a full ICE agent")
    ufrag, pwd = _first(transport, "ice-ufrag"), _first(transport, "ice-pwd")
    if not ufrag or not pwd or not _ICE.match(ufrag) or not _ICE.match(pwd) or len(pwd) < 22:
        raise SdpError("the SDP offer needs a=ice-ufrag (4+ ice-chars) and a=ice-pwd (22+ ice-chars)")
    prints = tuple(_fingerprint(value) for value in _all(own, "fingerprint") or _all(session, "fingerprint"))
    if not prints:
        raise SdpError("the SDP offer needs a=fingerprint: media is only taken over DTLS-SRTP")
    if not any(fingerprint.supported for fingerprint in prints):
        raise SdpError("the SDP offer needs an a=fingerprint by sha-256 (sha-1, 224, 384 and 512 do as well)")
    setup = _first(transport, "setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise SdpError(f"a=setup must be actpass, active or passive, not {setup!r}")
    trickle = "trickle" in (_first(transport, "ice-options") or "").split()
    return Offer(media, bundle, ufrag, pwd, prints, setup, trickle)


def parse_fragment(text: str) -> tuple[str | None, str | None]:
    """ice-ufrag and ice-pwd of a trickle ICE SDP fragment (RFC 8840 §9), each None if absent. SdpError if malformed.

    Its candidates are not needed: an ICE-lite agent learns addresses from the checks it gets.
    """
    if len(text.encode(errors="replace")) > MAX_SDP_BYTES:
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
    return mids


def _parse_media(index: int, lines: list[str]) -> Media:
    parts = lines[0].split()
    port = _integer(parts[1].split("/")[0]) if len(parts) >= 4 else None
    if port is None or not _TOKEN.match(parts[0]):
        raise SdpError(f"m= line {index + 1} is malformed: {lines[0][:60]!r}")
    kind, protocol, formats = parts[0], parts[2], parts[3:]
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
    media.reduced_size = "rtcp-rsize" in flags
    _parse_codecs(media, attributes)
    for value in _all(attributes, "extmap"):
        name, _, uri = value.partition(" ")
        number = _integer(name.split("/")[0], 255)
        if number and uri.split():
            media.extensions[number] = uri.split()[0]
    _parse_sources(media, attributes)
    return media


def _parse_codecs(media: Media, attributes: list[str]) -> None:
    offered = [number for text in media.formats if (number := _integer(text, 127)) is not None][:_MAX_PAYLOAD_TYPES]
    maps = {number: _STATIC[number] for number in offered if number in _STATIC}
    maps |= dict(_numbered(attributes, "rtpmap"))
    formats = {number: _parameters(value) for number, value in _numbered(attributes, "fmtp")}
    for payload_type in offered:
        encoding = maps.get(payload_type, "")
        parts = encoding.split("/")
        name = _CODECS.get((media.kind, parts[0].lower()))
        rate = _integer(parts[1], 192_000) if len(parts) > 1 else None
        if name is None or rate is None or rate < 8000:
            continue
        channels = (_integer(parts[2], 255) if len(parts) > 2 else None) or 1
        codec = Codec(payload_type, name, encoding, rate, channels, formats.get(payload_type, {}))
        if not _readable(codec, media.kind):
            continue
        codec.feedback = [value for number, value in _feedback(attributes) if number in (str(payload_type), "*")]
        media.codecs[payload_type] = codec
    for payload_type in offered:
        if maps.get(payload_type, "").lower().startswith("rtx/"):
            apt = _integer(formats.get(payload_type, {}).get("apt", ""), 127)
            if apt in media.codecs:
                media.codecs[apt].rtx = payload_type


def _readable(codec: Codec, kind: str) -> bool:
    """False for parameters that our depacketizer refuses: then the codec is not agreed to."""
    if kind == "video":
        try:
            make_depacketizer(codec.name, codec.fmtp)
        except ValueError:
            return False
    return True


def _parse_sources(media: Media, attributes: list[str]) -> None:
    for value in _all(attributes, "simulcast"):
        words = value.split()
        if "send" in words and words.index("send") + 1 < len(words):
            layers = words[words.index("send") + 1].split(";")
            names = [layer.split(",")[0].lstrip("~") for layer in layers]
            media.rids = [name for name in dict.fromkeys(names) if _RID.match(name)][:8]
    for value in _all(attributes, "ssrc"):
        number = _integer(value.partition(" ")[0], _MAX_SSRC)
        if number is not None and number not in media.ssrcs and len(media.ssrcs) < 32:
            media.ssrcs.append(number)
    for value in _all(attributes, "ssrc-group"):
        words = value.split()
        numbers = [number for word in words[1:9] if (number := _integer(word, _MAX_SSRC)) is not None]
        if words[:1] == ["FID"] and len(numbers) == 2 and len(media.rtx_of) < 32:
            media.rtx_of[numbers[1]] = numbers[0]
        elif words[:1] == ["SIM"]:
            media.layers = numbers


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
        payload_type = _integer(number, 127)
        if payload_type is not None:
            found.append((payload_type, rest.strip()))
    return found


def _integer(text: str, most: int = 65535) -> int | None:
    """A decimal number 0..most, else None. `str.isdigit` also takes digits that `int` does not."""
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return number if (number := int(text)) <= most else None


def _flags(attributes: list[str]) -> set[str]:
    return {attribute for attribute in attributes if ":" not in attribute}


def _all(attributes: list[str], name: str) -> list[str]:
    start = name + ":"
    return [attribute[len(start) :].strip() for attribute in attributes if attribute.startswith(start)]


def _first(attributes: list[str], name: str) -> str | None:
    found = _all(attributes, name)
    return found[0] if found else None
