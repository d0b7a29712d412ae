"""What is on the canvas, pixel by pixel: panes, bars, borders, names, watermarks, placeholders, live changes.

Pictures come out of real decoders; each participant's is of one colour, or has the bar code of the demo clip.
"""

from __future__ import annotations

import hashlib
import io
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageDraw

from reelroom.demo import barcode
from reelroom.demo.clip import make_clip
from reelroom.domain.layout import Pane, Person, arrange
from reelroom.domain.scene import Border, Fit, Layout, Names, Overlay, Preset, Scene, Surface, Watermark
from reelroom.record.mixed.canvas import Canvas
from reelroom.record.mixed.decoder import DECODERS, Picture
from reelroom.record.mixed.images import Images

SECOND = 1_000_000_000
NOW = 1_704_110_400 * SECOND  # 2024-01-01 12:00 UTC
WIDTH, HEIGHT = 640, 360
RED, GREEN, BLUE, GREY = "#c02020", "#20a030", "#2040c0", "#808080"
_serials = count(1)
Rgb = tuple[int, int, int]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(WIDTH, HEIGHT)


def rgb(color: str) -> Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def colored(color: str, width: int = 640, height: int = 360, *, full: bool = False, matrix: int = 1) -> Picture:
    """A picture of one colour, with its upper left quarter white."""
    image = Image.new("RGB", (width, height), color)
    image.paste("#ffffff", (0, 0, width // 2, height // 2))
    frame = av.VideoFrame.from_image(image).reformat(
        format="yuvj420p" if full else "yuv420p",
        dst_colorspace=Colorspace.ITU709 if matrix == 1 else Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    )
    frame.colorspace = matrix
    return Picture(frame, NOW, 0, next(_serials))


def at(canvas: Canvas, x: int, y: int) -> Rgb:
    """What a player shows there."""
    return canvas.frame.to_image().getpixel((x, y))  # type: ignore[return-value]


def near(got: Rgb, color: str, by: int = 6) -> bool:
    return max(abs(a - b) for a, b in zip(got, rgb(color), strict=True)) <= by


def pane(identity: str, x: int, y: int, width: int, height: int, *, fit: Fit = Fit.CROP, alpha: float = 1.0) -> Pane:
    return Pane(identity, "camera", x, y, width, height, 0, fit, alpha)


def stored(folder: Path, image: Image.Image, kind: str = "PNG") -> str:
    data = io.BytesIO()
    image.save(data, kind)
    name = hashlib.sha256(data.getvalue()).hexdigest()
    (folder / name).write_bytes(data.getvalue())
    return name


def whose(*identities: str) -> list[tuple[str, str]]:
    return [(identity, "camera") for identity in identities]


def test_each_pane_has_its_own_picture_and_the_rest_the_background(canvas: Canvas, images: Images) -> None:
    people = [Person(name, "camera", n, True) for n, name in enumerate("abc")]
    panes = arrange(Layout(), WIDTH, HEIGHT, people, NOW)
    pictures = dict(zip(whose("a", "b", "c"), map(colored, (RED, GREEN, BLUE)), strict=True))
    assert canvas.draw(panes, pictures, Scene(background=Surface(color=GREY)), images, NOW)
    for place, color in zip(panes, (RED, GREEN, BLUE), strict=True):
        assert near(at(canvas, place.x + place.width - 5, place.y + place.height - 5), color)
        assert near(at(canvas, place.x + 5, place.y + 5), "#ffffff")
    covered = {(place.x, place.y) for place in panes}
    assert len(covered) == 3
    assert canvas.frame.color_range == ColorRange.MPEG
    assert canvas.frame.colorspace == 1


def test_fit_crop_and_stretch(canvas: Canvas, images: Images) -> None:
    panes = [
        pane("a", 0, 0, 200, 200, fit=Fit.FIT),
        pane("b", 200, 0, 200, 200, fit=Fit.CROP),
        pane("c", 400, 0, 200, 200, fit=Fit.STRETCH),
    ]
    pictures = dict.fromkeys(whose("a", "b", "c"), colored(RED, 640, 320))
    canvas.draw(panes, pictures, Scene(background=Surface(color=GREY)), images, NOW)
    assert near(at(canvas, 190, 45), GREY)
    assert near(at(canvas, 190, 55), RED)
    assert near(at(canvas, 190, 155), GREY)
    assert near(at(canvas, 210, 5), "#ffffff")
    assert near(at(canvas, 390, 195), RED)
    assert near(at(canvas, 495, 95), "#ffffff")
    assert near(at(canvas, 505, 95), RED)


@pytest.mark.parametrize(("rotation", "white"), [(0, (5, 5)), (90, (195, 5)), (180, (195, 195)), (270, (5, 195))])
def test_pictures_are_turned_clockwise(rotation: int, white: tuple[int, int], canvas: Canvas, images: Images) -> None:
    picture = colored(BLUE, 400, 300)._replace(rotation=rotation)
    canvas.draw([pane("a", 0, 0, 200, 200, fit=Fit.STRETCH)], {("a", "camera"): picture}, Scene(), images, NOW)
    for corner in ((5, 5), (195, 5), (195, 195), (5, 195)):
        assert near(at(canvas, *corner), "#ffffff" if corner == white else BLUE), corner


def test_turned_picture_keeps_its_shape(canvas: Canvas, images: Images) -> None:
    picture = colored(BLUE, 400, 200)._replace(rotation=90)
    scene = Scene(background=Surface(color=GREY))
    canvas.draw([pane("a", 0, 0, 200, 200, fit=Fit.FIT)], {("a", "camera"): picture}, scene, images, NOW)
    assert near(at(canvas, 45, 100), GREY)
    assert near(at(canvas, 55, 190), BLUE)
    assert near(at(canvas, 155, 100), GREY)


@pytest.mark.parametrize(("full", "matrix"), [(False, 1), (True, 1), (False, 5), (True, 5), (False, 2)])
def test_colours_are_right_whatever_the_range_and_matrix(
    full: bool, matrix: int, canvas: Canvas, images: Images
) -> None:
    picture = colored(RED, full=full, matrix=matrix)
    if matrix == 2:  # not said: players take it for BT.709
        picture = colored(RED, matrix=1)
        picture.frame.colorspace = 2
    canvas.draw([pane("a", 0, 0, 320, 180)], {("a", "camera"): picture}, Scene(), images, NOW)
    assert near(at(canvas, 300, 170), RED)
    assert near(at(canvas, 5, 5), "#ffffff")


@pytest.mark.parametrize("codec", sorted(DECODERS))
@pytest.mark.parametrize("size", [(640, 360), (636, 358)])
def test_bar_codes_survive_decoding_and_drawing(
    codec: str, size: tuple[int, int], canvas: Canvas, images: Images
) -> None:
    clip = make_clip(2, codec=codec, size=size, participant=9, video_kbps=600)
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    decoded = [picture for frame in clip.video[:8] for picture in decoder.decode(av.Packet(frame.data))]
    places = [pane("a", 0, 0, 320, 180), pane("b", 320, 180, 320, 180)]
    pictures = {who: Picture(decoded[3 + n], NOW, 0, next(_serials)) for n, who in enumerate(whose("a", "b"))}
    canvas.draw(places, pictures, Scene(), images, NOW)
    luma = canvas.frame.to_ndarray()[:HEIGHT]
    for n, place in enumerate(places):
        code = barcode.read(luma, (place.x, place.y, place.width, place.height))
        assert code is not None
        assert (code.participant, code.frame) == (9, 3 + n)


def test_odd_sizes_are_drawn_to_the_pane_s_edges(canvas: Canvas, images: Images) -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 321, 179, "yuv420p", Fraction(1, 30)
    picture = av.VideoFrame.from_image(Image.new("RGB", (321, 179), GREEN)).reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
    )
    picture.pts = 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frame = decoder.decode(packets[0])[0]
    assert (frame.width, frame.height) == (321, 179)
    place = pane("a", 100, 100, 322, 180)
    canvas.draw([place], {("a", "camera"): Picture(frame, NOW, 0, next(_serials))}, Scene(), images, NOW)
    for x, y in ((100, 100), (421, 100), (100, 279), (421, 279)):
        assert near(at(canvas, x, y), GREEN, 12)
    for x, y in ((98, 150), (423, 150), (150, 98), (150, 281)):
        assert near(at(canvas, x, y), "#000000")


def test_later_panes_are_in_front_and_alpha_lets_through(canvas: Canvas, images: Images) -> None:
    panes = [pane("a", 0, 0, 640, 360), pane("b", 100, 100, 200, 200), pane("c", 400, 100, 200, 200, alpha=0.5)]
    pictures = dict(zip(whose("a", "b", "c"), map(colored, (RED, GREEN, BLUE)), strict=True))
    for _ in range(3):  # a new picture of the one behind must not come through, nor those seen through add up
        pictures["a", "camera"] = colored(RED)
        canvas.draw(panes, pictures, Scene(), images, NOW)
        assert near(at(canvas, 290, 290), GREEN)
        assert near(at(canvas, 590, 290), "#703070", 8)
        assert near(at(canvas, 630, 350), RED)


def test_nothing_is_drawn_while_nothing_changes(canvas: Canvas, images: Images) -> None:
    panes = [pane("a", 0, 0, 320, 360), pane("b", 320, 0, 320, 360)]
    pictures = dict(zip(whose("a", "b"), map(colored, (RED, GREEN)), strict=True))
    scene = Scene(names=Names(), watermarks=(Watermark(x=0, y=0, clock="%S"),))
    assert canvas.draw(panes, pictures, scene, images, NOW)
    canvas._planes.y[200, 100] = canvas._planes.y[300, 500] = 77  # as long as nobody draws there
    assert not canvas.draw(panes, pictures, scene, images, NOW + SECOND // 2)
    assert not canvas.draw(list(panes), dict(pictures), scene, images, NOW + SECOND // 2)
    pictures["a", "camera"] = colored(BLUE)
    assert canvas.draw(panes, pictures, scene, images, NOW + SECOND // 2)
    assert canvas._planes.y[200, 100] != 77
    assert canvas._planes.y[300, 500] == 77
    assert canvas.draw(panes, pictures, scene, images, NOW + SECOND)  # another second on the clock


def test_drawing_what_changed_is_the_same_as_drawing_everything(images: Images, tmp_path: Path) -> None:
    logo = Image.new("RGBA", (60, 40))
    ImageDraw.Draw(logo).ellipse((0, 0, 59, 39), fill="#ff8000")
    name = stored(tmp_path, logo)
    base = Scene(
        names=Names(texts={"a": "张伟"}),
        border=Border(width=3, color="#ffff00"),
        placeholder=Surface(color="", image=name, fit=Fit.FIT),
        watermarks=(
            Watermark(x=310, y=170, image=name, opacity=0.5),
            Watermark(x=33, y=77, clock="%H:%M:%S", background="#000080", opacity=0.7),
        ),
    )
    panes = [
        pane("a", 0, 0, 320, 180),
        pane("b", 320, 0, 320, 180, fit=Fit.FIT),
        pane("c", 100, 100, 300, 200, alpha=0.4),
        pane("d", 360, 120, 200, 240),
    ]
    random = np.random.default_rng(5)
    kept = Canvas(WIDTH, HEIGHT)
    pictures: dict[tuple[str, str], Picture | None] = {}
    for step in range(40):
        who = whose("a", "b", "c", "d")[random.integers(4)]
        pictures[who] = colored(f"#{random.integers(1 << 24):06x}") if random.random() < 0.7 else None
        shown = panes[: 2 + random.integers(3)] if step % 10 == 9 else panes
        now = NOW + step * SECOND // 3
        kept.draw(shown, pictures, base, images, now)
        fresh = Canvas(WIDTH, HEIGHT)
        fresh.draw(shown, pictures, base, images, now)
        assert np.array_equal(kept.frame.to_ndarray(), fresh.frame.to_ndarray()), step


def test_placeholders_by_identity_with_images_and_seen_through(canvas: Canvas, images: Images, tmp_path: Path) -> None:
    image = stored(tmp_path, Image.new("RGB", (50, 50), GREEN), "JPEG")
    scene = Scene(
        background=Surface(color=GREY),
        placeholder=Surface(color=BLUE),
        placeholders={"b": Surface(color=RED, image=image, fit=Fit.FIT), "c": Surface(color="")},
    )
    panes = [pane("", 0, 0, 200, 100), pane("b", 200, 0, 200, 100), pane("c", 400, 0, 200, 100)]
    canvas.draw(panes, {("b", "camera"): None}, scene, images, NOW)
    assert near(at(canvas, 100, 50), BLUE)
    assert near(at(canvas, 300, 50), GREEN)
    assert near(at(canvas, 210, 50), RED)
    assert near(at(canvas, 500, 50), GREY)
    canvas.draw(panes, {("c", "camera"): colored(RED)}, scene, images, NOW)
    assert near(at(canvas, 590, 90), RED)
    canvas.draw(panes, {}, scene, images, NOW)
    assert near(at(canvas, 590, 90), GREY)


def test_background_image_and_one_that_is_missing(canvas: Canvas, images: Images, tmp_path: Path) -> None:
    halves = Image.new("RGB", (100, 100), RED)
    halves.paste(GREEN, (50, 0, 100, 100))
    scene = Scene(background=Surface(color=BLUE, image=stored(tmp_path, halves, "WEBP"), fit=Fit.FIT))
    canvas.draw((), {}, scene, images, NOW)
    assert near(at(canvas, 10, 100), BLUE)
    assert near(at(canvas, 200, 100), RED)
    assert near(at(canvas, 440, 100), GREEN)
    canvas.draw((), {}, Scene(background=Surface(color=BLUE, image="0" * 64)), images, NOW)
    assert near(at(canvas, 320, 180), BLUE)
    (tmp_path / ("1" * 64)).write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    canvas.draw((), {}, Scene(background=Surface(color=GREEN, image="1" * 64)), images, NOW)
    assert near(at(canvas, 320, 180), GREEN)


def test_backdrops_lie_behind_panes_and_overlays_within_theirs(canvas: Canvas, images: Images, tmp_path: Path) -> None:
    square = stored(tmp_path, Image.new("RGB", (50, 50), GREEN))
    backdrop = Watermark(x=0.25, y=0, width=0.5, height=1, fractions=True, image=square)
    always = Overlay(mark=Watermark(x=0.5, y=0.5, width=0.25, height=0.25, fractions=True, image=square))
    vacant = Overlay(mark=Watermark(x=0, y=0, width=0.5, height=1, fractions=True, image=square), vacant=True)
    text = Overlay(mark=Watermark(x=0.8, y=0, fractions=True, text="█████", size=60, color=BLUE))
    panes = [pane("a", 0, 0, 200, 200)._replace(overlays=(vacant, always, text))]
    scene = Scene(background=Surface(color=GREY), backdrops=(backdrop,), placeholder=Surface(color=RED))
    canvas.draw(panes, {("a", "camera"): colored(BLUE)}, scene, images, NOW)
    assert near(at(canvas, 400, 300), GREEN) and near(at(canvas, 500, 300), GREY) and near(at(canvas, 300, 20), GREEN)
    assert near(at(canvas, 10, 10), "#ffffff") and near(at(canvas, 10, 190), BLUE)
    assert near(at(canvas, 125, 125), GREEN) and near(at(canvas, 155, 155), BLUE)
    assert near(at(canvas, 210, 40), GREEN)  # the text ends with its pane
    assert near(at(canvas, 190, 50), BLUE, 40)
    canvas.draw(panes, {}, scene, images, NOW)  # the picture is gone
    assert near(at(canvas, 10, 10), GREEN) and near(at(canvas, 110, 190), RED) and near(at(canvas, 125, 125), GREEN)
    canvas.draw(panes, {("a", "camera"): colored(BLUE)}, scene, images, NOW)
    assert near(at(canvas, 10, 190), BLUE) and near(at(canvas, 125, 125), GREEN)
    canvas.draw(panes, {}, Scene(background=Surface(color=GREY)), images, NOW)
    assert near(at(canvas, 400, 300), GREY)


def test_border_is_within_the_pane(canvas: Canvas, images: Images) -> None:
    scene = Scene(border=Border(width=4, color=GREEN))
    canvas.draw([pane("a", 100, 100, 200, 200)], {("a", "camera"): colored(RED)}, scene, images, NOW)
    for x, y in ((101, 200), (298, 200), (200, 101), (200, 298)):
        assert near(at(canvas, x, y), GREEN)
    assert near(at(canvas, 290, 290), RED)
    assert near(at(canvas, 98, 200), "#000000")


def test_name_is_in_the_lower_left_corner_and_nowhere_else(canvas: Canvas, images: Images) -> None:
    picture = colored(RED)
    place = pane("a", 100, 60, 320, 180)
    canvas.draw([place], {("a", "camera"): picture}, Scene(), images, NOW)
    without = canvas.frame.to_ndarray().copy()
    scene = Scene(names=Names(texts={"a": "王小明"}, size=20, background="#000000", opacity=1.0))
    canvas.draw([place], {("a", "camera"): picture}, scene, images, NOW)
    rows, columns = np.nonzero(canvas.frame.to_ndarray()[:HEIGHT] != without[:HEIGHT])
    assert (columns.min(), rows.max()) == (100, 239)
    assert 60 <= columns.max() - columns.min() <= 80  # three square letters and the margins
    assert 20 <= rows.max() - rows.min() <= 40
    assert near(at(canvas, 101, 238), "#000000")
    drawn = canvas.frame.to_ndarray()[rows.min() : 240, 100 : columns.max()]
    assert drawn.max() > 220  # white letters


def test_name_is_cut_in_a_narrow_pane_and_left_out_in_a_tiny_one(canvas: Canvas, images: Images) -> None:
    scene = Scene(names=Names(texts={"a": "somebody with a very long name"}), placeholder=Surface(color=RED))
    canvas.draw([pane("a", 100, 100, 100, 60)], {}, scene, images, NOW)
    for x in (98, 202):
        assert near(at(canvas, x, 150), "#000000")
    canvas.draw([pane("a", 100, 100, 4, 4), pane("a", 300, 100, 2, 2)], {}, scene, images, NOW)
    assert near(at(canvas, 101, 101), RED)


def test_last_picture_is_held_as_long_as_the_scene_says(canvas: Canvas, images: Images, tmp_path: Path) -> None:
    place = [pane("a", 0, 0, 320, 180)]
    scene = Scene(hold_s=3.5, placeholder=Surface(color=BLUE))
    canvas.draw(place, {}, scene, images, NOW)
    assert near(at(canvas, 300, 170), BLUE)  # they never had one
    canvas.draw(place, {("a", "camera"): colored(RED)}, scene, images, NOW)
    canvas.draw(place, {("a", "camera"): None}, scene, images, NOW + SECOND)
    canvas.draw(place, {}, scene, images, NOW + SECOND * 4)
    assert near(at(canvas, 300, 170), RED)
    canvas.draw(place, {}, scene, images, NOW + SECOND * 9 // 2)
    assert near(at(canvas, 300, 170), BLUE)
    bare = Scene(hold_s=3.5, hold_bare=True, placeholder=Surface(color=BLUE))
    canvas.draw(place, {("a", "camera"): colored(GREEN)}, bare, images, NOW + 10 * SECOND)
    canvas.draw(place, {}, bare, images, NOW + 11 * SECOND)
    canvas.draw(place, {}, bare, images, NOW + 100 * SECOND)
    assert near(at(canvas, 300, 170), GREEN)


def test_watermarks_are_over_everything(canvas: Canvas, images: Images, tmp_path: Path) -> None:
    name = stored(tmp_path, Image.new("RGB", (40, 20), "#ffffff"))
    scene = Scene(
        watermarks=(
            Watermark(x=20, y=10, image=name),
            Watermark(x=0.5, y=0.5, width=0.25, fractions=True, image=name, opacity=0.5),
        )
    )
    for _ in range(3):
        canvas.draw([pane("a", 0, 0, 640, 360)], {("a", "camera"): colored("#000000")}, scene, images, NOW)
        canvas.draw([pane("a", 0, 0, 640, 360)], {("a", "camera"): colored(BLUE)}, scene, images, NOW)
        assert near(at(canvas, 25, 15), "#ffffff")
        assert near(at(canvas, 400, 210), "#90a0e0", 8)
        assert near(at(canvas, 400, 270), BLUE)  # as high as its shape says: 80


def test_scene_may_change_at_any_tick(canvas: Canvas, images: Images) -> None:
    people = [Person(name, "camera", n, True, 640, 360) for n, name in enumerate("ab")]
    pictures = dict(zip(whose("a", "b"), map(colored, (RED, GREEN)), strict=True))
    for preset in (Preset.FLOATING, Preset.VERTICAL, Preset.BEST_FIT, Preset.PICTURE_IN_PICTURE):
        scene = Scene(layout=Layout(preset=preset), background=Surface(color=GREY))
        panes = arrange(scene.layout, WIDTH, HEIGHT, people, NOW)
        canvas.draw(panes, pictures, scene, images, NOW)
        front = {place.identity: place for place in panes}
        last = panes[-1]
        assert near(
            at(canvas, last.x + last.width - 4, last.y + last.height - 4), RED if last.identity == "a" else GREEN
        )
        assert set(front) == {"a", "b"}


def test_somebody_who_is_back_with_another_decoder_is_not_shown_their_old_picture(
    canvas: Canvas, images: Images
) -> None:
    place = [pane("a", 0, 0, 320, 180)]
    canvas.draw(place, {("a", "camera"): colored(RED)}, Scene(), images, NOW)
    canvas.draw((), {}, Scene(), images, NOW)
    assert near(at(canvas, 300, 170), "#000000")
    canvas.draw(place, {}, Scene(placeholder=Surface(color=BLUE), hold_s=60), images, NOW)
    assert near(at(canvas, 300, 170), BLUE)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize(("width", "height"), [(4096, 2), (2, 4096)])
def test_pictures_that_are_mere_lines_fill_panes_of_any_shape(
    width: int, height: int, fit: Fit, canvas: Canvas, images: Images
) -> None:
    for pane_width, pane_height in ((640, 360), (2, 360), (320, 2)):
        panes = [pane("a", 0, 0, pane_width, pane_height, fit=fit)]
        canvas.draw(panes, {("a", "camera"): colored(RED, width, height)}, Scene(), images, NOW)
    image = Surface(image=stored(images._folder, Image.new("RGB", (width, height), RED)), fit=fit)
    canvas.draw([pane("b", 0, 0, 640, 360, fit=fit)], {("b", "camera"): None}, Scene(placeholder=image), images, NOW)
    if fit in (Fit.CROP, Fit.SMART, Fit.STRETCH):
        assert near(at(canvas, 320, 180), RED)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("format", ["yuv420p", "yuv444p", "gbrp"])
@pytest.mark.parametrize("size", [(1, 1), (1280, 2), (321, 3), (4096, 16), (1, 4096), (16, 720)])
def test_no_sender_s_shape_fails_in_the_thinnest_pane(
    size: tuple[int, int], format: str, fit: Fit, canvas: Canvas, images: Images
) -> None:
    image = av.VideoFrame.from_image(Image.new("RGB", size, RED))
    frame = image.reformat(format=format, dst_colorspace=Colorspace.ITU709)
    frame.colorspace = 1
    for pane_width, pane_height in ((2, 360), (640, 2)):
        panes = [pane("a", 0, 0, pane_width, pane_height, fit=fit)]
        for rotation in (90, 0):
            picture = Picture(frame, NOW, rotation, next(_serials))
            canvas.draw(panes, {("a", "camera"): picture}, Scene(), images, NOW)
            if format == "yuv420p" and fit is Fit.STRETCH:
                assert near(at(canvas, 0, 0), RED)


def test_names_of_people_who_have_left_are_not_kept(canvas: Canvas, images: Images) -> None:
    scene = Scene(names=Names())
    for number in range(50):
        canvas.draw([pane(f"guest {number}", 0, 0, 640, 360)], {}, scene, images, NOW)
    assert {name for name, _ in canvas._labels} == {"guest 49"}
