"""The mix's sound in every file: copied where the container takes it, in step to the millisecond, silent in holes."""

from __future__ import annotations

import av
import numpy as np
import pytest
from muxkit import SECOND, complaints, jobs, pictures, probe, record, spec
from test_finish_files import made

from reelroom.domain.mix import Mix
from reelroom.domain.recording import Hls
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.record.mux import Fill, Sample, TrackConfig

SECONDS = 4


def noise(rate: int, channels: int = 1) -> np.ndarray:
    """Bursts of noise, of which no two are alike: where it was shifted to can be told to the sample."""
    sound = np.random.default_rng(7).normal(0, 0.15, (1, rate * SECONDS)).astype(np.float32)
    low = np.fft.rfft(sound)
    low[:, int(min(6000, rate * 0.4) * SECONDS) :] = 0  # what every rate and codec keeps
    sound = np.fft.irfft(low, sound.shape[1])
    sound *= (np.arange(sound.shape[1]) / rate % 0.5 < 0.3)[None]
    return np.repeat(sound, channels, axis=0).astype(np.float32)


def frames(mix: Mix) -> list[Sample]:
    """The mix's noise encoded, each frame at the media time of the sound that it decodes to."""
    encoder = SoundEncoder(mix)
    sound = noise(mix.sample_rate, mix.channels)
    size = encoder.frame_samples
    packets: list[bytes] = []
    for at in range(0, sound.shape[1] - size, size):
        packets += encoder.encode(sound[:, at : at + size])
    packets += encoder.flush()
    times = [(index * size - encoder.delay) * SECOND // mix.sample_rate for index in range(len(packets))]
    return [Sample(time, True, data) for time, data in zip(times, packets, strict=True) if time >= 0]


def take(path) -> np.ndarray:
    """The file's sound on its own time line, in mono at 48 kHz."""
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        rate = stream.rate
        base = source.streams.video[0].start_time * source.streams.video[0].time_base if source.streams.video else 0
        out = np.zeros(rate * (SECONDS + 3), np.float32)
        end = -rate
        for frame in source.decode(stream):
            at = round((frame.pts * frame.time_base - base) * rate)
            at = end if abs(at - end) < 0.0011 * rate else at  # FLV counts milliseconds
            end = at + frame.samples
            sound = frame.to_ndarray()
            if not frame.format.is_planar:
                sound = sound.reshape(-1, frame.layout.nb_channels).T / (32768 if frame.format.name == "s16" else 1)
            out[at : at + frame.samples] = sound[0]
    places = np.arange(48_000 * (SECONDS + 3)) * rate / 48_000
    return np.interp(places, np.arange(len(out)), out).astype(np.float32)


def shift_s(path, rate: int) -> float:
    """By how much the file's sound is late."""
    wanted, got = np.zeros(48_000 * (SECONDS + 3)), take(path)
    source = noise(rate)[0]
    places = np.arange(SECONDS * 48_000) * rate / 48_000
    wanted[: len(places)] = np.interp(places, np.arange(len(source)), source)
    match = np.fft.irfft(np.fft.rfft(got) * np.conj(np.fft.rfft(wanted)))
    peak = int(np.argmax(match))
    assert match[peak] > 0.5 * np.sqrt((got**2).sum() * (wanted**2).sum()), "this is another sound"
    return (peak if peak < len(match) // 2 else peak - len(match)) / 48_000


def mixed(folder, mix: Mix, **fields):
    clip = pictures(mix.video_codec, SECONDS)
    segments = jobs(clip, frames(mix), mix.video_codec, mix.audio_codec, end_ns=SECONDS * SECOND)
    for job in segments:
        job.audio = TrackConfig(mix.audio_codec, mix.channels, mix.sample_rate)
    return record(folder, spec(**fields), segments)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize(("codec", "channels"), [("aac", 2), ("aac", 1), ("mp3", 2)])
def test_sound_of_every_rate_is_copied_in_step(tmp_path, codec, channels, rate):
    mix = Mix(audio_codec=codec, sample_rate=rate, channels=channels)
    recorder = mixed(tmp_path, mix, formats=("hls", "mp4", codec))
    assert set(recorder.renditions) == {"hls"}
    assert {muxed.transcoded for muxed in recorder.muxed["hls"]} == {()}
    files = made(recorder)
    for path in (recorder.playlist(), tmp_path / files["mp4"].path):
        assert complaints(path) == ""
        sound = probe(path)["audio"]
        assert (sound["codec_name"], int(sound["sample_rate"]), sound["channels"]) == (codec, rate, channels)
        assert abs(shift_s(path, rate)) < 0.001
    assert files["mp4"].transcoded == files[codec].transcoded == ()
    alone = probe(tmp_path / files[codec].path)["audio"]
    assert (alone["codec_name"], int(alone["sample_rate"])) == (codec, rate)
    # No times in there: what the encoder needs to get going is heard, or cut by who reads it.
    assert abs(shift_s(tmp_path / files[codec].path, rate)) < 0.075


@pytest.mark.parametrize(
    ("codec", "rate"), [("aac", 48_000), ("aac", 44_100), ("aac", 8_000), ("mp3", 44_100), ("mp3", 16_000)]
)
def test_transport_streams_copy_it_too(tmp_path, codec, rate):
    recorder = mixed(tmp_path, Mix(audio_codec=codec, sample_rate=rate), formats=("hls",), hls=Hls(container="ts"))
    assert {muxed.transcoded for muxed in recorder.muxed["hls"]} == {()}
    path = recorder.playlist()
    assert complaints(path) == ""
    sound = probe(path)["audio"]
    assert (sound["codec_name"], int(sound["sample_rate"]), sound["channels"]) == (codec, rate, 2)
    assert abs(shift_s(path, rate)) < 0.001


@pytest.mark.parametrize(("codec", "rate"), [("aac", 44_100), ("mp3", 32_000), ("opus", 48_000)])
def test_other_files_copy_or_transcode_in_step(tmp_path, codec, rate):
    recorder = mixed(tmp_path, Mix(audio_codec=codec, sample_rate=rate), formats=("flv", "webm", "mp4", "opus"))
    files = made(recorder)
    for name in ("flv", "webm", "mp4", "opus"):
        item = files[name]
        expected = {"flv": "aac", "webm": "opus", "opus": "opus", "mp4": codec}[name]
        assert item.audio_codec == expected
        assert ("audio" in item.transcoded) == (expected != codec)
        # FLV has times in milliseconds; a resampler and a second encoder are on the way to the transcoded ones.
        assert abs(shift_s(tmp_path / item.path, rate)) < (0.002 if expected == codec else 0.008), name


@pytest.mark.parametrize(("codec", "rate"), [("aac", 48_000), ("aac", 44_100), ("aac", 8_000), ("mp3", 16_000)])
def test_silence_fills_a_hole_without_moving_what_follows(tmp_path, codec, rate):
    mix = Mix(audio_codec=codec, sample_rate=rate)
    segments = jobs(pictures("h264", SECONDS), frames(mix), "h264", codec, end_ns=SECONDS * SECOND)
    begin, end = SECOND, 3 * SECOND
    for job in segments:
        job.audio = TrackConfig(codec, mix.channels, rate)
        job.audio_samples = [item for item in job.audio_samples if not begin <= item.media_ns < end]
        job.fill = [Fill("audio", begin, end, "silence")]
    recorder = record(tmp_path, spec(formats=("hls", "mp4", codec)), segments)
    files = made(recorder)
    lengths = {"aac": 1024, "mp3": 576}
    whole = SECONDS * rate // lengths[codec]
    for path in (recorder.playlist(), tmp_path / files["mp4"].path, tmp_path / files[codec].path):
        assert int(probe(path)["audio"]["nb_read_frames"]) == pytest.approx(whole, abs=3)
    sound = take(tmp_path / files["mp4"].path)
    assert abs(shift_s(tmp_path / files["mp4"].path, rate)) < 0.001
    assert np.abs(sound[48_000 * 3 // 2 : 48_000 * 5 // 2]).max() < 1e-3
    assert np.abs(sound[: 48_000 // 2]).max() > 0.1
