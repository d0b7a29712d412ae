"""The mix's sound from real packets: level, place, drift, loss, who speaks; no click where voices come and go."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reelroom.record.mixed.limiter import CEILING
from reelroom.record.mixed.sound import SoundMixer

RATE = 48_000
START = 1_700_000_000_000_000_000
MS = 1_000_000
PACKET = 20 * MS
QUIET = 127
UNKNOWN = 255


def encoded(sound: np.ndarray, application: str = "lowdelay", bitrate: int = 96_000) -> list[bytes]:
    """[channels, samples] as Opus packets of 20 ms. "lowdelay" is 2.5 ms late."""
    channels = len(sound)
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = RATE, ("mono", "stereo")[channels - 1], "flt"
    context.bit_rate, context.options = bitrate, {"application": application}
    packets: list[bytes] = []
    for at in range(0, sound.shape[1] - 959, 960):
        block = np.ascontiguousarray(sound[:, at : at + 960].T.reshape(1, -1), np.float32)
        frame = av.AudioFrame.from_ndarray(block, "flt", context.layout.name)
        frame.sample_rate, frame.pts = RATE, at
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def tone(hertz: float, seconds: float, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)[None]


def put(mixer: SoundMixer, track: int, packets, begin_ns: int = 0, ppm: float = 0, without=(), level=UNKNOWN) -> None:
    for index, packet in enumerate(packets):
        if index not in without:
            mixer.put(track, START + begin_ns + round(index * PACKET * (1 + ppm / 1e6)), packet, level)


def mixed(mixer: SoundMixer, seconds: float, rate: int = RATE, block: int = 1024, begin_s: float = 0) -> np.ndarray:
    """What a recorder would ask for, one encoder's frame after the other."""
    first = round(begin_s * rate)
    places = range(first, first + round(seconds * rate), block)
    return np.concatenate([mixer.mix(START + at * 1_000_000_000 // rate, block) for at in places], axis=1)


def voice(codec: str = "opus", rate: int = RATE, channels: int = 1) -> SoundMixer:
    mixer = SoundMixer(rate, channels)
    mixer.add(1, codec, 48_000 if codec == "opus" else 8000, 2 if codec == "opus" else 1)
    return mixer


def level_at(sound: np.ndarray, hertz: float, rate: int) -> float:
    """The amplitude of one tone."""
    window = np.hanning(len(sound))
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(sound)) / rate)
    return float(2 * abs((sound * window * wave).sum()) / window.sum())


def clicks(sound: np.ndarray, rate: int = RATE) -> float:
    """The largest thing above 6 kHz, where the tones of these tests have nothing."""
    spectrum = np.fft.rfft(sound, axis=-1)
    spectrum[..., : int(6000 * sound.shape[-1] / rate)] = 0
    return float(np.abs(np.fft.irfft(spectrum, sound.shape[-1], axis=-1))[..., 200:-200].max())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 24_000, 32_000, 44_100, 48_000])
def test_three_tones_in_three_tones_out(rate, channels):
    mixer = SoundMixer(rate, channels)
    tones = {300: 0.3, 1250: 0.2, 3700: 0.1}
    for track, (hertz, level) in enumerate(tones.items()):
        mixer.add(track, "opus", 48_000, 2)
        put(mixer, track, encoded(tone(hertz, 3, level)), begin_ns=track * 1_234_567, ppm=(100, -100, 0)[track])
    sound = mixed(mixer, 2.8, rate)
    assert sound.shape[0] == channels
    part = sound[0, rate : rate * 5 // 2]
    for hertz, level in tones.items():
        # A clock that is 100 ppm off is as much off in pitch.
        assert level_at(part, hertz, rate) == pytest.approx(level, rel=0.04)
    left = part - sum(_fitted(part, hertz, rate) for hertz in tones)
    assert np.sqrt((left**2).mean()) < 0.01
    assert (sound == sound[:1]).all()


def _fitted(sound: np.ndarray, hertz: float, rate: int) -> np.ndarray:
    """The tone near a pitch that is in there, whatever its phase."""
    times = np.arange(len(sound)) / rate
    pitches = hertz * (1 + np.linspace(-1.5e-3, 1.5e-3, 31))
    best = max(pitches, key=lambda pitch: level_at(sound, pitch, rate))
    basis = np.stack([np.sin(2 * np.pi * best * times), np.cos(2 * np.pi * best * times)], axis=1)
    return basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]


@pytest.mark.parametrize("level", [0.01, 0.3, 0.95])
def test_one_voice_is_what_its_decoder_gives_to_the_bit(level):
    packets = encoded(tone(440, 2, level))
    context = av.CodecContext.create("libopus", "r")
    context.sample_rate, context.layout = RATE, "mono"
    decoded = [context.decode(av.Packet(packet))[0].to_ndarray()[0] for packet in packets]
    wanted = np.concatenate(decoded).astype(np.float32) / 32768
    mixer = voice()
    put(mixer, 1, packets)
    got = mixed(mixer, 1.9)[0]
    assert (got[300 : RATE * 18 // 10] == wanted[300 : RATE * 18 // 10]).all()


def test_sixteen_loud_voices_never_clip():
    mixer = SoundMixer(RATE, 2)
    for track in range(16):
        mixer.add(track, "opus", 48_000, 2)
        put(mixer, track, encoded(tone(200 + 37 * track, 2, 0.9)), begin_ns=track * 30 * MS)
    sound = mixed(mixer, 2.2)
    assert np.abs(sound).max() <= CEILING + 1e-6
    assert np.sqrt((sound[0, RATE : RATE * 3 // 2] ** 2).mean()) > 0.15  # and it is still loud
    assert np.abs(sound[:, : RATE * 20 // 1000]).max() > 0.85  # the first is alone there


@pytest.mark.parametrize("ppm", [100, -100])
def test_an_hour_with_a_clock_that_drifts_stays_in_step(ppm):
    """Beeps each 10 s of the sender's clock are heard at that time of the room's, over a hum that never breaks off."""
    turns, period, block = 360, 10, 4800
    sound = tone(300, period, 0.05)
    sound[:, 5 * RATE : 5 * RATE + 4800] = tone(1000, 0.1, 0.5)
    packets = encoded(sound)
    mixer = voice()

    def put_turn(turn: int) -> None:
        for index, packet in enumerate(packets, turn * len(packets)):
            mixer.put(1, START + round(index * PACKET * (1 + ppm / 1e6)), packet, UNKNOWN)

    put_turn(0)
    late_ms: list[float] = []
    for turn in range(turns):
        put_turn(turn + 1)
        begin = turn * period * RATE
        places = range(begin, begin + period * RATE, block)
        parts = [mixer.mix(START + place * 1_000_000_000 // RATE, block)[0] for place in places]
        if turn < 4 or turn % 15 == 14:
            got = np.concatenate(parts)
            onset = np.flatnonzero(np.abs(got) > 0.1)[0] / RATE
            late_ms.append((onset - (turn * period + 5) * (1 + ppm / 1e6) + turn * period) * 1000)
            waves = np.abs(got[480:].reshape(-1, 480)[: period * 90]).max(axis=1)
            assert waves.min() > 0.04
    # 2.5 ms are Opus's own; reading follows when half a millisecond is missing.
    assert max(abs(value - 2.5) for value in late_ms) < 1, late_ms


@pytest.mark.parametrize("ppm", [100, -100, 1000, -1000])
def test_following_a_clock_is_not_heard(ppm):
    mixer = voice()
    put(mixer, 1, encoded(tone(1000, 20, 0.5)), ppm=ppm)
    sound = mixed(mixer, 19)[0][RATE:-RATE]
    assert clicks(sound) < 0.003
    bend = np.abs(np.diff(sound, 2)).max()
    assert bend < 1.04 * 0.5 * (2 * np.pi * 1000 / RATE) ** 2
    blocks = np.abs(sound[: len(sound) // 480 * 480].reshape(-1, 480)).max(axis=1)
    assert blocks.min() > 0.49


def test_joining_and_leaving_do_not_click():
    mixer = SoundMixer(RATE, 1)
    for track, hertz in ((1, 210), (2, 330), (3, 470)):
        mixer.add(track, "opus", 48_000, 2)
        # The first packet begins in the middle of a wave, as somebody does who is unmuted while speaking.
        put(mixer, track, encoded(tone(hertz, 4, 0.3))[17:], begin_ns=(track - 1) * 400 * MS + 3_217_000)
    first = mixed(mixer, 2)[0]
    mixer.remove(2)
    second = mixed(mixer, 1, begin_s=2 + 704 / RATE)[0]
    sound = np.concatenate((first, second))
    assert clicks(sound) < 0.004
    assert level_at(sound[RATE * 3 // 2 : RATE * 2 - 2000], 330, RATE) == pytest.approx(0.3, rel=0.05)
    after = sound[len(first) + RATE // 50 :]
    assert level_at(after, 330, RATE) < 0.003
    assert level_at(after, 210, RATE) == pytest.approx(0.3, rel=0.05)


def test_a_mute_is_silence_with_soft_edges_and_speech_comes_back_in_its_place():
    packets = encoded(tone(440, 6, 0.4))
    mixer = voice()
    put(mixer, 1, packets, without=range(73, 211))
    sound = mixed(mixer, 5.5)[0]
    assert clicks(sound) < 0.004
    begin, end = 73 * 960, 211 * 960
    assert np.abs(sound[begin + 100 : end - 100]).max() == 0
    assert np.abs(sound[end + 480 : end + 960]).max() > 0.3
    heard = np.flatnonzero(np.abs(sound[begin:]) > 0.01)
    assert heard[heard > 100][0] == pytest.approx(end - begin, abs=300)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_lost_packets_are_concealed_and_nothing_moves(lost):
    sound = tone(440, 4, 0.4)
    packets = encoded(sound)
    whole, broken = voice(), voice()
    put(whole, 1, packets)
    put(broken, 1, packets, without=range(60, 60 + lost))
    wanted, got = mixed(whole, 3)[0], mixed(broken, 3)[0]
    hole = got[60 * 960 : (60 + lost) * 960]
    assert np.sqrt((hole[:960] ** 2).mean()) > 0.1  # not silence
    assert clicks(got) < 0.02
    after = slice((62 + lost) * 960, RATE * 28 // 10)
    assert np.abs(wanted[after] - got[after]).max() < 0.03  # the decoder's state differs, times do not


def test_a_long_loss_is_silence_not_a_shift():
    packets = encoded(tone(440, 4, 0.4))
    mixer = voice()
    put(mixer, 1, packets, without=range(60, 75))
    sound = mixed(mixer, 3)[0]
    assert clicks(sound) < 0.01
    assert np.abs(sound[60 * 960 + 300 : 75 * 960 - 300]).max() < 1e-3
    assert np.abs(sound[75 * 960 + 480 : 76 * 960]).max() > 0.3


@pytest.mark.parametrize("codec", ["pcmu", "pcma"])
@pytest.mark.parametrize("ppm", [0, 100])
def test_g711_has_its_level_and_place(codec, ppm):
    sound = np.where(np.arange(8000 * 4) % 8000 < 4000, 0.3 * np.sin(2 * np.pi * 1000 * np.arange(32_000) / 8000), 0)
    context = av.CodecContext.create({"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}[codec], "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    packets = []
    for block in (sound * 32767).astype(np.int16).reshape(-1, 1, 160):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "s16", "mono")
        frame.sample_rate = 8000
        packets += [bytes(packet) for packet in context.encode(frame)]
    mixer = voice(codec)
    put(mixer, 1, packets, ppm=ppm)
    got = mixed(mixer, 3.9)[0]
    for second in range(1, 4):
        at = second * RATE
        assert level_at(got[at + 4800 : at + 19_200], 1000, RATE) == pytest.approx(0.3, rel=0.03)
        onset = at - 480 + np.flatnonzero(np.abs(got[at - 480 : at + 960]) > 0.1)[0]
        assert abs(onset - at * (1 + ppm / 1e6)) < 48


def test_stereo_keeps_its_sides_and_is_folded_into_one():
    sides = np.concatenate((tone(500, 2, 0.4), tone(1500, 2, 0.2)))
    packets = encoded(sides, bitrate=192_000)
    both, one = voice(channels=2), voice(channels=1)
    put(both, 1, packets)
    put(one, 1, packets)
    left, right = mixed(both, 1.8)[:, RATE // 2 :]
    assert level_at(left, 500, RATE) == pytest.approx(0.4, rel=0.05)
    assert level_at(right, 1500, RATE) == pytest.approx(0.2, rel=0.05)
    assert level_at(left, 1500, RATE) < 0.02
    assert level_at(right, 500, RATE) < 0.02
    middle = mixed(one, 1.8)[0, RATE // 2 :]
    assert level_at(middle, 500, RATE) == pytest.approx(0.2, rel=0.05)
    assert level_at(middle, 1500, RATE) == pytest.approx(0.1, rel=0.05)


def test_a_pause_is_left_out_without_a_click():
    mixer = voice()
    put(mixer, 1, encoded(tone(300, 6, 0.4)))
    before = mixed(mixer, 1)
    after = mixed(mixer, 1, begin_s=3.0017)
    sound = np.concatenate((before, after), axis=1)[0]
    assert clicks(sound) < 0.01
    assert level_at(after[0, 1000:], 300, RATE) == pytest.approx(0.4, rel=0.05)


@pytest.mark.parametrize("samples", [1, 100, 239])
def test_a_pause_just_before_the_end_of_a_frame_does_not_click(samples):
    mixer = voice()
    put(mixer, 1, encoded(tone(300, 6, 0.4)))
    before = mixed(mixer, 1)
    begin_s = 3.0017
    last = mixer.mix(START + round(begin_s * 1e9), samples)
    sound = np.concatenate((before, last, mixed(mixer, 1, begin_s=begin_s + samples / RATE)), axis=1)[0]
    assert clicks(sound) < 0.01
    again = mixer.mix(START + 4_500_000_000, samples)  # and away before it is there
    sound = np.concatenate((sound, again[0], mixed(mixer, 1, begin_s=5)[0]))
    assert clicks(sound) < 0.01


def test_a_pause_that_is_told_late_is_gone_back_to():
    packets = encoded(tone(300, 4, 0.4))
    straight, back = voice(), voice()
    put(straight, 1, packets)
    put(back, 1, packets)
    wanted = mixed(straight, 2)[0]
    mixed(back, 1.2)
    again = mixed(back, 0.6, begin_s=0.8)[0]
    at = round(0.8 * RATE)
    assert np.abs(again[300:] - wanted[at + 300 : at + len(again)]).max() < 1e-4


def test_who_speaks_is_told_by_the_header_or_by_what_is_heard():
    mixer = SoundMixer(RATE, 1)
    loud, soft = encoded(tone(300, 3, 0.1)), encoded(tone(300, 3, 0.001))
    for track, packets, level in ((1, loud, UNKNOWN), (2, soft, UNKNOWN), (3, soft, 30), (4, loud, QUIET)):
        mixer.add(track, "opus", 48_000, 2)
        put(mixer, track, packets[:100], level=level)
    mixed(mixer, 1)
    now = START + 1_000_000_000
    spoke = mixer.spoke(now)
    assert set(spoke) == {1, 3}  # 1 and 2 as measured; 3 and 4 as their senders say
    assert all(now - 100 * MS <= at <= now for at in spoke.values())
    mixed(mixer, 3, begin_s=1)
    ended = mixer.spoke(START + 4_000_000_000)
    assert ended[1] == pytest.approx(START + 100 * PACKET, abs=2 * PACKET)


def test_of_many_voices_those_are_heard_who_spoke_last_without_a_click():
    mixer = SoundMixer(RATE, 1)
    mixer.most = 2
    hertz = (300, 500, 700)
    for track, tone_hz in enumerate(hertz, 1):
        mixer.add(track, "opus", 48_000, 2)
        begin = (0, 0, 150)[track - 1]  # the third one speaks from the third second on
        for index, packet in enumerate(encoded(tone(tone_hz, 8, 0.2))):
            level = QUIET if index < begin or (track == 1 and index >= 100) else 20
            mixer.put(track, START + index * PACKET, packet, level)  # all of them make a noise all the time
    sound = mixed(mixer, 7)[0]

    def heard(from_s: float, to_s: float) -> list[bool]:
        part = sound[round(from_s * RATE) : round(to_s * RATE)]
        return [level_at(part, tone_hz, RATE) > 0.15 for tone_hz in hertz]

    assert heard(0.5, 2.5) == [True, True, False]
    assert heard(4.5, 6.5) == [False, True, True]  # the first has been silent for longest
    assert clicks(sound) < 0.02
    mixer.most = 0
    everybody = mixed(mixer, 0.8, begin_s=7)[0]
    assert all(level_at(everybody[RATE // 4 :], tone_hz, RATE) > 0.15 for tone_hz in hertz)


def test_a_moment_of_noise_is_not_speech():
    mixer = voice()
    packets = encoded(tone(300, 2, 0.1))
    for index, packet in enumerate(packets):
        mixer.put(1, START + index * PACKET, packet, 20 if index == 30 else 90)
    mixed(mixer, 1.8)
    assert mixer.spoke(START + 1_800 * MS) == {}


def test_a_broken_packet_is_a_moment_of_its_own_voice_only():
    mixer = SoundMixer(RATE, 1)
    good, other = encoded(tone(300, 3, 0.3)), encoded(tone(1100, 3, 0.2))
    for track, packets in ((1, good), (2, other)):
        mixer.add(track, "opus", 48_000, 2)
        if track == 1:
            packets[40] = b"\xff\xff"  # code 3 with 63 frames: more than 120 ms, which no packet may hold
            packets[41] = b"\xff\xff\xff"
        put(mixer, track, packets)
    sound = mixed(mixer, 2.5)[0]
    assert level_at(sound[RATE * 3 // 2 : RATE * 2], 300, RATE) == pytest.approx(0.3, rel=0.05)
    assert level_at(sound[40 * 960 : 42 * 960], 1100, RATE) == pytest.approx(0.2, rel=0.1)


def test_a_whole_ring_may_be_there_before_the_first_call():
    mixer = voice()
    sound = tone(440, 30, 0.3)
    put(mixer, 1, encoded(sound))
    got = mixed(mixer, 29)[0]
    assert level_at(got[RATE * 28 : RATE * 29 - 2000], 440, RATE) == pytest.approx(0.3, rel=0.05)
    late = voice()
    put(late, 1, encoded(sound))
    part = mixed(late, 1, begin_s=25)[0]
    assert np.abs(part[2000:42_000] - got[RATE * 25 + 2000 : RATE * 25 + 42_000]).max() < 0.02


def test_what_cannot_be_mixed_is_refused():
    mixer = SoundMixer(RATE, 1)
    with pytest.raises(ValueError, match="opus is mixed at 48000 Hz"):
        mixer.add(1, "opus", 16_000, 1)
    with pytest.raises(ValueError, match="mixed from opus, pcmu, pcma"):
        mixer.add(1, "g722", 8000, 1)
    mixer.add(1, "pcmu", 8000, 1)
    with pytest.raises(ValueError, match="mixed already"):
        mixer.add(1, "pcmu", 8000, 1)
