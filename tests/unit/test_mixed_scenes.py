"""Which scene a mix shows at a room time, and that those that are over are not kept. Draws nothing."""

from reelroom.domain.mix import Mix
from reelroom.domain.recording import Subscription
from reelroom.domain.scene import Scene
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
