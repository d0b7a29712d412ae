"""SRTP and SRTCP protection of one peer connection (RFC 3711, RFC 7714), by libsrtp. Holds no keys exchange."""

from __future__ import annotations

from collections.abc import Callable, Container

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from reelroom.rtc.dtls import SrtpKeys

SrtpError = Error

#: Packets that may arrive late behind the newest (RFC 3711 §3.3.2): a retransmission on the same SSRC comes a
#: round trip late, at 4K bit rates hundreds of packets behind.
REPLAY_WINDOW = 1024

#: SSRCs of one peer that libsrtp keeps state for; it would keep it for every one that ever sent a packet.
MAX_STREAMS = 128

MAX_PACKET = 2048  # bytes

_PROFILES = {
    "SRTP_AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "SRTP_AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "SRTP_AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "SRTP_AES128_CM_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}


class SrtpTransport:
    """The four transforms as plain callables: bytes in, bytes out, `SrtpError` for what does not verify."""

    __slots__ = ("_receiver", "_ssrcs", "protect", "protect_rtcp", "unprotect", "unprotect_rtcp")

    def __init__(self, keys: SrtpKeys) -> None:
        profile = _PROFILES[keys.profile.name]
        inbound = Policy(key=keys.receive, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        inbound.window_size = REPLAY_WINDOW
        outbound = Policy(key=keys.send, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        outbound.window_size = REPLAY_WINDOW
        outbound.allow_repeat_tx = True
        receiver, sender = Session(inbound), Session(outbound)
        self._receiver = receiver
        self._ssrcs: dict[int, None] = {}  # seen, oldest first
        self.unprotect: Callable[[bytes], bytes] = _unprotect(receiver)
        self.unprotect_rtcp: Callable[[bytes], bytes] = receiver.unprotect_rtcp
        self.protect: Callable[[bytes], bytes] = sender.protect
        self.protect_rtcp: Callable[[bytes], bytes] = sender.protect_rtcp

    def admit(self, ssrc: int, in_use: Container[int]) -> bool:
        """Note that a packet of `ssrc` was verified; call it for every one that is not known to be in use.

        Beyond MAX_STREAMS the oldest that is not `in_use` is forgotten. False when all are: then `ssrc` is.
        """
        if ssrc in self._ssrcs:
            return True
        if len(self._ssrcs) >= MAX_STREAMS:
            oldest = next((number for number in self._ssrcs if number not in in_use), None)
            if oldest is None:
                self._forget(ssrc)
                return False
            del self._ssrcs[oldest]
            self._forget(oldest)
        self._ssrcs[ssrc] = None
        return True

    def _forget(self, ssrc: int) -> None:
        try:
            self._receiver.remove_stream(ssrc)
        except SrtpError:
            pass  # libsrtp had none: nothing of this SSRC was verified since it was forgotten


def _unprotect(session: Session) -> Callable[[bytes], bytes]:
    """`Session.unprotect` in one Python call a packet where pylibsrtp's takes three and an allocation."""
    handle, transform = session._srtp[0], lib.srtp_unprotect
    buffer = ffi.new("char[]", MAX_PACKET)
    view = ffi.buffer(buffer)
    length = ffi.new("int *")

    def unprotect(packet: bytes) -> bytes:
        size = len(packet)
        if size > MAX_PACKET:
            raise ValueError(f"a packet of {size} bytes is longer than {MAX_PACKET}")
        view[:size] = packet
        length[0] = size
        if transform(handle, buffer, length):
            raise SrtpError("the packet does not verify, or was there before")
        plain: bytes = view[: length[0]]
        return plain

    unprotect.__dict__["session"] = session  # `handle` lives as long as its session
    return unprotect
