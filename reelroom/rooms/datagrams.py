"""Many datagrams from one system call, with the times the kernel took them in (recvmmsg(2)). Linux only.

Python's socket module does not offer it. A datagram costs two slices here, and not a system call, an exception at
each end of a batch, and its address as text.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from cffi import FFI

MAX_DATAGRAM = 2048  # bytes; WebRTC keeps below 1500, longer ones are cut and then fail to authenticate
BATCH = 64
_NAME = 28  # sizeof(struct sockaddr_in6)
_MSG_DONTWAIT = 0x40
_SO_TIMESTAMPNS = 35
_CONTROL = 32  # one control message: its header (16 bytes), seconds and nanoseconds (8 each)

_ffi = FFI()
_ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; unsigned msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                    void *msg_control; size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned msg_len; };
    int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned vlen, int flags, void *timeout);
    """
)
_libc = _ffi.dlopen(None)
_STRIDE = _ffi.sizeof("struct mmsghdr") // 4  # in 32-bit words
_LENGTH = _ffi.offsetof("struct mmsghdr", "msg_len") // 4
_CONTROLLEN = _ffi.offsetof("struct mmsghdr", "msg_hdr") // 8 + _ffi.offsetof("struct msghdr", "msg_controllen") // 8

#: A sender's address as the kernel writes it: the key that peers are found by. `address_of` makes it readable.
RawAddress = bytes


class Receiver:
    """Reads one UDP socket. `read` returns at most BATCH of (datagram, sender, UTC ns); empty: there are none."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._fd = sock.fileno()
        self._name = 16 if sock.family == socket.AF_INET else _NAME
        self._vector = _ffi.new("struct mmsghdr[]", BATCH)
        self._iov = _ffi.new("struct iovec[]", BATCH)
        self._data = _ffi.new("char[]", BATCH * MAX_DATAGRAM)
        self._names = _ffi.new("char[]", BATCH * _NAME)
        self._controls = _ffi.new("char[]", BATCH * _CONTROL)
        for index in range(BATCH):
            self._iov[index].iov_base = self._data + index * MAX_DATAGRAM
            self._iov[index].iov_len = MAX_DATAGRAM
            header = self._vector[index].msg_hdr
            header.msg_name = self._names + index * _NAME
            header.msg_namelen = _NAME  # the kernel writes back the family's size, which is enough for next time
            header.msg_iov = self._iov + index
            header.msg_iovlen = 1
            header.msg_control = self._controls + index * _CONTROL
            header.msg_controllen = _CONTROL
        self._bytes = _ffi.buffer(self._data)
        self._senders = _ffi.buffer(self._names)
        vector = memoryview(_ffi.buffer(self._vector)).cast("B")
        self._words, self._longs = vector.cast("I"), vector.cast("Q")
        self._stamps = memoryview(_ffi.buffer(self._controls)).cast("B").cast("q")

    def read(self) -> list[tuple[bytes, RawAddress, int]]:
        """What has come, without waiting. OSError for what the kernel reports about the socket."""
        count = _libc.recvmmsg(self._fd, self._vector, BATCH, _MSG_DONTWAIT, _ffi.NULL)
        if count < 0:
            number = _ffi.errno
            if number in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(number, os.strerror(number))
        data, senders, words, longs, stamps = self._bytes, self._senders, self._words, self._longs, self._stamps
        name = self._name
        found = []
        at = sender = 0
        word, long, stamp = _LENGTH, _CONTROLLEN, 2
        for _ in range(count):
            stamped = stamps[stamp] * 1_000_000_000 + stamps[stamp + 1] if longs[long] == _CONTROL else 0
            found.append((data[at : at + words[word]], senders[sender : sender + name], stamped))
            longs[long] = _CONTROL  # the kernel wrote what it used
            at += MAX_DATAGRAM
            sender += _NAME
            word += _STRIDE
            long += _STRIDE // 2
            stamp += _CONTROL // 8
        return found


def address_of(raw: RawAddress) -> tuple[str, int]:
    """Host and port of a `sockaddr_in` or `sockaddr_in6`; a link-local host carries its scope ("fe80::1%2")."""
    (family,) = struct.unpack_from("=H", raw)
    (port,) = struct.unpack_from("!H", raw, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    (scope,) = struct.unpack_from("=I", raw, 24)
    host = socket.inet_ntop(socket.AF_INET6, raw[8:24])
    return (f"{host}%{scope}" if scope else host), port
