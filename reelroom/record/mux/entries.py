"""Sample entries (stsd) of every codec that is stored, from key frames or channel counts. Writes no samples.

Sources: ISO/IEC 14496-15 (avcC, hvcC), "VP Codec ISO Media File Format Binding" 1.0 (vpcC), "AV1 Codec ISO
Media File Format Binding" 1.2 (av1C), "Encapsulation of Opus in ISO Base Media File Format" 0.6 (dOps).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from reelroom.record.mux import annexb
from reelroom.record.mux.boxes import box, full
from reelroom.record.mux.model import MuxError
from reelroom.rtc.bitreader import BitReader, BitstreamError
from reelroom.rtc.depacketize import parameters


class VideoConfig(NamedTuple):
    """A video track's sample entry. Two key frames with equal `signature` can share it: parameter sets also
    stay in the samples, so only codec, size, profile and level count."""

    codec: str
    width: int
    height: int
    signature: tuple[object, ...]
    entry: bytes


class AudioConfig(NamedTuple):
    codec: str  # "opus", "aac" or "mp3"
    channels: int
    rate: int  # Hz
    entry: bytes


def _visual(kind: bytes, width: int, height: int, *boxes: bytes) -> bytes:
    head = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 0x18, -1)
    return box(kind, head, *boxes)


def _sized(items: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(item)) + item for item in items)


def _h264(data: bytes) -> VideoConfig:
    sps, pps = annexb.h264_sets(data)
    if not sps or not pps:
        raise MuxError("an H.264 key frame must hold SPS and PPS")
    info = parameters.h264_sps(sps[0])
    avcc = bytes([1]) + sps[0][1:4] + bytes([0xFF, 0xE0 | len(sps)]) + _sized(sps)
    avcc += bytes([len(pps)]) + _sized(pps)
    if info.profile_idc in (100, 110, 122, 144):
        reader = BitReader(sps[0][4:].replace(b"\0\0\3", b"\0\0"))
        reader.ue()
        chroma = reader.ue()
        if chroma == 3:
            reader.flag()
        avcc += bytes([0xFC | chroma, 0xF8 | reader.ue(), 0xF8 | reader.ue(), 0])
    signature = ("h264", info.width, info.height, sps[0][1:4])
    entry = _visual(b"avc1", info.width, info.height, box(b"avcC", avcc))
    return VideoConfig("h264", info.width, info.height, signature, entry)


def _h265(data: bytes) -> VideoConfig:
    sets = annexb.h265_sets(data)
    if not all(sets):
        raise MuxError("an H.265 key frame must hold VPS, SPS and PPS")
    sps = sets[1][0]
    info = parameters.h265_sps(sps)
    raw = sps[2:].replace(b"\0\0\3", b"\0\0")
    layers, nested = (raw[0] >> 1 & 7) + 1, raw[0] & 1
    reader = BitReader(raw[13:])
    present = [(reader.flag(), reader.flag()) for _ in range(layers - 1)]
    if present:
        reader.bits(2 * (9 - layers))
    for has_profile, has_level in present:
        reader.bits(88 * has_profile + 8 * has_level)
    reader.ue()
    chroma = reader.ue()
    if chroma == 3:
        reader.flag()
    reader.ue()
    reader.ue()
    if reader.flag():
        for _ in range(4):
            reader.ue()
    luma_bits, chroma_bits = reader.ue(), reader.ue()
    hvcc = bytes([1]) + raw[1:13]  # general profile, tier and level stand there as hvcC wants them
    hvcc += bytes([0xF0, 0, 0xFC, 0xFC | chroma, 0xF8 | luma_bits, 0xF8 | chroma_bits, 0, 0])
    hvcc += bytes([layers << 3 | nested << 2 | 3, 3])
    for kind, items in zip((32, 33, 34), sets, strict=True):
        hvcc += bytes([0x80 | kind]) + struct.pack(">H", len(items)) + _sized(items)
    entry = _visual(b"hvc1", info.width, info.height, box(b"hvcC", hvcc))
    return VideoConfig("h265", info.width, info.height, ("h265", info.width, info.height, raw[1:13]), entry)


# VP9 levels by luma picture size (VP9 levels, "Max Luma Picture Size"), the rate being unknown.
_VP9_LEVELS = (
    (36_864, 10), (73_728, 11), (122_880, 20), (245_760, 21), (552_960, 30), (983_040, 31), (2_228_224, 40),
    (8_912_896, 50), (35_651_584, 60),
)  # fmt: skip


def _vpx(codec: str, width: int, height: int, profile: int, bits: int, chroma: int) -> VideoConfig:
    level = next((level for size, level in _VP9_LEVELS if width * height <= size), 62)
    vpcc = full(b"vpcC", 1, 0, bytes([profile, level, bits << 4 | chroma << 1, 2, 2, 2, 0, 0]))
    entry = _visual(b"vp08" if codec == "vp8" else b"vp09", width, height, vpcc)
    return VideoConfig(codec, width, height, (codec, width, height, profile, bits, chroma), entry)


def _vp8(data: bytes) -> VideoConfig:
    header = parameters.vp8_header(data)
    if not header.key:
        raise MuxError("the first VP8 frame of a segment must be a key frame")
    return _vpx("vp8", header.width, header.height, 0, 8, 1)


def _vp9(data: bytes) -> VideoConfig:
    header = parameters.vp9_header(data)
    if not header.key:
        raise MuxError("the first VP9 frame of a segment must be a key frame")
    # After marker, profile, (reserved,) four flags and the sync code comes color_config (VP9 spec §7.2.2).
    reader = BitReader(data[:16])
    reader.bits(2 + 2 + (header.profile == 3) + 4 + 24)
    bits = (12 if reader.flag() else 10) if header.profile >= 2 else 8
    chroma = 1
    if header.profile & 1:
        srgb = reader.bits(3) == 7
        if not srgb:
            reader.flag()
        sub_x, sub_y = (False, False) if srgb else (reader.flag(), reader.flag())
        chroma = 3 if not sub_x else (1 if sub_y else 2)
    return _vpx("vp9", header.width, header.height, header.profile, bits, chroma)


def av1_sequence_obu(data: bytes) -> tuple[bytes, bytes] | None:
    """The sequence header OBU of a temporal unit (OBUs with size fields): whole, and its payload."""
    at = 0
    while at < len(data):
        start, kind, extension = at, data[at] >> 3 & 15, data[at] >> 2 & 1
        if not data[at] & 2:
            raise MuxError("AV1 OBUs must carry size fields")
        at += 1 + extension
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if kind == 1:
            return data[start : at + size], data[at : at + size]
        at += size
    return None


def _av1_color(payload: bytes, info: parameters.Av1SequenceHeader) -> int:
    """The third byte of av1C without its tier bit: depth, monochrome, subsampling, sample position."""
    # `tail` is the part after the frame size; the prefix is re-read as parameters.py returns no position.
    reader = _av1_after_size(payload)
    if not info.reduced_still_picture and reader.flag():  # frame_id_numbers_present_flag
        reader.bits(7)
    reader.bits(3)  # 128x128 superblocks, filter intra, intra edge filter
    if not info.reduced_still_picture:
        reader.bits(4)  # interintra, masked compound, warped motion, dual filter
        order_hint = reader.flag()
        if order_hint:
            reader.bits(2)
        screen = 2 if reader.flag() else reader.bits(1)
        if screen and not reader.flag():
            reader.flag()
        if order_hint:
            reader.bits(3)
    reader.bits(3)  # superres, cdef, restoration
    high = reader.bits(1)
    twelve = reader.bits(1) if info.profile == 2 and high else 0
    mono = 0 if info.profile == 1 else reader.bits(1)
    color = reader.bits(24) if reader.flag() else 0x020202
    sub_x = sub_y = 1
    position = 0
    if mono:
        pass
    elif color == 0x010D00:  # sRGB
        sub_x = sub_y = 0
    else:
        reader.flag()  # color_range
        if info.profile == 1:
            sub_x = sub_y = 0
        elif info.profile == 2:
            sub_x = reader.bits(1) if twelve else 1
            sub_y = reader.bits(1) if twelve and sub_x else 0
        if sub_x and sub_y:
            position = reader.bits(2)
    return high << 6 | twelve << 5 | mono << 4 | sub_x << 3 | sub_y << 2 | position


def _av1_after_size(payload: bytes) -> BitReader:
    """A reader behind max_frame_height_minus_1 of a sequence header (AV1 bitstream spec §5.5.1)."""
    reader = BitReader(payload)
    reader.bits(4)
    if reader.flag():  # reduced_still_picture_header
        reader.bits(5)
    else:
        delay = 0
        if reader.flag():
            reader.bits(64)
            if reader.flag():
                reader.bits(reader.leading_zeros())
            if reader.flag():
                delay = reader.bits(5) + 1
                reader.bits(42)
        display = reader.flag()
        for _ in range(reader.bits(5) + 1):
            reader.bits(12)
            if reader.bits(5) > 7:
                reader.flag()
            if delay and reader.flag():
                reader.bits(2 * delay + 1)
            if display and reader.flag():
                reader.bits(4)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    reader.bits(width_bits + height_bits)
    return reader


def _av1(data: bytes) -> VideoConfig:
    found = av1_sequence_obu(data)
    if found is None:
        raise MuxError("an AV1 key frame must hold a sequence header")
    obu, payload = found
    info = parameters.av1_sequence_header(payload)
    color = _av1_color(payload, info)
    av1c = bytes([0x81, info.profile << 5 | info.level_idx, info.tier << 7 | color, 0]) + obu
    entry = _visual(b"av01", info.width, info.height, box(b"av1C", av1c))
    return VideoConfig("av1", info.width, info.height, ("av1", info.width, info.height, av1c[:3]), entry)


_VIDEO = {"h264": _h264, "h265": _h265, "vp8": _vp8, "vp9": _vp9, "av1": _av1}


def video_config(codec: str, key_frame: bytes) -> VideoConfig:
    """The config that a key frame carries. Raises MuxError if it does not, or `codec` is unknown."""
    make = _VIDEO.get(codec)
    if make is None:
        raise MuxError(f"video codec must be one of {', '.join(_VIDEO)}, not {codec!r}")
    try:
        return make(key_frame)
    except (BitstreamError, IndexError) as error:
        raise MuxError(f"the headers of a {codec} key frame cannot be read: {error}") from error


def audio_config(codec: str, channels: int, rate: int = 48_000) -> AudioConfig:
    """The config of Opus (48 kHz), AAC-LC or MP3 with 1 or 2 channels."""
    if channels not in (1, 2):
        raise MuxError(f"audio must have 1 or 2 channels, not {channels}")
    head = struct.pack(">6xH8xHHHHI", 1, channels, 16, 0, 0, rate << 16)
    if codec == "opus":
        # No pre-skip: a call's recording begins in the middle of the sender's stream.
        dops = struct.pack(">BBHIhB", 0, channels, 0, 48_000, 0, 0)
        return AudioConfig(codec, channels, rate, box(b"Opus", head, box(b"dOps", dops)))
    if codec in ("aac", "mp3"):
        specific = audio_specific_config(channels, rate)
        # Object types (ISO/IEC 14496-1 table 5): AAC, MPEG-1 audio, and MPEG-2 audio for the lower rates.
        kind = 0x40 if codec == "aac" else 0x6B if rate >= 32_000 else 0x69
        decoder = bytes([kind, 0x15]) + bytes(11)
        if codec == "aac":
            decoder += bytes([5, len(specific)]) + specific
        stream = bytes(3) + bytes([4, len(decoder)]) + decoder + bytes([6, 1, 2])
        esds = full(b"esds", 0, 0, bytes([3, len(stream)]), stream)
        return AudioConfig(codec, channels, rate, box(b"mp4a", head, esds))
    raise MuxError(f"stored audio must be opus, aac or mp3, not {codec!r}")


#: Numbers of the sampling frequencies that are recorded (ISO/IEC 14496-3 table 1.18).
AAC_RATES = {48_000: 3, 44_100: 4, 32_000: 5, 24_000: 6, 16_000: 8, 8_000: 11}


def audio_specific_config(channels: int, rate: int = 48_000) -> bytes:
    """AudioSpecificConfig of AAC-LC (ISO/IEC 14496-3 §1.6.2.1)."""
    if rate not in AAC_RATES:
        raise MuxError(f"AAC is stored at {', '.join(map(str, AAC_RATES))} Hz, not at {rate}")
    return (2 << 11 | AAC_RATES[rate] << 7 | channels << 3).to_bytes(2, "big")
