"""The picture of a mixed recording at a room time: scene, people and panes brought together, drawn and encoded.

Runs in the mixing thread. Knows no ticks but the ones it is asked for, and no sound.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from reelroom.domain.layout import Pane, Person, Speaker, arrange
from reelroom.domain.mix import Mix
from reelroom.domain.scene import MAX_PANES, Scene
from reelroom.domain.timeline import SECOND
from reelroom.record.mixed.canvas import Canvas
from reelroom.record.mixed.decoder import Picture
from reelroom.record.mixed.encoder import Encoded, PictureEncoder
from reelroom.record.mixed.feed import Feed
from reelroom.record.mixed.images import Images

Place = tuple[str, str]  # identity, "camera" or "screen"
_DECODE_NS = SECOND  # so long one tick waits for pictures that are being decoded
#: So long it is waited for one decoder in all (less than a mix may be late), and for one that is always late a tenth of
#: the time from then on: the others do not stand still because one sender's pictures take too long to decode.
_PATIENCE_NS = 8 * SECOND
_REFILL = 10
_POLL_S = 0.004
_LOOK_NS = SECOND // 5  # how often it is asked who speaks


class Stage:
    """Draws and encodes. `scenes` are (room time, what is shown from then on); another thread may append to them.
    Those that are over are taken out.
    """

    def __init__(
        self,
        mix: Mix,
        scenes: list[tuple[int, Scene]],
        feed: Feed,
        images: Images,
        encoder: Callable[[], PictureEncoder],
    ) -> None:
        self._mix = mix
        self._half_ns = SECOND // mix.fps // 2
        self._feed = feed
        self._images = images
        self._canvas = Canvas(mix.width, mix.height)
        self.encoder = encoder()
        self.hurry = False  # wait for nothing more
        self._scenes = scenes
        self._scene: Scene | None = None
        self._speaker = Speaker()
        self._spoke: dict[str, int] = {}
        self._look_ns = 0
        self._people: tuple[Person, ...] | None = None
        self._sizes: dict[Place, tuple[int, int]] = {}
        self._resized = False
        self._panes: tuple[Pane, ...] = ()
        self._joined: dict[Place, Person] = {}  # where those who leave stay: as they were first, in that order
        self._seen: list[Place] = []  # whose pictures are in the panes
        self._patience: dict[Place, tuple[int, int]] = {}  # what is left with those who were late, and at which time

    def render(self, tick: int, at_ns: int, key: bool) -> list[Encoded]:
        """The picture of a room time, encoded; what comes out may be that of earlier ticks."""
        scene = self._at(at_ns)
        people = self._feed.people(at_ns)
        follow = scene.layout.follow_speaker and at_ns >= self._look_ns
        if people is not self._people or scene is not self._scene or follow:
            self._arrange(scene, people, at_ns)
        seen_ns = at_ns + self._half_ns  # the nearest picture, so that it is as often early as late
        self._await(seen_ns)
        pictures = self._look(seen_ns)
        if self._resized:
            self._arrange(scene, people, at_ns)
            self._await(seen_ns)
            pictures = self._look(seen_ns)
        self._canvas.draw(self._panes, pictures, scene, self._images, at_ns)
        return self.encoder.encode(self._canvas.frame, tick, key)

    def _await(self, at_ns: int) -> None:
        """Decoders are behind whoever catches up, and when somebody is shown who was not."""
        if self._feed.ready(at_ns):
            return
        eyes = self._feed.eyes
        late = {place: self._patient_ns(place, at_ns) for place, eye in eyes.items() if not eye.ready(at_ns)}
        began_ns = time.monotonic_ns()
        while late:
            waited_ns = time.monotonic_ns() - began_ns
            for place, patience_ns in list(late.items()):
                if self.hurry or waited_ns >= min(patience_ns, _DECODE_NS) or eyes[place].ready(at_ns):
                    self._patience[place] = (max(0, patience_ns - waited_ns), at_ns)
                    del late[place]
            if late:
                time.sleep(_POLL_S)

    def _patient_ns(self, place: Place, at_ns: int) -> int:
        left_ns, since_ns = self._patience.get(place, (_PATIENCE_NS, at_ns))
        return min(_PATIENCE_NS, left_ns + max(0, at_ns - since_ns) // _REFILL)

    def _look(self, at_ns: int) -> dict[Place, Picture | None]:
        """The newest picture of everybody in the panes."""
        eyes, sizes = self._feed.eyes, self._sizes
        found: dict[Place, Picture | None] = {}
        self._resized = False
        for place in self._seen:
            decoder = eyes.get(place)
            picture = found[place] = decoder.at(at_ns) if decoder is not None else None
            if picture is not None and sizes.get(place) != (size := turned(picture)):
                sizes[place] = size
                self._resized = True
        return found

    def _at(self, at_ns: int) -> Scene:
        scenes = self._scenes
        while len(scenes) > 1 and scenes[1][0] <= at_ns:
            del scenes[0]  # a client may change them every second for days
        return scenes[0][1]

    def _arrange(self, scene: Scene, people: tuple[Person, ...], at_ns: int) -> None:
        self._scene, self._people = scene, people
        layout = scene.layout
        if layout.follow_speaker:
            self._look_ns = at_ns + _LOOK_NS
            self._spoke = self._feed.spoke(at_ns)
        shown = []
        for person in self._with_leavers(people) if scene.leavers == "stay" else people:
            if person.picture or scene.without_picture:
                place = (person.identity, person.source)
                width, height = self._sizes.get(place, (0, 0))
                spoke_ns = self._spoke.get(person.identity, 0) if person.source == "camera" else 0
                shown.append(person._replace(width=width, height=height, spoke_ns=spoke_ns))
        speaker = self._speaker.choose(shown, at_ns) if layout.follow_speaker else ""
        self._panes = arrange(layout, self._mix.width, self._mix.height, shown, at_ns, speaker)
        here = {(person.identity, person.source) for person in people}
        if scene.bare is not None:
            self._panes = tuple(
                pane._replace(placeholder=scene.bare) if (pane.identity, pane.source) in here else pane
                for pane in self._panes
            )
        sending = {(person.identity, person.source) for person in shown if person.picture}
        panes = {(pane.identity, pane.source) for pane in self._panes}
        self._seen = [place for place in panes if place in sending]
        if scene.leavers != "hold":
            away = [place for place in panes if place not in here]
            own = {identity for identity, surface in scene.placeholders.items() if surface.image}
            panes_own = {(p.identity, p.source) for p in self._panes if p.placeholder and p.placeholder.image}
            gone = [place for place in away if scene.leavers == "go" or place[0] in own or place in panes_own]
            self._canvas.forget(gone)
        for place, decoder in self._feed.eyes.items():
            if place in sending:  # one who falls silent for a moment goes on without a key frame
                decoder.show(place in panes)

    def _with_leavers(self, people: tuple[Person, ...]) -> tuple[Person, ...]:
        """Those who have left among them, without a picture; who comes back has their old turn."""
        here = {(person.identity, person.source): person for person in people}
        for place, person in here.items():
            self._joined.setdefault(place, person)
        for place in [place for place in self._joined if place not in here][: max(0, len(self._joined) - MAX_PANES)]:
            del self._joined[place]  # the first ones to be forgotten in a room that many go through
        return tuple(
            here[place]._replace(order=order) if place in here else first._replace(order=order, picture=False)
            for order, (place, first) in enumerate(self._joined.items())
        )


def turned(picture: Picture) -> tuple[int, int]:
    """Width and height as it is seen."""
    frame = picture.frame
    return (frame.height, frame.width) if picture.rotation % 180 else (frame.width, frame.height)
