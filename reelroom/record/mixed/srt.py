"""Sends a transport stream over SRT with the machine's own libsrt: the FFmpeg of PyAV's wheels is built without it.

Calls only: a push is never a listener. Muxes nothing, and knows no bus.
"""

from __future__ import annotations

import ctypes.util
import socket
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from cffi import FFI

PAYLOAD = 1316  # bytes of one message in live mode: seven packets of the transport stream
_NAMES = ("srt-gnutls", "srt", "srt-openssl")
_FILES = ("libsrt-gnutls.so.1.5", "libsrt.so.1.5", "libsrt-openssl.so.1.5", "libsrt.so.1")
_TEXTS = {"streamid": 46, "passphrase": 26}  # SRT_SOCKOPT of srt.h
_CONNTIMEO, _PBKEYLEN, _LATENCY, _SNDTIMEO, _PEERLATENCY = 36, 27, 23, 13, 44
_CONNECT_MS = 10_000
_SEND_MS = 10_000
_FLUSH_S = 1.5

_ffi = FFI()
_ffi.cdef(
    """
    int srt_startup(void);
    int srt_cleanup(void);
    int srt_create_socket(void);
    int srt_setsockflag(int u, int opt, const void *value, int length);
    int srt_getsockflag(int u, int opt, void *value, int *length);
    int srt_connect(int u, const void *name, int length);
    int srt_send(int u, const char *data, int length);
    int srt_getsndbuffer(int u, size_t *blocks, size_t *bytes);
    int srt_close(int u);
    const char *srt_getlasterror_str(void);
    """
)


class Target(NamedTuple):
    """What an srt:// URL says."""

    host: str
    port: int
    texts: dict[str, str]  # "streamid", "passphrase"
    numbers: dict[int, int]  # SRT_SOCKOPT → value


def parse(url: str) -> Target:
    """An srt:// URL with the parameters of FFmpeg: mode (caller), streamid, passphrase, pbkeylen (16, 24, 32), latency
    (microseconds). Raises ValueError for others, since a stream sent otherwise than asked is worse than none."""
    parts = urlsplit(url)
    if parts.scheme != "srt" or not parts.hostname or not parts.port:
        raise ValueError("an SRT push goes to srt://host:port")
    texts: dict[str, str] = {}
    numbers: dict[int, int] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _TEXTS:
            texts[name] = value
        elif name == "pbkeylen" and value in ("16", "24", "32"):
            numbers[_PBKEYLEN] = int(value)
        elif name == "latency" and value.isdecimal():
            numbers[_LATENCY] = max(1, int(value) // 1000)
        elif (name, value) not in (("mode", "caller"), ("transtype", "live"), ("pkt_size", str(PAYLOAD))):
            raise ValueError(f"an SRT push cannot take {name}={value!r}")
    if "passphrase" in texts and not 10 <= len(texts["passphrase"].encode()) <= 79:
        raise ValueError("an SRT passphrase has 10 to 79 characters")
    return Target(unquote(parts.hostname), parts.port, texts, numbers)


def library() -> Any | None:
    """libsrt, None when this machine has none."""
    for name in (*_FILES, *filter(None, map(ctypes.util.find_library, _NAMES))):
        try:
            return _ffi.dlopen(name)
        except OSError:
            continue
    return None


class Srt:
    """One connection as a file that is only written. Raises OSError with libsrt's reason."""

    def __init__(self, url: str) -> None:
        target = parse(url)
        lib = library()
        if lib is None:
            raise OSError("there is no libsrt on this machine (Debian: libsrt1.5-gnutls)")
        self._lib = lib
        lib.srt_startup()
        self._socket = lib.srt_create_socket()
        try:
            self._connect(target)
        except OSError:
            lib.srt_close(self._socket)
            lib.srt_cleanup()
            raise

    def write(self, data: bytes) -> int:
        """Send it in messages of PAYLOAD bytes; waits when the line is slow, for ten seconds at most."""
        for at in range(0, len(data), PAYLOAD):
            part = bytes(data[at : at + PAYLOAD])
            if self._lib.srt_send(self._socket, part, len(part)) < 0:
                raise self._error()
        return len(data)

    def close(self) -> None:
        """Wait until the other side has what was sent, for a moment, and end."""
        blocks = _ffi.new("size_t *")
        deadline = time.monotonic() + _FLUSH_S
        while time.monotonic() < deadline:
            if self._lib.srt_getsndbuffer(self._socket, blocks, _ffi.NULL) < 0 or not blocks[0]:
                break
            time.sleep(0.02)
        # The other side hands out what it has when the latency is over; the rest goes with the connection.
        latency, size = _ffi.new("int *"), _ffi.new("int *", 4)
        if self._lib.srt_getsockflag(self._socket, _PEERLATENCY, latency, size) == 0:
            time.sleep(min(latency[0] / 1000 + 0.1, max(0.0, deadline - time.monotonic())))
        self._lib.srt_close(self._socket)
        self._lib.srt_cleanup()

    def _connect(self, target: Target) -> None:
        numbers = {_CONNTIMEO: _CONNECT_MS, _SNDTIMEO: _SEND_MS, **target.numbers}
        for option, number in numbers.items():
            self._set(option, _ffi.new("int *", number), 4)
        for name, text in target.texts.items():
            raw = text.encode()
            self._set(_TEXTS[name], _ffi.from_buffer(raw), len(raw))
        family, _, _, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
        raw = _sockaddr(family, str(address[0]), int(address[1]))
        if self._lib.srt_connect(self._socket, _ffi.from_buffer(raw), len(raw)) < 0:
            raise self._error()

    def _set(self, option: int, value: Any, size: int) -> None:
        if self._lib.srt_setsockflag(self._socket, option, value, size) < 0:
            raise self._error()

    def _error(self) -> OSError:
        return OSError(_ffi.string(self._lib.srt_getlasterror_str()).decode(errors="replace"))


def _sockaddr(family: int, host: str, port: int) -> bytes:
    """struct sockaddr_in or sockaddr_in6 of Linux."""
    head = family.to_bytes(2, "little") + port.to_bytes(2, "big")
    raw = socket.inet_pton(family, host.split("%")[0])
    return head + bytes(4) + raw + bytes(4) if family == socket.AF_INET6 else head + raw + bytes(8)
