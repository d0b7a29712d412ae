"""A beep from its sender's packets through mixer, encoder and muxer: heard at its room time, to the millisecond."""

from __future__ import annotations

import pytest
from muxkit import SECOND, jobs, pictures, record, spec
from test_finish_files import made
from test_mixed_sound import RATE, START, encoded
from test_mixed_sound_files import SECONDS, noise, shift_s

from reelroom.domain.mix import Mix
from reelroom.domain.timeline import Pauses
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.soundstage import SoundStage
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.record.mux import Sample, TrackConfig

_OPUS_S = 0.0025  # what Opus without look-ahead is late by itself


@pytest.mark.parametrize(
    ("codec", "rate"), [("aac", 48_000), ("aac", 44_100), ("aac", 16_000), ("mp3", 44_100), ("opus", 48_000)]
)
def test_sound_is_in_its_place_in_the_file(tmp_path, codec, rate):
    mix = Mix(audio_codec=codec, sample_rate=rate, channels=2, audio_bitrate=128_000)
    mixer = SoundMixer(rate, 2)
    mixer.add(1, "opus", 48_000, 2)
    late_ns = 7_654_321  # its packets do not fall on the grid of the mix
    for index, packet in enumerate(encoded(noise(RATE), bitrate=128_000)):
        mixer.put(1, START + late_ns + index * 20_000_000, packet, 255)
    stage = SoundStage(mix, mixer, lambda: SoundEncoder(mix))
    frames = [one for at in range(1, 10 * SECONDS) for one in stage.until(at * SECOND // 10, START, Pauses())]
    frames += stage.finish(SECONDS * SECOND, START, Pauses())
    assert [one.seq for one in frames] == list(range(1, len(frames) + 1))
    samples = [Sample(max(0, one.room_ns - START), True, one.payload) for one in frames]
    segments = jobs(pictures("h264", SECONDS), samples, "h264", codec, end_ns=SECONDS * SECOND)
    for job in segments:
        job.audio = TrackConfig(codec, 2, rate)
    recorder = record(tmp_path, spec(formats=("hls", "mp4")), segments)
    files = made(recorder)
    for path in (recorder.playlist(), tmp_path / files["mp4"].path):
        assert abs(shift_s(path, RATE) - _OPUS_S - late_ns / SECOND) < 0.001
    length = len(frames) * SoundEncoder(mix).frame_samples / rate
    assert length == pytest.approx(SECONDS, abs=0.08)
