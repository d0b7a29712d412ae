"""How the sound of a mix ends: it fades, whenever that is and whatever was heard last."""

from __future__ import annotations

import time

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from test_mixed_sound import RATE, START, clicks, encoded, tone

from reelroom.domain.mix import Mix
from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.frames import Made
from reelroom.record.mixed.mixer import Mixer, Stages
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.soundstage import SoundStage
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.rooms import protocol

MIX = Mix(audio_codec="aac", sample_rate=RATE, channels=1, audio_bitrate=128_000)
FRAME = 1024


def decoded(mixer: Mixer) -> NDArray[np.float32]:
    context = av.CodecContext.create("aac", "r")
    context.extradata = SoundEncoder(MIX).extradata
    packets = [av.Packet(made.payload) for made in mixer.made if isinstance(made, Made)]
    return np.concatenate([f.to_ndarray()[0] for p in (*packets, None) for f in context.decode(p)])


@pytest.mark.parametrize("told", ["stop", "pause"])
@pytest.mark.parametrize("beyond", [3, 150, 700], ids="{}-samples-of-the-last-frame".format)
def test_it_fades_out_to_the_sample_at_which_the_recording_ends(told: str, beyond: int) -> None:
    sound = SoundMixer(RATE, 1)
    sound.add(1, "opus", 48_000, 2)
    for index, packet in enumerate(encoded(tone(1000, 3, 0.4))):
        sound.put(1, START + index * 20_000_000, packet, 255)
    feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
    feed.message(protocol.Hello(ingest="life1", room_ns=START, ring_s=10))
    feed.message(protocol.CaughtUp(room_ns=START))
    samples = 60 * FRAME + beyond
    end_ns = START + -(-samples * SECOND // RATE)
    now_ns = START + 4 * SECOND

    def stages() -> Stages:
        return Stages(None, SoundStage(MIX, sound, lambda: SoundEncoder(MIX)))

    mixer = Mixer(0, feed, stages, lambda: now_ns, lambda: None, START, None, at_latest_ns=START)
    if told == "pause":
        mixer.set_pauses(Pauses().pause(end_ns))
    else:
        mixer.stop_at(end_ns)
    mixer.start()
    if told == "pause":
        deadline = time.monotonic() + 20
        while mixer.at_ns < end_ns - SECOND // 5 or mixer.busy:  # it has rendered all and waits for the resume
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mixer.stop_at(end_ns + SECOND)
    while not mixer.done:
        time.sleep(0.01)
    assert mixer.error is None
    heard = decoded(mixer)
    assert np.abs(heard[samples - 20_000 : samples - 300]).max() > 0.38
    assert np.abs(heard[samples - 600 : samples - 300]).max() > 0.38, "it is heard up to the fade"
    assert np.abs(heard[samples + 20 :]).max(initial=0) < 0.01
    assert clicks(np.pad(heard, (0, RATE // 10))) < 0.01
