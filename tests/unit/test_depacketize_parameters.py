"""Picture sizes and kinds out of headers that real encoders wrote, and out of broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.rtc.bitreader import BitReader, BitstreamError
from reelroom.rtc.depacketize.parameters import (
    av1_sequence_header,
    h264_set_id,
    h264_sps,
    h265_set_id,
    h265_sps,
    vp8_header,
    vp9_header,
)
from tests.depacketize_clips import encoded, nal_units, without_delimiter

SIZES = [(16, 16), (320, 180), (174, 130), (1280, 720), (1920, 1080)]


def h264_nal(kind: int, width: int, height: int, pixels: str = "yuv420p", **options: str) -> bytes:
    unit = encoded("h264", width, height, 1, pixels, tuple(options.items()))[0]
    return next(nal for nal in nal_units(unit) if nal[0] & 31 == kind)


def h265_nal(kind: int, width: int, height: int, pixels: str = "yuv420p") -> bytes:
    unit = encoded("h265", width, height, 1, pixels)[0]
    return next(nal for nal in nal_units(unit) if nal[0] >> 1 & 63 == kind)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_h264_sizes_are_those_after_cropping(width: int, height: int) -> None:
    assert h264_sps(h264_nal(7, width, height))[:2] == (width, height)


@pytest.mark.parametrize(
    ("pixels", "params", "profile"),
    [
        ("yuv420p", {"profile": "baseline"}, 66),
        ("yuv420p", {"preset": "fast", "profile": "main"}, 77),
        ("yuv420p", {"preset": "fast", "profile": "high"}, 100),
        ("yuv420p", {"preset": "fast", "x264-params": "cqm=jvt:threads=1"}, 100),
        ("yuv420p", {"preset": "fast", "x264-params": "interlaced=1:threads=1"}, 100),
        ("yuv420p10le", {}, 110),
        ("yuv422p", {}, 122),
        ("yuv444p", {}, 244),
        ("yuv444p", {"preset": "fast", "x264-params": "cqm=jvt:threads=1"}, 244),
        ("gray", {}, 100),
    ],
)
def test_h264_sizes_in_every_profile(pixels: str, params: dict[str, str], profile: int) -> None:
    sps = h264_sps(h264_nal(7, 174, 132, pixels, **params))
    assert (sps.width, sps.height, sps.profile_idc) == (174, 132, profile)
    assert sps.level_idc in range(9, 63)


def test_h264_constraints_and_level_are_the_bytes_behind_the_profile() -> None:
    nal = h264_nal(7, 320, 180, profile="baseline")
    assert h264_sps(nal)[2:] == (nal[1], nal[2], nal[3])
    assert (h264_set_id(nal), h264_set_id(h264_nal(8, 320, 180))) == (0, 0)


def test_an_h264_sps_with_scaling_lists_and_emulation_prevention_is_read() -> None:
    # Written bit by bit after ITU-T H.264 §7.3.2.1.1: High, id 1, 4:2:0, list 0 as flat 16 in deltas, list 1
    # falling back at once (next scale 0), POC type 1 with two offsets, 6x8 units of fields, cropped.
    def ue(value: int) -> str:
        code = bin(value + 1)[2:]
        return "0" * (len(code) - 1) + code

    def se(value: int) -> str:
        return ue(2 * value - 1 if value > 0 else -2 * value)

    lists = "1" + se(8) + se(0) * 15 + "1" + se(-8) + "0" * 6
    fields = [f"{100:08b}", "0" * 8, f"{30:08b}", ue(1), ue(1), ue(0), ue(0), "0", "1", lists, ue(0)]
    fields += [ue(1), "0", se(-5), se(3), ue(2), se(-1000), se(1000), ue(1), "0"]
    fields += [ue(5), ue(7), "0", "1", "1", "1", ue(1), ue(2), ue(1), ue(0), "0", "1"]
    bits = "".join(fields)
    bits += "0" * (-len(bits) % 8)
    rbsp = int(bits, 2).to_bytes(len(bits) // 8, "big")
    nal = b"\x67" + rbsp.replace(b"\0\0", b"\0\0\3")
    # Width 6*16 - 2*(1+2); height 8*16*2 - 2*2*(1+0).
    assert h264_sps(nal) == (90, 252, 100, 0, 30)
    assert h264_set_id(nal) == 1


@pytest.mark.parametrize(("width", "height"), [(64, 64), *SIZES[1:]])
def test_h265_sizes_are_those_of_the_conformance_window(width: int, height: int) -> None:
    assert h265_sps(h265_nal(33, width, height))[:2] == (width, height)


@pytest.mark.parametrize(("pixels", "profile"), [("yuv420p", 1), ("yuv420p10le", 2), ("yuv422p", 4), ("yuv444p", 4)])
def test_h265_sizes_in_every_chroma_format(pixels: str, profile: int) -> None:
    sps = h265_sps(h265_nal(33, 174, 132, pixels))
    assert (sps.width, sps.height, sps.profile_idc) == (174, 132, profile)
    assert [h265_set_id(h265_nal(kind, 174, 132, pixels)) for kind in (32, 33, 34)] == [0, 0, 0]


def test_h265_profiles_of_sub_layers_are_skipped() -> None:
    # max_sub_layers_minus1 = 2: one with profile and level, one with a level only, then their bytes.
    head = "0000" + "010" + "1" + "0000001".rjust(8, "0") + "0" * 80 + f"{93:08b}"
    head += "11" + "01" + "00" * 6 + "1" * 88 + "0" * 8 + "1" * 8
    tail = "1" + "010" + f"{641:019b}" + f"{361:017b}" + "0" + "1"  # id 0, 4:2:0, 640x360, no window
    bits = head + tail
    bits += "0" * (-len(bits) % 8)
    nal = b"\x42\x01" + int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\0\0", b"\0\0\3")
    assert h265_sps(nal) == (640, 360, 1, 0, 93, 0)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_vp8_vp9_and_av1_sizes(width: int, height: int) -> None:
    for codec, header in (("vp8", vp8_header), ("vp9", vp9_header)):
        key, inter = encoded(codec, width, height, 2)
        assert header(key)[-2:] == (width, height)
        assert header(key).key
        assert not header(inter).key
    if width >= 64:  # the smallest that libsvtav1 takes
        unit = without_delimiter(encoded("av1", width, height, 2)[0])
        assert av1_sequence_header(unit[2 : 2 + unit[1]])[:2] == (width, height)


def test_vp9_444_is_read() -> None:
    header = vp9_header(encoded("vp9", 174, 130, 1, "yuv444p")[0])
    assert (header.key, header.profile, header.width, header.height) == (True, 1, 174, 130)


def test_a_vp9_frame_that_shows_an_existing_one_is_not_a_key_frame() -> None:
    assert vp9_header(b"\x88") == (False, True, 0, 0, 0)


def test_an_av1_sequence_header_with_timing_and_decoder_model_is_read() -> None:
    # AV1 bitstream spec §5.5.1, two operating points; 640x360 in 10 and 9 bits.
    bits = "000" + "0" + "0"
    bits += "1" + "0" * 31 + "1" + "0" * 26 + "011110" + "1" + "1"  # timing: 1/30, equal, num_ticks uvlc 0
    bits += "1" + f"{9:05b}" + "1" * 32 + "00101" + "00011"  # decoder model, delays of 10 bits
    bits += "1" + f"{1:05b}"
    bits += "0" * 12 + f"{8:05b}" + "1" + "1" + "0" * 21 + "1" + "0101"
    bits += "0" * 12 + f"{5:05b}" + "0" + "0"
    bits += f"{9:04b}" + f"{8:04b}" + f"{639:010b}" + f"{359:09b}"
    bits += "0" * (-len(bits) % 8)
    header = av1_sequence_header(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    assert header == (640, 360, 0, 8, 1, False)


def test_an_av1_still_picture_header_is_read() -> None:
    bits = "000" + "1" + "1" + "00001" + f"{6:04b}" + f"{6:04b}" + f"{99:07b}" + f"{49:07b}"
    bits += "0" * (-len(bits) % 8)
    assert av1_sequence_header(int(bits, 2).to_bytes(len(bits) // 8, "big")) == (100, 50, 0, 1, 0, True)


@pytest.mark.parametrize("length", range(8))
def test_headers_that_end_too_early_are_refused(length: int) -> None:
    sps, sps265 = h264_nal(7, 320, 180), h265_nal(33, 320, 180)
    with pytest.raises(BitstreamError):
        h264_sps(sps[:length])
    with pytest.raises(BitstreamError):
        h265_sps(sps265[:length])
    with pytest.raises(BitstreamError):
        vp8_header(encoded("vp8")[0][: min(length, 9)])
    with pytest.raises(BitstreamError):
        vp9_header(encoded("vp9")[0][: min(length, 8)])
    with pytest.raises(BitstreamError):
        av1_sequence_header(without_delimiter(encoded("av1")[0])[2 : 2 + min(length, 5)])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_size_or_a_bitstream_error(data: bytes) -> None:
    for parse in (h264_sps, h265_sps, vp8_header, vp9_header, av1_sequence_header):
        try:
            header = parse(data)
        except BitstreamError:
            continue
        assert 0 <= header.width <= 65_536 and 0 <= header.height <= 65_536


@given(st.integers(0, 2**32 - 2), st.integers(0, 7))
def test_exp_golomb_codes_are_read_at_any_bit(value: int, offset: int) -> None:
    code = bin(value + 1)[2:]
    bits = "1" * offset + "0" * (len(code) - 1) + code + "101"
    bits += "0" * (-len(bits) % 8)
    reader = BitReader(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    reader.bits(offset)
    assert reader.ue() == value
    assert reader.bits(3) == 0b101


@pytest.mark.parametrize(("code", "value"), [("1", 0), ("010", 1), ("011", -1), ("00100", 2), ("00101", -2)])
def test_signed_exp_golomb_codes(code: str, value: int) -> None:
    assert BitReader(int(code.ljust(8, "0"), 2).to_bytes(1, "big")).se() == value


def test_a_code_of_only_zeros_is_refused() -> None:
    with pytest.raises(BitstreamError, match="more than 32"):
        BitReader(bytes(100)).ue()
