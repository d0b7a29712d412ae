"""Encoded frames to RTP payloads, for tests and load generators. Written apart from the code it tests."""

from __future__ import annotations

import itertools

__all__ = ["packetize"]


def packetize(codec: str, frame: bytes, mtu: int = 1200) -> list[bytes]:
    """The payloads of one frame, none longer than `mtu` (at least 32) bytes; the last one takes the marker.

    `frame`: h264, h265 an Annex B access unit; vp8, vp9 a raw frame; av1 a temporal unit of sized OBUs;
    opus, pcmu, pcma a packet.
    """
    match codec.lower():
        case "h264":
            return _nal_payloads(_split_annex_b(frame), mtu, header=1)
        case "h265":
            return _nal_payloads(_split_annex_b(frame), mtu, header=2)
        case "vp8":
            pieces = _pieces(frame, mtu - 1)
            return [(b"\x10" if index == 0 else b"\x00") + piece for index, piece in enumerate(pieces)]
        case "vp9":
            return _vp9(frame, mtu)
        case "av1":
            return _av1(frame, mtu)
        case "opus" | "pcmu" | "pcma":
            return [frame]
    raise ValueError(f"cannot packetize codec {codec!r}")


def _pieces(data: bytes, size: int) -> list[bytes]:
    """`data` in as few pieces as possible, all about equally long."""
    count = max(1, -(-len(data) // size))
    cuts = [len(data) * index // count for index in range(count + 1)]
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


def _split_annex_b(data: bytes) -> list[bytes]:
    nals = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        following = data.find(b"\0\0\1", at + 3)
        nal = data[at + 3 : following if following >= 0 else len(data)]
        nals.append(nal.rstrip(b"\0"))
        at = following
    return [nal for nal in nals if nal]


def _nal_payloads(nals: list[bytes], mtu: int, header: int) -> list[bytes]:
    """Single NAL units, STAP-A or AP for runs of small ones, FU-A or FU for those that do not fit."""
    payloads: list[bytes] = []
    group: list[bytes] = []

    def close() -> None:
        if len(group) == 1:
            payloads.append(group[0])
        elif group:
            payloads.append(_aggregation_header(group, header) + b"".join(_sized(nal) for nal in group))
        group.clear()

    for nal in nals:
        if len(nal) > mtu:
            close()
            payloads += _fragments(nal, mtu, header)
            continue
        if header + sum(2 + len(other) for other in group) + 2 + len(nal) > mtu:
            close()
        group.append(nal)
    close()
    return payloads


def _sized(nal: bytes) -> bytes:
    return len(nal).to_bytes(2, "big") + nal


def _aggregation_header(group: list[bytes], header: int) -> bytes:
    if header == 1:
        return bytes((max(nal[0] & 0x60 for nal in group) | 24,))
    return bytes((48 << 1, min(nal[1] & 7 for nal in group)))


def _fragments(nal: bytes, mtu: int, header: int) -> list[bytes]:
    kind = nal[0] & 31 if header == 1 else nal[0] >> 1 & 63
    indicator = bytes((nal[0] & 0xE0 | 28,)) if header == 1 else bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    pieces = _pieces(nal[header:], mtu - header - 1)
    last = len(pieces) - 1
    return [
        indicator + bytes((0x80 * (index == 0) | 0x40 * (index == last) | kind,)) + piece
        for index, piece in enumerate(pieces)
    ]


def _vp9(frame: bytes, mtu: int) -> list[bytes]:
    """Non-flexible mode without picture id and layers; P from the frame header's frame_type."""
    inter = 0x40 if frame[0] & 0x0C else 0x00  # show_existing_frame or a frame other than a key frame
    pieces = _pieces(frame, mtu - 1)
    last = len(pieces) - 1
    return [
        bytes((inter | 0x08 * (index == 0) | 0x04 * (index == last),)) + piece for index, piece in enumerate(pieces)
    ]


def _av1(unit: bytes, mtu: int) -> list[bytes]:
    """OBUs without sizes and delimiters, filled into packets one after another; W is always 1 to 3."""
    obus: list[bytes] = []
    at = 0
    while at < len(unit):
        header = unit[at : at + (2 if unit[at] & 4 else 1)]
        at += len(header)
        size, shift = 0, 0
        while True:
            byte = unit[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if header[0] >> 3 & 15 != 2:
            obus.append(bytes((header[0] & ~2,)) + header[1:] + unit[at : at + size])
        at += size
    new_sequence = 0x08 * any(obu[0] >> 3 & 15 == 1 for obu in obus)
    payloads: list[bytes] = []
    continues = 0
    index = 0
    while index < len(obus):
        room, goes_on = mtu - 1, 0
        elements: list[bytes] = []
        while index < len(obus) and len(elements) < 3 and room > 3:
            obu = obus[index]
            if len(obu) <= room - 2:
                elements.append(obu)
                room -= len(obu) + 2
                index += 1
            else:
                elements.append(obu[: room - 2])
                obus[index] = obu[room - 2 :]
                goes_on = 0x40
                break
        head = continues | goes_on | len(elements) << 4 | (0 if payloads else new_sequence)
        body = b"".join(_leb128(len(element)) + element for element in elements[:-1]) + elements[-1]
        payloads.append(bytes((head,)) + body)
        continues = 0x80 if goes_on else 0
    return payloads


def _leb128(value: int) -> bytes:
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128,)) + _leb128(value >> 7)
