"""One peer's transport: ICE-lite, DTLS and SRTP on a single address pair. Holds no RTP: see `receive.py`, `send.py`."""

from __future__ import annotations

from collections.abc import Callable, Container

from reelroom.rtc.dtls import Certificate, DtlsError, DtlsTransport, Role
from reelroom.rtc.ice import Address, IceLite
from reelroom.rtc.sdp import Media, Offer
from reelroom.rtc.srtp import SrtpError, SrtpTransport

MS = 1_000_000

#: Addresses that may pass connectivity checks at once: a client has a few interfaces, an attacker many sources.
MAX_ADDRESSES = 8

Send = Callable[[bytes, Address], object]


class Peer:
    """Datagrams in by `stun` and `receive`, out by the `send` it was given; time only as an argument.

    Subclasses take what is inside: `_rtp` (protected packet), `_rtcp` (plain compound), `_connected`, `_poll`.
    """

    media: Media
    """The first section that was agreed to, whose transport all share."""

    def __init__(self, certificate: Certificate, offer: Offer, role: Role, send: Send) -> None:
        self.ice = IceLite(offer.ice_ufrag)
        self.previous_ice: IceLite | None = None  # until a restart's new credentials are nominated
        self.addresses: list[Address] = []  # passed a check; media is taken from these only
        self.address: Address | None = None  # where we send
        self.connected = False
        self.closed = False
        self.close_reason = ""
        self.last_seen_ns = 0
        self.next_poll_ns = 0
        self.rejected = 0  # packets that did not verify
        self.remote_credentials = (offer.ice_ufrag, offer.ice_pwd)
        self._dtls = DtlsTransport(certificate, role, offer.fingerprints)
        self._role = role
        self._dtls_started = False
        self._dtls_due_ns = 0
        self._srtp: SrtpTransport | None = None
        self._send = send

    @property
    def role(self) -> Role:
        return self._role

    def stun(self, data: bytes, source: Address, now_ns: int) -> bool:
        """Answer a connectivity check; True when it was authentic, so that `source` may send media."""
        check = self.ice.handle(data, source)
        if check is None and self.previous_ice is not None:
            check = self.previous_ice.handle(data, source)
        elif check is not None and check.accepted:
            self.previous_ice = None
        if check is None:
            return False
        self._send(check.response, source)
        if not check.accepted:
            return False
        self.last_seen_ns = now_ns
        if source not in self.addresses:
            if len(self.addresses) >= MAX_ADDRESSES:
                self.addresses.remove(next(a for a in self.addresses if a != self.address))
            self.addresses.append(source)
        if self.address is None or check.nominated:
            self.address = source
        if not self._dtls_started:
            self._dtls_started = True
            if self._role is Role.CLIENT:
                self._handshake(now_ns, self._dtls.start)
        return True

    def restart_ice(self, ufrag: str, pwd: str) -> None:
        """New credentials for both sides (RFC 8445 §9); the old ones hold until a check uses the new."""
        if self.previous_ice is None:  # else no check has used the last restart's: keep those that work
            self.previous_ice = self.ice
        self.ice = IceLite(ufrag)
        self.remote_credentials = (ufrag, pwd)

    def receive(self, data: bytes, now_ns: int) -> None:
        """One datagram that is not STUN from one of `addresses` (RFC 7983 §7)."""
        first = data[0]
        if 127 < first < 192:
            srtp = self._srtp
            if srtp is None or len(data) < 12:
                return
            self.last_seen_ns = now_ns
            if 192 <= data[1] <= 223:
                try:
                    compound = srtp.unprotect_rtcp(data)
                except (SrtpError, ValueError):
                    self.rejected += 1
                    return
                if srtp.admit(int.from_bytes(compound[4:8], "big"), self._in_use()):
                    self._rtcp(compound, now_ns)
            else:
                self._rtp(data, now_ns)
        elif 19 < first < 64:
            self._handshake(now_ns, lambda: self._dtls.receive(data))

    def poll(self, now_ns: int) -> None:
        """Do what is due; call again at `next_poll_ns`."""
        if self.closed:
            return
        if not self.connected:
            if self._dtls_due_ns and now_ns >= self._dtls_due_ns:
                self._handshake(now_ns, self._dtls.handle_timeout)
            self.next_poll_ns = now_ns + 20 * MS
            return
        self._poll(now_ns)

    def close(self, reason: str) -> None:
        """Say goodbye and stop; `close_reason` tells why."""
        if self.closed:
            return
        if self._dtls_started:
            self._dtls.close()
            self._flush()
        self._end(reason)

    def _handshake(self, now_ns: int, step: Callable[[], None]) -> None:
        try:
            step()
        except DtlsError as error:
            self._flush()
            self._end(str(error))
            return
        self._flush()
        if self._dtls.closed:
            self.close("left")
            return
        if self._dtls.keys is not None and self._srtp is None:
            self._srtp = SrtpTransport(self._dtls.keys)
            self.connected = True
            self.next_poll_ns = now_ns
            self._connected(self._srtp, now_ns)
        due = self._dtls.next_timeout_s()
        self._dtls_due_ns = now_ns + int(due * 1e9) if due is not None else 0

    def _end(self, reason: str) -> None:
        self.closed = True
        self.close_reason = reason
        self._srtp = None  # what still comes is dropped
        self._ended()

    def _flush(self) -> None:
        if self.address is not None:
            for datagram in self._dtls.take_outgoing():
                self._send(datagram, self.address)

    def _send_rtcp(self, compound: bytes) -> None:
        if self._srtp is not None and self.address is not None:
            self._send(self._srtp.protect_rtcp(compound), self.address)

    def _in_use(self) -> Container[int]:
        """SSRCs whose SRTP state must be kept."""
        return ()

    def _connected(self, srtp: SrtpTransport, now_ns: int) -> None:
        raise NotImplementedError

    def _rtp(self, data: bytes, now_ns: int) -> None:
        raise NotImplementedError

    def _rtcp(self, compound: bytes, now_ns: int) -> None:
        raise NotImplementedError

    def _poll(self, now_ns: int) -> None:
        raise NotImplementedError

    def _ended(self) -> None:
        raise NotImplementedError
