"""Where the sound of a mix ends, for good or in a pause: nothing clicks, whenever that is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from test_mixed_sound import RATE, START, clicks, encoded, tone

from reelroom.domain.mix import Mix
from reelroom.domain.recording import Subscription
from reelroom.domain.timeline import SECOND, Pauses
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.frames import Made, Mark
from reelroom.record.mixed.mixer import Mixer, Stages
from reelroom.record.mixed.sound import SoundMixer
from reelroom.record.mixed.soundstage import SoundStage
from reelroom.record.mixed.voice import SoundEncoder
from reelroom.rooms import protocol

MIX = Mix(audio_codec="aac", sample_rate=RATE, channels=1, audio_bitrate=128_000)
FRAME = 1024


class Room:
    """Somebody's tone in a mix without pictures. `mixer` renders what lies 450 ms and more before `now_ns`."""

    def __init__(self, hertz: float, now_ns: int) -> None:
        sound = SoundMixer(RATE, 1)
        sound.add(1, "opus", 48_000, 2)
        for index, packet in enumerate(encoded(tone(hertz, 4, 0.4))):
            sound.put(1, START + index * 20_000_000, packet, 255)
        feed = Feed(Subscription(), None, None, lambda _: None, lambda _: None)
        feed.message(protocol.Hello(ingest="life1", room_ns=START, ring_s=10))
        feed.message(protocol.CaughtUp(room_ns=START))
        self.now_ns = now_ns
        self.mixer = Mixer(
            0,
            feed,
            lambda: Stages(None, SoundStage(MIX, sound, lambda: SoundEncoder(MIX))),
            lambda: self.now_ns,
            lambda: None,
            START,
            None,
            at_latest_ns=START,
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    def heard(self) -> NDArray[np.float32]:
        """All that was mixed. Of a frame that was made twice, the second."""
        self.wait(lambda: self.mixer.done)
        assert self.mixer.error is None
        frames = {made.seq: made.payload for made in self.mixer.made if isinstance(made, Made)}
        assert list(frames) == list(range(1, len(frames) + 1))
        context = av.CodecContext.create("aac", "r")
        context.extradata = SoundEncoder(MIX).extradata
        packets = [av.Packet(payload) for payload in frames.values()]
        return np.concatenate([f.to_ndarray()[0] for p in (*packets, None) for f in context.decode(p)])


@pytest.mark.parametrize("told", ["stop", "pause"])
@pytest.mark.parametrize("beyond", [3, 150, 700], ids="{}-samples-of-the-last-frame".format)
def test_it_fades_out_to_the_sample_at_which_the_recording_ends(told: str, beyond: int) -> None:
    samples = 60 * FRAME + beyond
    end_ns = START + -(-samples * SECOND // RATE)
    room = Room(1000, START + 4 * SECOND)
    mixer = room.mixer
    if told == "pause":
        mixer.set_pauses(Pauses().pause(end_ns))
    else:
        mixer.stop_at(end_ns)
    mixer.start()
    if told == "pause":  # it has rendered all and waits for the resume
        room.wait(lambda: mixer.at_ns >= end_ns - SECOND // 5 and not mixer.busy)
        mixer.stop_at(end_ns + SECOND)
    heard = room.heard()
    assert np.abs(heard[samples - 20_000 : samples - 300]).max() > 0.38
    assert np.abs(heard[samples - 600 : samples - 300]).max() > 0.38, "it is heard up to the fade"
    assert np.abs(heard[samples + 20 :]).max(initial=0) < 0.01
    assert clicks(np.pad(heard, (0, RATE // 10))) < 0.01


def test_a_pause_that_is_told_when_it_has_been_rendered_already_does_not_click() -> None:
    pause_ns, resume_ns = START + 1_003_300_000, START + 2_121_700_000
    room = Room(300, pause_ns + 900_000_000)
    mixer = room.mixer
    mixer.start()
    room.wait(lambda: mixer.at_ns > pause_ns + SECOND // 5 and not mixer.busy)
    pauses = Pauses().pause(pause_ns)
    mixer.set_pauses(pauses)
    room.wait(lambda: any(isinstance(made, Mark) for made in mixer.made))
    room.now_ns = START + 4 * SECOND
    mixer.set_pauses(pauses.resume(resume_ns))
    mixer.stop_at(START + 3 * SECOND)
    heard = room.heard()
    at = round((pause_ns - START) * RATE / SECOND)
    assert clicks(heard[at - 4 * FRAME : at + 4 * FRAME]) < 0.01
    for place in (at - 300, at + 300 + round(RATE / 300)):
        assert np.abs(heard[place - 100 : place + 100]).max() > 0.35
