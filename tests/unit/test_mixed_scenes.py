"""Which scene a mix shows at a room time, what stands for whom, for whom it is waited, and that what is over is not
kept. Draws nothing."""

from __future__ import annotations

import pytest

from reelroom.domain.layout import Person
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Subscription
from reelroom.domain.scene import Layout, Place, Preset, Scene, Surface
from reelroom.domain.timeline import SECOND
from reelroom.record.mixed import stage as module
from reelroom.record.mixed.encoder import PictureEncoder
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.images import Images
from reelroom.record.mixed.stage import Stage


def test_scenes_that_are_over_are_let_go(tmp_path) -> None:
    mix = Mix(width=64, height=36)
    scenes = [(0, Scene(hold_s=1)), (100, Scene(hold_s=2)), (200, Scene(hold_s=3))]
    feed = Feed(Subscription(), None, None, lambda _lines: None, lambda _message: None)
    stage = Stage(mix, scenes, feed, Images(tmp_path), lambda: PictureEncoder(mix))
    assert [stage._at(at_ns).hold_s for at_ns in (0, 99, 100, 150)] == [1, 1, 2, 2]
    assert len(scenes) == 2
    scenes.append((300, Scene(hold_s=4)))
    assert [stage._at(at_ns).hold_s for at_ns in (199, 1000)] == [2, 4]
    assert len(scenes) == 1


def test_who_is_there_without_a_picture_may_look_otherwise_than_who_is_not_there(tmp_path) -> None:
    mix = Mix(width=64, height=36)
    own = Surface(color="#ff0000")
    half = {"y": 0.0, "width": 0.5, "height": 1.0, "placeholder": own}
    places = (Place(x=0.0, identity="ann", **half), Place(x=0.5, identity="bob", **half))
    layout = Layout(preset=Preset.CUSTOM, panes=places)
    feed = Feed(Subscription(), None, None, lambda _lines: None, lambda _message: None)
    for bare, ann in ((None, own), (Surface(color="#00ff00"), Surface(color="#00ff00"))):
        scene = Scene(layout=layout, bare=bare)
        stage = Stage(mix, [(0, scene)], feed, Images(tmp_path), lambda: PictureEncoder(mix))
        stage._arrange(scene, (Person("ann", "camera", 0, picture=False),), 0)
        assert {pane.identity: pane.placeholder for pane in stage._panes} == {"ann": ann, "bob": own}


class Clock:
    """Time that passes while somebody sleeps, in place of the module `time`."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)


class Eye:
    """A decoder that is ready so much later than it is asked; None: never."""

    def __init__(self, clock: Clock, late_ns: int | None) -> None:
        self._clock = clock
        self._late_ns = late_ns
        self._asked: dict[int, int] = {}
        self.in_vain = 0

    def ready(self, at_ns: int) -> bool:
        since_ns = self._asked.setdefault(at_ns, self._clock.now_ns)
        return self._late_ns is not None and self._clock.now_ns - since_ns >= self._late_ns

    def at(self, at_ns: int) -> None:
        self.in_vain += not self.ready(at_ns)

    def show(self, shown: bool) -> None: ...


class Room:
    """What a stage asks of a feed."""

    def __init__(self, **eyes: Eye) -> None:
        self.eyes = {(name, "camera"): eye for name, eye in eyes.items()}
        self._people = tuple(Person(name, "camera", order, True) for order, name in enumerate(eyes))

    def people(self, at_ns: int) -> tuple[Person, ...]:
        return self._people

    def ready(self, at_ns: int) -> bool:
        return all(eye.ready(at_ns) for eye in self.eyes.values())


@pytest.mark.parametrize("never", [True, False])
def test_a_decoder_that_is_always_late_makes_the_others_wait_for_a_tenth_of_the_time_at_most(
    never: bool, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    slow, quick = Eye(clock, None if never else 300_000_000), Eye(clock, 12_000_000)
    mix = Mix(width=64, height=36, fps=10)
    stage = Stage(mix, [(0, Scene())], Room(slow=slow, quick=quick), Images(tmp_path), lambda: PictureEncoder(mix))  # type: ignore[arg-type]
    for tick in range(600):
        stage.render(tick, tick * SECOND // 10, False)
    assert slow.in_vain > 500
    assert quick.in_vain == 0  # whoever is a little late is always waited for
    assert clock.now_ns < 8 * SECOND + (6 + 600 * 0.012) * SECOND + SECOND


def test_who_has_to_catch_up_is_waited_for(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    mix = Mix(width=64, height=36, fps=10)
    eye = Eye(clock, 60_000_000)
    stage = Stage(mix, [(0, Scene())], Room(ann=eye), Images(tmp_path), lambda: PictureEncoder(mix))  # type: ignore[arg-type]
    for tick in range(100):  # ten seconds of a ring
        stage.render(tick, tick * SECOND // 10, False)
    assert eye.in_vain == 0
