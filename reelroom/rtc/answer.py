"""SDP answers (RFC 9429 §5.3) of an ICE-lite, BUNDLE-only endpoint. Holds no parsing: see `sdp.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reelroom.rtc import rtp
from reelroom.rtc.dtls import Fingerprint, Role
from reelroom.rtc.sdp import Codec, Media, Offer, SdpError

#: Feedback that we send or honour, by kind (RFC 4585 §4.2).
_FEEDBACK = {
    "video": ("nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"),
    "audio": ("nack", "transport-cc"),
}


@dataclass(slots=True)
class Section:
    """What was agreed for one m-section; `codecs` is empty when it was refused."""

    media: Media
    codecs: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)
    direction: str = "inactive"
    send_ssrc: int = 0
    cname: str = ""
    stream: str = ""

    @property
    def mid(self) -> str:
        return self.media.mid

    @property
    def kind(self) -> str:
        return self.media.kind

    def extension(self, uri: str) -> int:
        """Id of a header extension, 0 if it was not agreed."""
        return next((number for number, name in self.extensions.items() if name == uri), 0)


@dataclass(frozen=True, slots=True)
class Transport:
    """Our side of the one transport: credentials, certificate and where we listen."""

    ufrag: str
    password: str
    fingerprint: Fingerprint
    role: Role
    addresses: Sequence[tuple[str, int]]
    session_id: int


def role_for(offer: Offer) -> Role:
    """RFC 5763 §5: an offerer that is passive makes us the client."""
    return Role.CLIENT if offer.setup == "passive" else Role.SERVER


def receive_sections(offer: Offer, *, orientation: bool = False) -> list[Section]:
    """Agree to receive every audio and video section that sends; SdpError when nothing is left.

    `orientation`: senders may tell how pictures are turned instead of turning them (RFC 7742 section 4).
    """
    extensions = (*rtp.EXTENSIONS, rtp.VIDEO_ORIENTATION) if orientation else rtp.EXTENSIONS
    sections = [_agree(media, media.codecs, "recvonly", ("sendonly", "sendrecv"), extensions) for media in offer.media]
    if not any(section.codecs for section in sections):
        raise SdpError(
            "nothing in the offer can be received: it needs an audio or video section that sends "
            "H264, H265, VP8, VP9, AV1, opus, PCMU or PCMA"
        )
    return sections


def send_sections(offer: Offer, pick: Callable[[Media], dict[int, Codec]]) -> list[Section]:
    """Agree to send on sections that receive, with the codecs that `pick` chooses for each."""
    extensions = (rtp.MID, rtp.VIDEO_ORIENTATION)  # what a publisher told is told on
    sections = []
    for media in offer.media:
        section = _agree(media, pick(media), "sendonly", ("recvonly", "sendrecv"), extensions)
        sections.append(section)
    if not any(section.codecs for section in sections):
        raise SdpError("the offer has no section that receives a codec this participant sends")
    return sections


def _agree(
    media: Media, codecs: dict[int, Codec], direction: str, offered: tuple[str, ...], extensions: tuple[str, ...]
) -> Section:
    section = Section(media)
    if media.rejected or media.kind not in ("audio", "video") or media.direction not in offered or not codecs:
        return section
    section.direction = direction
    section.codecs = codecs
    section.extensions = {number: uri for number, uri in media.extensions.items() if uri in extensions}
    return section


def write_answer(offer: Offer, sections: list[Section], transport: Transport) -> str:
    """The whole answer, CRLF line ends."""
    live = [section.mid for section in sections if section.codecs]
    lines = [
        "v=0",
        f"o=- {transport.session_id} 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *([f"a=group:BUNDLE {' '.join(live)}"] if offer.bundle else []),
        "a=ice-lite",
        "a=msid-semantic: WMS *",
    ]
    for section in sections:
        lines += _section(section, transport)
    return "\r\n".join(lines) + "\r\n"


def write_fragment(media: Media, transport: Transport) -> str:
    """What a restart of ICE is answered with (RFC 8840 §9): `media` is the first section that was agreed to."""
    lines = [
        "a=ice-lite",
        "a=ice-options:trickle",
        f"m={media.kind} 9 RTP/AVP 0",
        f"a=mid:{media.mid}",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.password}",
        *_candidates(transport),
    ]
    return "\r\n".join(lines) + "\r\n"


def _candidates(transport: Transport) -> list[str]:
    lines = []
    for number, (host, port) in enumerate(transport.addresses):
        priority = (126 << 24) | ((65535 - number) << 8) | 255  # RFC 8445 §5.1.2.1, host, component 1
        lines.append(f"a=candidate:{number + 1} 1 udp {priority} {host} {port} typ host")
    return [*lines, "a=end-of-candidates"]


def _section(section: Section, transport: Transport) -> list[str]:
    media = section.media
    if not section.codecs:
        return [
            f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{media.mid}",
            "a=inactive",
        ]
    types = list(section.codecs)
    types += [codec.rtx for codec in section.codecs.values() if codec.rtx is not None]
    lines = [
        f"m={media.kind} 9 {media.protocol} {' '.join(map(str, types))}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.password}",
        "a=ice-options:trickle",
        f"a=fingerprint:{transport.fingerprint.algorithm} {transport.fingerprint.value}",
        f"a=setup:{transport.role.value}",
        f"a=mid:{media.mid}",
        f"a={section.direction}",
        "a=rtcp-mux",
    ]
    if media.reduced_size:
        lines.append("a=rtcp-rsize")
    lines += [f"a=extmap:{number} {uri}" for number, uri in section.extensions.items()]
    for codec in section.codecs.values():
        lines += _codec(codec, media.kind, sending=section.direction == "sendonly")
    if media.rids and section.direction == "recvonly":
        lines += [f"a=rid:{rid} recv" for rid in media.rids]
        lines.append(f"a=simulcast:recv {';'.join(media.rids)}")
    if section.send_ssrc:
        lines.append(f"a=msid:{section.stream} {section.kind}")
        lines.append(f"a=ssrc:{section.send_ssrc} cname:{section.cname}")
    # RFC 9143 asks for candidates in the first bundled section only; aiortc reads those of the last one.
    return lines + _candidates(transport)


def _codec(codec: Codec, kind: str, *, sending: bool) -> list[str]:
    number = codec.payload_type
    lines = [f"a=rtpmap:{number} {codec.encoding}"]
    parameters = dict(codec.fmtp)
    if codec.name == "opus" and not sending:
        parameters["stereo"] = "1"  # take stereo when there is some; a mono source still sends mono
        parameters.setdefault("useinbandfec", "1")
    if parameters:
        lines.append(f"a=fmtp:{number} " + ";".join(f"{k}={v}" if v else k for k, v in parameters.items()))
    offered = [feedback for feedback in codec.feedback if feedback in _FEEDBACK[kind]]
    if "transport-cc" in offered and "goog-remb" in offered:
        offered.remove("goog-remb")
    if kind == "audio" and "nack" not in offered and not sending:
        offered.append("nack")
    if sending:
        offered = [feedback for feedback in offered if feedback in ("nack", "nack pli", "ccm fir")]
    lines += [f"a=rtcp-fb:{number} {feedback}" for feedback in offered]
    if codec.rtx is not None:
        lines.append(f"a=rtpmap:{codec.rtx} rtx/{codec.clock_rate}")
        lines.append(f"a=fmtp:{codec.rtx} apt={number}")
    return lines
