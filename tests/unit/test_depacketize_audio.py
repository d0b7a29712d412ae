"""Durations, silence and DTX of Opus and G.711 packets."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.rtc.depacketize import g711, opus
from tests.packetize import packetize


def toc(config: int, code: int = 0, stereo: bool = False) -> bytes:
    return bytes((config << 3 | stereo << 2 | code,))


@pytest.mark.parametrize(
    ("configs", "milliseconds"),
    [
        # RFC 6716 table 2.
        (range(12), (10, 20, 40, 60)),
        (range(12, 16), (10, 20)),
        (range(16, 32), (2.5, 5, 10, 20)),
    ],
)
def test_a_single_frame_lasts_as_long_as_its_configuration_says(
    configs: range, milliseconds: tuple[float, ...]
) -> None:
    for config in configs:
        ticks = int(milliseconds[(config - configs.start) % len(milliseconds)] * 48)
        for stereo in (False, True):
            assert opus.packet_duration_ticks(toc(config, 0, stereo) + b"\1\2\3") == ticks
        assert opus.packet_duration_ticks(toc(config)) == ticks  # a TOC alone is DTX


@pytest.mark.parametrize(
    ("packet", "ticks"),
    [
        pytest.param(toc(31, 1) + bytes(10), 1920, id="code 1: two equal frames"),
        pytest.param(toc(31, 2) + b"\x03" + bytes(9), 1920, id="code 2: two frames, one length"),
        pytest.param(toc(31, 2) + b"\xfc\x00" + bytes(252), 1920, id="code 2: length in two bytes, second empty"),
        pytest.param(toc(31, 3) + b"\x03" + bytes(9), 2880, id="code 3: three equal frames"),
        pytest.param(toc(3, 3) + b"\x02" + bytes(4), 5760, id="code 3: 120 ms"),
        pytest.param(toc(16, 3) + b"\x30" + bytes(48), 5760, id="code 3: 48 frames of 2.5 ms"),
        pytest.param(toc(31, 3) + b"\x83\x01\x02" + bytes(9), 2880, id="code 3: lengths"),
        pytest.param(toc(31, 3) + b"\x41\x03" + bytes(7), 960, id="code 3: padding"),
        pytest.param(toc(31, 3) + b"\x41\xff\x01" + bytes(255 + 4), 960, id="code 3: padding in two bytes"),
    ],
)
def test_packets_of_several_frames_last_as_long_as_their_sum(packet: bytes, ticks: int) -> None:
    assert opus.packet_duration_ticks(packet) == ticks


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="R1: no TOC"),
        pytest.param(toc(31) + bytes(1276), id="R2: frame of more than 1275 bytes"),
        pytest.param(toc(31, 1) + bytes(9), id="R3: two unequal frames"),
        pytest.param(toc(31, 2), id="R4: no length"),
        pytest.param(toc(31, 2) + b"\xfc", id="R4: length cut"),
        pytest.param(toc(31, 2) + b"\x05" + bytes(4), id="R4: length beyond the end"),
        pytest.param(toc(31, 3), id="R6: no frame count"),
        pytest.param(toc(31, 3) + b"\x00" + bytes(4), id="R5: no frames"),
        pytest.param(toc(3, 3) + b"\x03" + bytes(6), id="R5: 180 ms"),
        pytest.param(toc(31, 3) + b"\x03" + bytes(8), id="R6: unequal frames"),
        pytest.param(toc(31, 3) + b"\x41\x09" + bytes(7), id="R6: padding beyond the end"),
        pytest.param(toc(31, 3) + b"\x41\xff", id="R6: padding length cut"),
        pytest.param(toc(31, 3) + b"\x83\x05\x05" + bytes(9), id="R7: lengths beyond the end"),
    ],
)
def test_a_packet_that_breaks_a_rule_lasts_0(packet: bytes) -> None:
    assert opus.packet_duration_ticks(packet) == 0


@given(st.binary(max_size=80))
def test_any_bytes_last_between_0_and_120_ms(packet: bytes) -> None:
    assert 0 <= opus.packet_duration_ticks(packet) <= opus.MAX_PACKET_TICKS


@pytest.mark.parametrize("milliseconds", ["2.5", "5", "10", "20", "40", "60", "80", "100", "120"])
def test_libopus_packets_last_what_libopus_was_asked_for(milliseconds: str) -> None:
    for packet in encode_tone(milliseconds, 0.5):
        assert opus.packet_duration_ticks(packet) == float(milliseconds) * 48
        assert not opus.is_dtx(packet)
        assert packetize("opus", packet) == [packet]


def encode_tone(milliseconds: str, seconds: float) -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "mono"
    encoder.bit_rate, encoder.time_base = 64_000, Fraction(1, 48_000)
    encoder.options = {"frame_duration": milliseconds}
    encoder.open()
    size = encoder.frame_size
    packets: list[bytes] = []
    for start in range(0, int(seconds * 48_000) // size * size, size):
        wave = np.sin(np.arange(start, start + size) * 2 * np.pi * 440 / 48_000)
        frame = av.AudioFrame.from_ndarray((wave * 12_000).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def decode(packets: list[bytes], decoder_name: str) -> list[np.ndarray]:
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    return [frame.to_ndarray() for packet in packets for frame in decoder.decode(av.Packet(packet))]


@pytest.mark.parametrize("decoder", ["libopus", "opus"])
def test_the_silence_packet_is_silent_also_behind_sound(decoder: str) -> None:
    assert opus.packet_duration_ticks(opus.SILENCE_20MS) == 960
    assert not opus.is_dtx(opus.SILENCE_20MS)
    tone = decode(encode_tone("20", 0.5), decoder)
    assert max(np.abs(frame.astype(float)).max() for frame in tone) > 0
    peak = max(np.abs(frame.astype(float)).max() for frame in tone)
    frames = decode(encode_tone("20", 0.5) + [opus.SILENCE_20MS] * 10, decoder)[-8:]
    assert sum(frame.size for frame in frames) == 8 * 960
    # The first ones still ring out; then nothing above 1/1000 of the tone is left.
    assert max(np.abs(frame.astype(float)).max() for frame in frames[-4:]) < peak / 1000


def test_dtx_packets_are_those_of_at_most_two_bytes() -> None:
    assert opus.is_dtx(b"") and opus.is_dtx(b"\xf8") and opus.is_dtx(b"\xf8\xff")
    assert not opus.is_dtx(b"\xf8\xff\xfe")


@pytest.mark.parametrize(
    ("codec", "silence"), [("pcm_mulaw", g711.PCMU_SILENCE_20MS), ("pcm_alaw", g711.PCMA_SILENCE_20MS)]
)
def test_g711_lasts_a_tick_a_byte_and_its_silence_decodes_to_next_to_nothing(codec: str, silence: bytes) -> None:
    assert g711.packet_duration_ticks(b"") == 0
    assert g711.packet_duration_ticks(silence) == 160
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    samples = np.concatenate([frame.to_ndarray() for frame in decoder.decode(av.Packet(silence))], axis=1)
    assert samples.size == 160
    assert np.abs(samples.astype(int)).max() <= 8
