"""The mix's encoders: one frame for one picture, key frames at their distances, what was drawn is what is seen."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reelroom.domain.mix import AUDIO_CODECS, MIN_SIDE_AV1, SAMPLE_RATES, Mix, audio_bitrates
from reelroom.record.mixed.encoder import Encoded, PictureEncoder
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.record.mux.entries import video_config
from tests.elsewhere import AV1_HERE

DECODERS = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "libdav1d"}
CODECS = [AV1_HERE if codec == "av1" else codec for codec in DECODERS]


def mix(codec: str, **fields) -> Mix:
    return Mix(
        **{"width": 320, "height": 180, "fps": 15, "gop_s": 2, "video_bitrate": 300_000, **fields}, video_codec=codec
    )


def encoded(encoder: PictureEncoder, frame: av.VideoFrame, ticks: range, keys: tuple[int, ...] = ()) -> list[Encoded]:
    """A picture whose left half has the light of its tick, drawn into the same memory each time."""
    made: list[Encoded] = []
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
    for tick in ticks:
        rows[:, :] = 128
        rows[:, : frame.width // 2] = light(tick)
        made += encoder.encode(frame, tick, tick in keys)
    return made


def light(tick: int) -> int:
    return 40 + tick * 7 % 170


def canvas(of: Mix) -> av.VideoFrame:
    frame = av.VideoFrame(of.width, of.height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def decoded(codec: str, frames: list[Encoded]) -> list[np.ndarray]:
    context = av.CodecContext.create(DECODERS[codec], "r")
    out = [context.decode(av.Packet(frame.payload)) for frame in frames] + [context.decode(None)]
    return [picture.to_ndarray() for pictures in out for picture in pictures]


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_comes_out_once_as_it_was_drawn(codec):
    of = mix(codec)
    encoder = PictureEncoder(of)
    made = encoded(encoder, canvas(of), range(7, 80), keys=(20,)) + encoder.flush()
    assert [frame.tick for frame in made] == list(range(7, 80))
    assert [frame.tick for frame in made if frame.key] == [7, 20, 50]  # each 30 from the last one on
    pictures = decoded(codec, made)
    assert len(pictures) == len(made)
    for frame, picture in zip(made, pictures, strict=True):
        assert abs(int(picture[90, 80]) - light(frame.tick)) <= 6
        assert abs(int(picture[90, 240]) - 128) <= 6


@pytest.mark.parametrize("codec", CODECS)
def test_every_key_frame_can_be_begun_with(codec):
    of = mix(codec)
    encoder = PictureEncoder(of)
    made = encoded(encoder, canvas(of), range(70)) + encoder.flush()
    keys = [index for index, frame in enumerate(made) if frame.key]
    assert len(keys) == 3
    for key in keys:
        config = video_config(codec, made[key].payload)
        assert (config.width, config.height) == (320, 180)
        assert len(decoded(codec, made[key:])) == len(made) - key
    if codec in ("h264", "h265"):
        assert all(frame.payload.startswith((b"\0\0\1", b"\0\0\0\1")) for frame in made)
    if codec == "av1":
        assert not any(frame.payload.startswith(b"\x12\0") for frame in made)


@pytest.mark.parametrize("codec", ["h264", "vp9", AV1_HERE])
def test_less_effort_begins_at_the_next_key_frame_and_misses_no_picture(codec):
    of = mix(codec)
    encoder = PictureEncoder(of)
    frame = canvas(of)
    first = encoder.preset
    made = encoded(encoder, frame, range(10))
    chosen = encoder.faster()
    assert chosen
    assert encoder.preset == first
    made += encoded(encoder, frame, range(10, 40))
    assert encoder.preset == chosen
    assert encoder.slower() == first
    made += encoded(encoder, frame, range(40, 70)) + encoder.flush()
    assert encoder.preset == first
    assert encoder.slower() == ""
    assert [one.tick for one in made] == list(range(70))
    assert [one.tick for one in made if one.key] == [0, 30, 60]
    assert len(decoded(codec, made)) == 70


def test_presets_end_at_the_fastest():
    encoder = PictureEncoder(mix("h264"))
    assert [encoder.faster() for _ in range(3)] == ["superfast", "ultrafast", ""]
    assert PictureEncoder(mix("h264"), preset="ultrafast").preset == "ultrafast"
    with pytest.raises(ValueError, match="veryfast, superfast, ultrafast"):
        PictureEncoder(mix("h264"), preset="placebo")


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_the_profile_is_what_was_asked_for(profile):
    of = mix("h264", profile=profile)
    encoder = PictureEncoder(of)
    made = encoded(encoder, canvas(of), range(3)) + encoder.flush()
    _, _, _, (idc, _, _) = video_config("h264", made[0].payload).signature
    assert idc == {"baseline": 66, "main": 77, "high": 100}[profile]


@pytest.mark.parametrize("codec", CODECS)
def test_hardware_that_is_not_there_is_named_and_replaced(codec):
    of = mix(codec)
    encoder = PictureEncoder(of, ("nvenc", "vaapi", "qsv"))
    made = encoded(encoder, canvas(of), range(5)) + encoder.flush()
    assert len(decoded(codec, made)) == 5
    if encoder.name.startswith("lib"):
        assert all(f"_{kind}: " in encoder.why for kind in ("nvenc", "vaapi", "qsv"))
    else:  # a machine that has one
        assert encoder.name.split("_")[1] in ("nvenc", "vaapi", "qsv")
    with pytest.raises(ValueError, match="not 'gpu'"):
        PictureEncoder(of, ("gpu",))


@pytest.mark.parametrize("codec", CODECS)
def test_the_smallest_pictures_that_may_be_asked_for_are_encoded(codec):
    side = MIN_SIDE_AV1 if codec == "av1" else 16
    of = Mix(width=side, height=side, fps=1, video_codec=codec, video_bitrate=1_000)
    encoder = PictureEncoder(of)
    made = encoded(encoder, canvas(of), range(3)) + encoder.flush()
    assert [one.tick for one in made] == [0, 1, 2]
    assert [picture.shape for picture in decoded(codec, made)] == [(side * 3 // 2, side)] * 3


def test_the_bit_rate_is_kept_by_what_moves():
    of = mix("h264", width=640, height=360, fps=30, video_bitrate=800_000)
    encoder, frame, random = PictureEncoder(of), canvas(of), np.random.default_rng(1)
    texture = random.normal(0, 1, (460, 740)).cumsum(0).cumsum(1)
    texture = ((texture - texture.min()) / np.ptp(texture) * 200 + 20).astype(np.uint8)
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(360, frame.planes[0].line_size)
    made: list[Encoded] = []
    for tick in range(240):
        at = int(50 + 45 * np.sin(tick / 9))
        rows[:, :640] = texture[at : at + 360, at : at + 640] + random.integers(0, 12, (360, 640), np.uint8)
        made += encoder.encode(frame, tick, False)
    made += encoder.flush()
    assert sum(len(one.payload) for one in made) * 8 / 8 == pytest.approx(800_000, rel=0.15)


def test_a_block_of_another_shape_is_refused():
    encoder = SoundEncoder(Mix(channels=2))
    with pytest.raises(ValueError, match=r"\(2, 1024\)"):
        encoder.encode(np.zeros((2, 960), np.float32))
    with pytest.raises(ValueError, match=r"\(2, 1024\)"):
        encoder.encode(np.zeros((1, 1024), np.float32))


@pytest.mark.parametrize("codec", AUDIO_CODECS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_bit_rate_that_may_be_asked_for_is_encoded(codec, channels):
    for rate in SAMPLE_RATES if codec != "opus" else (48_000,):
        for bitrate in audio_bitrates(codec, rate, channels):
            of = Mix(audio_codec=codec, sample_rate=rate, channels=channels, audio_bitrate=bitrate)
            encoder = SoundEncoder(of)
            block = np.zeros((channels, encoder.frame_samples), np.float32)
            assert [packet for _ in range(4) for packet in encoder.encode(block)]


@pytest.mark.parametrize(("codec", "decoder"), [("aac", "aac"), ("mp3", "mp3float"), ("opus", "libopus")])
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 32_000, 44_100, 48_000])
def test_the_delay_is_what_it_says(codec, decoder, rate):
    if codec == "opus" and rate != 48_000:
        with pytest.raises(ValueError, match="48000"):
            Mix(audio_codec=codec, sample_rate=rate)
        return
    encoder = SoundEncoder(Mix(audio_codec=codec, sample_rate=rate, channels=1))
    blocks = 60
    sound = np.random.default_rng(3).normal(0, 0.1, encoder.frame_samples * blocks).astype(np.float32)
    packets: list[bytes] = []
    for block in sound.reshape(blocks, 1, -1):
        packets += encoder.encode(block)
    packets += encoder.flush()
    context = av.CodecContext.create(decoder, "r")
    context.sample_rate, context.layout = rate, "mono"
    if codec == "aac":
        context.extradata = encoder.extradata
    frames = [frame.to_ndarray().reshape(-1) for packet in packets for frame in context.decode(av.Packet(packet))]
    got = np.concatenate(frames).astype(np.float64)
    size = len(got) + len(sound)
    match = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(sound, size)), size)
    assert int(np.argmax(match)) == encoder.delay
