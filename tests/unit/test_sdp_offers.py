"""Offers of real endpoints, offers that cannot be answered, and garbage.

chromium, aiortc, ffmpeg: captured from the programs themselves (aiortc's candidates left out). obs: session and audio
after a published capture of OBS 30.1, its video section written by hand. firefox, safari, gstreamer: written by hand
after what those programs are known to send, not captured.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelroom.rtc import rtp
from reelroom.rtc.answer import Transport, receive_sections, role_for, write_answer
from reelroom.rtc.dtls import Fingerprint, Role
from reelroom.rtc.sdp import MAX_SDP_BYTES, Offer, SdpError, parse_fragment, parse_offer
from tests.rtcpeer import offer_text

OFFERS = {path.stem: path.read_bytes().decode() for path in (Path(__file__).parent / "offers").glob("*.sdp")}


def answer(offer: Offer) -> str:
    transport = Transport("ours", "p" * 24, Fingerprint("sha-256", "AA:BB"), role_for(offer), [("192.0.2.9", 5000)], 1)
    return write_answer(offer, receive_sections(offer), transport)


def codecs(offer: Offer, kind: str) -> set[str]:
    return {codec.name for media in offer.media if media.kind == kind for codec in media.codecs.values()}


@pytest.mark.parametrize(
    ("name", "audio", "video", "role"),
    [
        ("chromium", {"opus", "pcmu", "pcma"}, {"h264", "vp8", "vp9", "av1"}, Role.SERVER),
        ("firefox", {"opus", "pcmu", "pcma"}, {"h264", "vp8", "vp9"}, Role.SERVER),
        ("safari", {"opus", "pcmu", "pcma"}, {"h264", "h265"}, Role.SERVER),
        ("aiortc", {"opus", "pcmu", "pcma"}, {"h264", "vp8"}, Role.SERVER),
        ("gstreamer", {"opus"}, {"h264"}, Role.SERVER),
        ("ffmpeg", {"opus"}, {"h264"}, Role.CLIENT),
        ("obs", {"opus"}, {"h264"}, Role.SERVER),
    ],
)
def test_real_offers_are_understood_and_answered(name: str, audio: set[str], video: set[str], role: Role) -> None:
    offer = parse_offer(OFFERS[name])
    assert audio <= codecs(offer, "audio")
    assert video <= codecs(offer, "video")
    assert role_for(offer) is role
    assert len(offer.fingerprints) >= 1 and offer.ice_ufrag and len(offer.ice_pwd) >= 22
    text = answer(offer)
    lines = text.split("\r\n")
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    assert [line.split()[0][2:] for line in lines if line.startswith("m=")] == [media.kind for media in offer.media]
    assert lines.count("a=recvonly") == 2
    assert "a=ice-lite" in lines
    assert f"a=setup:{role.value}" in lines
    assert f"a=group:BUNDLE {' '.join(media.mid for media in offer.media)}" in lines
    offered = {line for line in OFFERS[name].replace("\r", "").split("\n") if line.startswith("a=extmap:")}
    assert {line for line in lines if line.startswith("a=extmap:")} <= offered
    rsize = "a=rtcp-rsize"
    assert lines.count(rsize) == OFFERS[name].count(rsize)


def test_chromiums_simulcast_is_taken() -> None:
    offer = parse_offer(OFFERS["chromium"])
    video = offer.media[1]
    assert video.rids == ["q", "h", "f"]
    assert rtp.RID in video.extensions.values() and rtp.REPAIRED_RID in video.extensions.values()
    assert "a=simulcast:recv q;h;f" in answer(offer)
    assert all(codec.rtx is not None for codec in video.codecs.values())


def test_retransmission_ssrcs_are_paired() -> None:
    assert parse_offer(OFFERS["firefox"]).media[1].rtx_of == {4022883517: 1098362411}


def test_what_is_said_for_the_session_holds_and_what_a_section_says_goes_before() -> None:
    offer = parse_offer(OFFERS["obs"])
    assert (offer.ice_ufrag, offer.setup) == ("nxcM", "actpass")
    text = OFFERS["obs"].replace("a=mid:0", "a=mid:0\na=ice-ufrag:mine\na=ice-pwd:" + "x" * 24)
    assert parse_offer(text).ice_ufrag == "mine"


def test_a_data_channel_beside_media_is_refused_alone() -> None:
    text = offer_text().replace("a=group:BUNDLE a v", "a=group:BUNDLE a v d")
    text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\na=sctp-port:5000\r\n"
    lines = answer(parse_offer(text)).split("\r\n")
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in lines
    assert "a=group:BUNDLE a v" in lines


def test_one_section_needs_no_bundle_and_is_answered_without() -> None:
    text = offer_text(video=False).replace("a=group:BUNDLE a\r\n", "")
    assert "a=group" not in answer(parse_offer(text))


def change(old: str, new: str) -> str:
    text = offer_text()
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (change("a=group:BUNDLE a v\r\n", ""), "BUNDLE"),
        (change("a=group:BUNDLE a v", "a=group:BUNDLE a"), "BUNDLE group.*: v"),
        (change("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (change("a=fingerprint:", "a=footprint:"), "a=fingerprint"),
        (change("a=fingerprint:sha-256", "a=fingerprint:md5"), "sha-256"),
        (change("a=ice-ufrag:them\r\n", ""), "ice-ufrag"),
        (change("a=ice-pwd:0123456789abcdefghijklmn", "a=ice-pwd:short"), "ice-pwd"),
        (change("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), "ICE-lite"),
        (change("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "DTLS-SRTP.*'RTP/AVP'"),
        (change("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), "DTLS-SRTP"),
        (change("a=setup:actpass", "a=setup:holdconn"), "a=setup"),
        (change("a=mid:v", "a=mid:a"), "same a=mid"),
        (change("a=mid:v", "a=mid:v v"), "token"),
        (change("m=video 9", "m=video x"), "m= line 2"),
        (change("m=video 9", "m=video ²"), "m= line 2"),
        (change("s=-", "nonsense"), "line 3"),
        ("v=0\r\ns=-\r\n", "no m= line"),
        ("", "v=0"),
        ("{}", "v=0"),
        (offer_text() + "a=x\r\n" * 20_000, str(MAX_SDP_BYTES)),
        (offer_text() + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 20, "more than 16"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(SdpError, match=says):
        parse_offer(text)


@pytest.mark.parametrize(
    "text",
    [
        offer_text(direction="recvonly"),
        offer_text(direction="inactive"),
        offer_text(video=False).replace("opus/48000/2", "isac/16000").replace(" 111 0", " 111"),
        offer_text().replace("m=audio 9", "m=audio 0").replace("m=video 9", "m=video 0"),
    ],
)
def test_an_offer_with_nothing_to_receive_is_refused(text: str) -> None:
    with pytest.raises(SdpError):
        receive_sections(parse_offer(text))


def test_codecs_with_parameters_we_cannot_read_are_left_out() -> None:
    text = offer_text().replace("packetization-mode=1;profile", "packetization-mode=2;profile")
    assert codecs(parse_offer(text), "video") == {"vp8", "vp9"}


def test_numbers_out_of_range_are_ignored() -> None:
    text = offer_text(
        extra=("a=ssrc:99999999999 cname:x", "a=ssrc:² cname:x", "a=extmap:999 " + rtp.MID, "a=rtpmap:300 VP8/90000")
    )
    video = parse_offer(text).media[1]
    assert video.ssrcs == [] and 999 not in video.extensions


def test_rids_are_plain_words() -> None:
    text = offer_text(extra=("a=simulcast:send a;b,c;~d;e@x;" + ";".join(f"r{n}" for n in range(20)),))
    rids = parse_offer(text).media[1].rids
    assert rids[:3] == ["a", "b", "d"] and len(rids) == 8 and "e@x" not in rids


@settings(max_examples=60)
@given(st.integers(0, 1 << 30), st.sampled_from(sorted(OFFERS)))
def test_damaged_offers_raise_nothing_else(seed: int, name: str) -> None:
    dice = random.Random(seed)
    text = list(OFFERS[name])
    for _ in range(dice.randint(1, 30)):
        at = dice.randrange(len(text))
        action = dice.randrange(4)
        if action == 0:
            text[at] = chr(dice.choice([0, 9, 10, 13, 32, 45, 48, 57, 58, 61, 0xB2, 0x663, 0x2028, 0xD800, 0x1F600]))
        elif action == 1:
            del text[at : at + dice.randint(1, 40)]
        elif action == 2:
            text[at:at] = text[at : at + dice.randint(1, 200)]
        else:
            text[at:at] = list("9" * dice.randint(1, 5000))
        if not text:
            return
    try:
        answer(parse_offer("".join(text)))
    except SdpError:
        pass


@given(st.text(max_size=300))
def test_garbage_raises_nothing_else(text: str) -> None:
    for garbage in (text, "v=0\n" + text, "v=0\nm=" + text, "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=" + text):
        try:
            parse_offer(garbage)
        except SdpError:
            pass
        try:
            parse_fragment(garbage)
        except SdpError:
            pass


def test_a_fragment_with_new_credentials_and_one_without() -> None:
    ufrag, pwd = "abcd", "x" * 22
    assert parse_fragment(f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n") == (ufrag, pwd)
    assert parse_fragment("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n") == (
        None,
        None,
    )
    for bad in ("a=ice-ufrag:abcd\r\n", f"a=ice-ufrag:a\r\na=ice-pwd:{pwd}\r\n", "nonsense", "a=x\n" * 20_000):
        with pytest.raises(SdpError):
            parse_fragment(bad)
