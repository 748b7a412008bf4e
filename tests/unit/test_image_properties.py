"""Quality and dominant colours of pictures that were made to have known ones."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from inference import colors, image_properties
from inference.image_properties import view
from inference.images import decode
from inference.types import Box, Pixels

RGB = st.tuples(*[st.integers(0, 255)] * 3)
NAMED = {css: simple for simple, many in colors.SIMPLIFIED.items() for css in many.split()}
WHOLE = Box(0, 0, 1, 1)


def _plain(color: str, height: int = 120, width: int = 160) -> Pixels:
    return np.full((height, width, 3), ImageColor.getrgb(color)[:3], np.uint8)


def test_there_are_twelve_simple_names_for_all_named_colors() -> None:
    values = {ImageColor.getrgb(css)[:3] for css in NAMED}
    assert len(colors.SIMPLIFIED) == 12
    assert len(values) == len(NAMED) and values == {ImageColor.getrgb(css)[:3] for css in ImageColor.colormap}
    seen = {"darkslategrey": "grey", "dimgrey": "grey", "gray": "grey", "darkolivegreen": "green", "black": "black"}
    assert {css: NAMED[css] for css in seen} == seen
    assert not [css for css in NAMED if "gray" in css and css != "gray"]


@pytest.mark.parametrize("css", sorted(NAMED))
def test_a_plain_picture_has_its_own_color(css: str) -> None:
    (only,) = colors.dominant(colors.nearest(_plain(css)), 10)
    near = np.abs(np.subtract((only.red, only.green, only.blue), ImageColor.getrgb(css)[:3])).max()
    assert near <= 12, "of two nearly equal names either may be told"
    assert only.percent == 100 and only.simplified == NAMED[only.css]


@given(st.lists(RGB, min_size=1, max_size=40), st.integers(0, 20))
def test_shares_fall_and_small_ones_are_left_out(pixels: list[tuple[int, int, int]], most: int) -> None:
    found = colors.dominant(colors.nearest(np.array(pixels, np.uint8)[None]), most)
    shares = [one.percent for one in found]
    assert shares == sorted(shares, reverse=True) and len(found) <= most
    assert all(share >= colors.LEAST_PERCENT for share in shares) and sum(shares) <= 100.0001
    assert all(ImageColor.getrgb(one.css)[:3] == (one.red, one.green, one.blue) for one in found)


def test_shares_are_those_of_the_pixels() -> None:
    picture = _plain("navy")
    picture[:, :40] = _plain("gold")[:, :40]
    picture[:6, :40] = _plain("white")[:6, :40]
    found = [(one.css, one.simplified, round(one.percent, 2)) for one in colors.dominant(colors.nearest(picture), 10)]
    assert found == [("navy", "blue", 75.0), ("gold", "yellow", 23.75)]


def test_foreground_and_background_are_apart() -> None:
    picture = _plain("green")
    picture[30:90, 40:120] = _plain("crimson")[30:90, 40:120]
    found = image_properties.measure(view(picture), [Box(0.25, 0.25, 0.5, 0.5)], 10)
    assert found.foreground and found.background
    assert [one.css for one in found.foreground.colors] == ["crimson"]
    assert [one.css for one in found.background.colors] == ["green"]
    assert [round(one.percent) for one in found.image.colors] == [75, 25]
    assert found.image.quality.contrast is not None and found.foreground.quality.contrast is None


@pytest.mark.parametrize(
    ("boxes", "there"),
    [([], (False, False)), ([WHOLE], (True, False)), ([Box(0, 0, 0.05, 0.05)], (False, False)),
     ([Box(0.9, 0.9, 0.1, 0.4)], (False, False)), ([Box(0.6, 0.6, 0.4, 0.4)], (True, True))],
)  # fmt: skip
def test_a_part_that_is_not_there_is_none(boxes: list[Box], there: tuple[bool, bool]) -> None:
    found = image_properties.measure(view(_plain("teal")), boxes, 10)
    assert (found.foreground is not None, found.background is not None) == there


def test_quality_falls_with_what_it_measures(collins: bytes) -> None:
    picture = decode(collins)
    for name, worse in {
        "sharpness": [cv2.GaussianBlur(picture, (0, 0), sigma) for sigma in (0.7, 1.5, 3, 6)],
        "brightness": [(picture * share).astype(np.uint8) for share in (0.8, 0.5, 0.2)],
        "contrast": [(128 + (picture.astype(float) - 128) * share).astype(np.uint8) for share in (0.8, 0.5, 0.2, 0)],
    }.items():
        steps = [getattr(image_properties.measure(view(one), [], 1).image.quality, name) for one in (picture, *worse)]
        assert steps == sorted(set(steps), reverse=True), name
        assert min(steps) >= 0 and max(steps) <= 100


def test_the_same_scene_is_as_sharp_from_a_larger_camera(collins: bytes) -> None:
    picture = decode(collins)
    large = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    one, other = (image_properties.measure(view(each), [], 1).image.quality.sharpness for each in (picture, large))
    assert one == pytest.approx(other, abs=10)


@given(st.integers(1, 700), st.integers(1, 700), st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=3))
def test_any_shape_has_properties(height: int, width: int, boxes: list[tuple[float, float, float, float]]) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    seen, places = view(picture), [Box(*box) for box in boxes]
    found = image_properties.measure(seen, places, 10)
    assert found.image.colors[0].percent == 100 and found.image.quality.brightness == 0
    assert len(image_properties.box_colors(seen, places, 10)) == len(boxes)
