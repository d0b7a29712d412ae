"""Sizes and kinds read out of codec headers: pure functions over bytes. No packets, no state.

Every function raises `BitstreamError` (a ValueError) on a header that is cut short or impossible.
"""

from __future__ import annotations

from typing import NamedTuple

from reelroom.rtc.bitreader import BitReader, BitstreamError

MAX_PARAMETER_SET_BYTES = 4096
_MAX_SIDE = 65_536
# Profiles whose SPS has the chroma format and scaling lists (ITU-T H.264 §7.3.2.1.1).
_H264_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class H264Sps(NamedTuple):
    width: int
    height: int
    profile_idc: int
    constraints: int
    level_idc: int


class H265Sps(NamedTuple):
    width: int
    height: int
    profile_idc: int
    tier: int
    level_idc: int
    sps_id: int


class Av1SequenceHeader(NamedTuple):
    width: int
    height: int
    profile: int
    level_idx: int
    tier: int
    reduced_still_picture: bool


class Av1FrameHeader(NamedTuple):
    show_existing_frame: bool
    key: bool
    show_frame: bool


class Vp8Header(NamedTuple):
    key: bool
    show_frame: bool
    first_partition_bytes: int
    width: int
    height: int


class Vp9Header(NamedTuple):
    key: bool
    show_frame: bool
    profile: int
    width: int
    height: int


def _rbsp(nal: bytes, header_bytes: int) -> BitReader:
    if len(nal) > MAX_PARAMETER_SET_BYTES:
        raise BitstreamError(f"parameter set of {len(nal)} bytes, more than {MAX_PARAMETER_SET_BYTES}")
    return BitReader(nal[header_bytes:].replace(b"\0\0\3", b"\0\0"))


def _checked(width: int, height: int) -> tuple[int, int]:
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise BitstreamError(f"impossible picture size {width}x{height}")
    return width, height


def _crop_units(chroma_format_idc: int, separate_planes: bool) -> tuple[int, int]:
    if chroma_format_idc > 3:
        raise BitstreamError(f"chroma_format_idc {chroma_format_idc}, at most 3 exist")
    if separate_planes or chroma_format_idc in (0, 3):
        return 1, 1
    return 2, 2 if chroma_format_idc == 1 else 1


def _limited_id(value: int, limit: int, name: str) -> int:
    if value > limit:
        raise BitstreamError(f"{name} {value}, at most {limit} is allowed")
    return value


def h264_set_id(nal: bytes) -> int:
    """Id of an SPS (0–31) or PPS (0–255), a NAL unit without start code."""
    if nal[0] & 31 == 7:
        reader = _rbsp(nal, 4)
        return _limited_id(reader.ue(), 31, "seq_parameter_set_id")
    return _limited_id(_rbsp(nal, 1).ue(), 255, "pic_parameter_set_id")


def _skip_h264_scaling_lists(reader: BitReader, count: int) -> None:
    for index in range(count):
        if not reader.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + reader.se()) & 255
            last = following or last


def h264_sps(nal: bytes) -> H264Sps:
    """Size in pixels after cropping, and profile, of an SPS without start code (ITU-T H.264 §7.3.2.1.1)."""
    reader = _rbsp(nal, 1)
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    _limited_id(reader.ue(), 31, "seq_parameter_set_id")
    chroma, separate = 1, False
    if profile in _H264_HIGH:
        chroma = reader.ue()
        if chroma == 3:
            separate = reader.flag()
        reader.ue()  # bit_depth_luma_minus8
        reader.ue()  # bit_depth_chroma_minus8
        reader.flag()  # qpprime_y_zero_transform_bypass_flag
        if reader.flag():
            _skip_h264_scaling_lists(reader, 12 if chroma == 3 else 8)
    reader.ue()  # log2_max_frame_num_minus4
    order_type = reader.ue()
    if order_type == 0:
        reader.ue()
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        for _ in range(_limited_id(reader.ue(), 255, "num_ref_frames_in_pic_order_cnt_cycle")):
            reader.se()
    elif order_type > 2:
        raise BitstreamError(f"pic_order_cnt_type {order_type}, at most 2 exists")
    reader.ue()  # max_num_ref_frames
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width_mbs, height_units = reader.ue() + 1, reader.ue() + 1
    fields = 1 if reader.flag() else 2  # frame_mbs_only_flag
    if fields == 2:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    width, height = width_mbs * 16, height_units * 16 * fields
    if reader.flag():
        unit_x, unit_y = _crop_units(chroma, separate)
        width -= unit_x * (reader.ue() + reader.ue())
        height -= unit_y * fields * (reader.ue() + reader.ue())
    return H264Sps(*_checked(width, height), profile, constraints, level)


def h265_set_id(nal: bytes) -> int:
    """Id of a VPS (0–15), SPS (0–15) or PPS (0–63), a NAL unit without start code."""
    kind = nal[0] >> 1 & 63
    if kind == 32:
        return _rbsp(nal, 2).bits(4)
    if kind == 33:
        return h265_sps(nal).sps_id
    return _limited_id(_rbsp(nal, 2).ue(), 63, "pps_pic_parameter_set_id")


def h265_sps(nal: bytes) -> H265Sps:
    """Size in pixels after the conformance window, and profile, of an SPS (ITU-T H.265 §7.3.2.2)."""
    reader = _rbsp(nal, 2)
    reader.bits(4)  # sps_video_parameter_set_id
    sub_layers = reader.bits(3)  # minus 1
    reader.bits(1)  # sps_temporal_id_nesting_flag
    reader.bits(2)  # general_profile_space
    tier, profile = reader.bits(1), reader.bits(5)
    reader.bits(80)  # compatibility and constraint flags
    level = reader.bits(8)
    present = [(reader.flag(), reader.flag()) for _ in range(sub_layers)]
    if sub_layers:
        reader.bits(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        reader.bits(88 * has_profile + 8 * has_level)
    sps_id = _limited_id(reader.ue(), 15, "sps_seq_parameter_set_id")
    chroma = reader.ue()
    separate = chroma == 3 and reader.flag()
    width, height = reader.ue(), reader.ue()
    if reader.flag():
        unit_x, unit_y = _crop_units(chroma, separate)
        width -= unit_x * (reader.ue() + reader.ue())
        height -= unit_y * (reader.ue() + reader.ue())
    return H265Sps(*_checked(width, height), profile, tier, level, sps_id)


def vp8_header(frame: bytes) -> Vp8Header:
    """The frame tag and, in a key frame, the size in pixels without scaling (RFC 6386 §9.1)."""
    if len(frame) < 3:
        raise BitstreamError(f"VP8 frame of {len(frame)} bytes, the frame tag alone has 3")
    tag = frame[0] | frame[1] << 8 | frame[2] << 16
    show, partition = bool(tag & 16), tag >> 5
    if tag & 1:
        return Vp8Header(False, show, partition, 0, 0)
    if len(frame) < 10 or frame[3:6] != b"\x9d\x01\x2a":
        raise BitstreamError("VP8 key frame without its start code 9d012a")
    width, height = frame[6] | (frame[7] & 63) << 8, frame[8] | (frame[9] & 63) << 8
    return Vp8Header(True, show, partition, *_checked(width, height))


def vp9_header(frame: bytes) -> Vp9Header:
    """Start of the uncompressed header; the size in pixels in a key frame, else 0 (VP9 bitstream spec §6.2).

    A frame that only shows an existing one is not a key frame.
    """
    reader = BitReader(frame[:16])
    if reader.bits(2) != 2:
        raise BitstreamError("VP9 frame without its frame marker")
    profile = reader.bits(1) | reader.bits(1) << 1
    if profile == 3 and reader.flag():
        raise BitstreamError("VP9 profile above 3")
    if reader.flag():  # show_existing_frame
        return Vp9Header(False, True, profile, 0, 0)
    key = not reader.flag()
    show = reader.flag()
    reader.flag()  # error_resilient_mode
    if not key:
        return Vp9Header(False, show, profile, 0, 0)
    if reader.bits(24) != 0x498342:
        raise BitstreamError("VP9 key frame without its sync code 498342")
    if profile >= 2:
        reader.flag()  # ten_or_twelve_bit
    if reader.bits(3) != 7:  # color_space other than sRGB
        reader.flag()  # color_range
        if profile & 1:
            reader.bits(3)
    elif profile & 1:
        reader.flag()
    else:
        raise BitstreamError(f"VP9 sRGB in profile {profile}, which has no 4:4:4")
    return Vp9Header(True, show, profile, reader.bits(16) + 1, reader.bits(16) + 1)


def av1_sequence_header(payload: bytes) -> Av1SequenceHeader:
    """A sequence header OBU's payload (without OBU header and size): AV1 bitstream spec §5.5.1.

    Level and tier are those of operating point 0.
    """
    reader = BitReader(payload[:MAX_PARAMETER_SET_BYTES])
    profile = reader.bits(3)
    reader.flag()  # still_picture
    reduced = reader.flag()
    level = tier = 0
    if reduced:
        level = reader.bits(5)
    else:
        delay_bits = 0
        if reader.flag():  # timing_info_present_flag
            reader.bits(64)
            if reader.flag():
                reader.bits(reader.leading_zeros())  # num_ticks_per_picture_minus_1, uvlc
            if reader.flag():  # decoder_model_info_present_flag
                delay_bits = reader.bits(5) + 1
                reader.bits(42)
        display_delay = reader.flag()
        for point in range(reader.bits(5) + 1):
            reader.bits(12)  # operating_point_idc
            point_level = reader.bits(5)
            point_tier = reader.bits(1) if point_level > 7 else 0
            if point == 0:
                level, tier = point_level, point_tier
            if delay_bits and reader.flag():
                reader.bits(2 * delay_bits + 1)
            if display_delay and reader.flag():
                reader.bits(4)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    width, height = reader.bits(width_bits) + 1, reader.bits(height_bits) + 1
    return Av1SequenceHeader(width, height, profile, level, tier, reduced)


def av1_frame_header(payload: bytes, sequence: Av1SequenceHeader) -> Av1FrameHeader:
    """Start of a frame or frame header OBU's payload (AV1 bitstream spec §5.9.2)."""
    if sequence.reduced_still_picture:
        return Av1FrameHeader(False, True, True)
    if not payload:
        raise BitstreamError("empty AV1 frame header")
    first = payload[0]
    if first & 0x80:
        return Av1FrameHeader(True, False, True)
    return Av1FrameHeader(False, first & 0x60 == 0, bool(first & 0x10))
