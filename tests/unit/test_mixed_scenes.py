"""Which scene a mix shows at a room time, what stands for whom, and that what is over is not kept. Draws nothing."""

from reelroom.domain.layout import Person
from reelroom.domain.mix import Mix
from reelroom.domain.recording import Subscription
from reelroom.domain.scene import Layout, Place, Preset, Scene, Surface
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
