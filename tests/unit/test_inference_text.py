"""Boxes, lines, reading order, polygons and filters of text; no network."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import text_boxes, text_regions
from inference.models import text_orientation, text_recognizer
from inference.models.text_recognizer import Reading
from inference.polygons import bounds, share_inside
from inference.text_boxes import TextBox
from inference.text_filters import MOST_WORDS, TextFilter, select
from inference.text_lines import certainty, lines
from inference.types import Line, Point, Polygon, TextResult, Word

SAME = np.array([[1.0, 0, 0], [0, 1, 0]])
UNIT = (Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1))


def _reading(text: str, score: float = 0.999) -> Reading:
    count = len(text)
    centres = (np.arange(count, dtype=np.float32) + 0.5) / max(count, 1)
    return Reading(text, np.full(count, score, np.float32), centres)


def _box(centre: tuple[float, float], length: float, height: float, degrees: float = 0.0) -> TextBox:
    turn = math.radians(degrees)
    along, down = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    middle = np.array(centre)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = [middle + x * along * length / 2 + y * down * height / 2 for x, y in signs]
    return TextBox(np.array(corners, np.float32), 0.0)


def _map_with_bar(degrees: float, length: int = 120, height: int = 12) -> np.ndarray:
    canvas = np.zeros((256, 256), np.uint8)
    corners = _box((128, 128), length, height, degrees).corners
    cv2.fillPoly(canvas, [corners.round().astype(np.int32)], 255)
    return canvas.astype(np.float32) / 255


@pytest.mark.parametrize("degrees", [-80, -45, -10, 0, 10, 45, 80])
def test_boxes_run_along_their_text(degrees: float) -> None:
    (box,) = text_boxes.find(_map_with_bar(degrees), SAME)
    along = box.corners[1] - box.corners[0]
    down = box.corners[3] - box.corners[0]
    assert math.degrees(math.atan2(along[1], along[0])) == pytest.approx(degrees, abs=2)
    assert along[0] * down[1] - along[1] * down[0] > 0, "clockwise"
    length, height = text_boxes.size(text_boxes.part(box, 0, 1))
    unit = 121 * 13 / (121 + 13)
    assert length == pytest.approx(121 + text_boxes.TIGHT_GROWTH * unit, abs=3)
    assert height == pytest.approx(13 + text_boxes.TIGHT_GROWTH * unit, abs=3)


def test_specks_and_faint_regions_are_no_text() -> None:
    speck = np.zeros((64, 64), np.float32)
    speck[10:12, 10:12] = 1
    assert text_boxes.find(speck, SAME) == []
    assert text_boxes.find(_map_with_bar(0) * 0.4, SAME) == []
    assert text_boxes.find(np.zeros((64, 64), np.float32), SAME) == []


def test_a_box_is_cut_out_upright() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[40:160, 90:110] = 200
    picture[40:60, 90:110] = [255, 0, 0]
    line = text_boxes.cut(picture, _box((100, 100), 120, 20, 90))
    assert line.shape == (20, 120, 3)
    assert line[10, 5].tolist() == [255, 0, 0], "text on end is read downwards"
    other = text_boxes.cut(picture, text_boxes.upside_down(_box((100, 100), 120, 20, 90)))
    assert other[10, -5].tolist() == [255, 0, 0]


def test_parts_of_a_box() -> None:
    box = TextBox(_box((50, 50), 100, 20).corners, 2.0)
    assert text_boxes.part(box, 0, 1).tolist() == pytest.approx(np.array([[2, 42], [98, 42], [98, 58], [2, 58]]))
    middle = text_boxes.part(box, 0.25, 0.5)
    assert middle[:, 0].tolist() == pytest.approx([25, 50, 50, 25])


def test_the_tilt_of_a_picture_is_that_of_its_lines() -> None:
    assert text_regions.tilt(_map_with_bar(35)) == pytest.approx(35, abs=2)
    assert text_regions.tilt(_map_with_bar(-60)) == pytest.approx(-60, abs=2)
    assert text_regions.tilt(_map_with_bar(3)) == 0
    assert text_regions.tilt(np.maximum(_map_with_bar(45), _map_with_bar(-45))) == 0, "lines that disagree"
    assert text_regions.tilt(np.zeros((64, 64), np.float32)) == 0


@pytest.mark.parametrize("size", [(80, 80), (300, 3000), (640, 480), (1280, 720), (4000, 3000)])
@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0])
def test_looks_fit_the_detector_and_lead_back_to_the_picture(size: tuple[int, int], degrees: float) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    first = text_regions.whole(picture, degrees)
    assert first.pixels.shape[0] % 32 == first.pixels.shape[1] % 32 == 0
    middle = first.to_picture @ [(first.pixels.shape[1] - 1) / 2, (first.pixels.shape[0] - 1) / 2, 1]
    assert middle.tolist() == pytest.approx([(width - 1) / 2, (height - 1) / 2])
    hints = np.zeros(first.pixels.shape[:2], np.float32)
    assert text_regions.close_looks(picture, first, hints, degrees) == []
    row, column = hints.shape[0] // 2, hints.shape[1] // 2
    hints[row, column] = 1
    looks = text_regions.close_looks(picture, first, hints, degrees)
    if text_regions.scale_of(first) < 0.9 * text_regions.close_scale(width, height):
        (look,) = looks
        assert look.pixels.shape[0] % 32 == look.pixels.shape[1] % 32 == 0
        hinted = first.to_picture @ [column, row, 1]
        begin, end = look.to_picture[:, 2], look.to_picture @ [look.pixels.shape[1] - 1, look.pixels.shape[0] - 1, 1]
        assert np.linalg.norm(hinted - (begin + end) / 2) < np.linalg.norm(end - begin) / 2
    else:
        assert looks == []


def test_rectangles_of_hints_do_not_overlap() -> None:
    hints = np.zeros((384, 640), np.float32)
    hints[50:60, 20:600] = 0.5
    hints[60:300, 560:600] = 0.5
    hints[200:210, 100:200] = 0.5
    seen = np.zeros_like(hints)
    for x, y, wide, high in text_regions._hinted(hints):
        seen[y : y + high, x : x + wide] += 1
    assert seen.max() == 1 and (seen[hints > 0] == 1).all()


def _steps(text: str, characters: list[str], repeats: int = 2) -> np.ndarray:
    """A blank, then each character for some steps and a blank after it."""
    classes = [0] + [n for letter in text for n in [characters.index(letter)] * repeats + [0]]
    steps = np.full((len(classes), len(characters)), 0.01, np.float32)
    steps[np.arange(len(classes)), classes] = 0.9
    return steps


CHARACTERS = ["", "a", "b", "é", "東", " "]


@given(st.text("abé東 ", max_size=12))
def test_decoding_undoes_repeats_and_blanks(text: str) -> None:
    steps = _steps(text, CHARACTERS)
    reading = text_recognizer.decode(steps, 8 * len(steps), CHARACTERS)
    assert reading.text == text
    assert len(reading.scores) == len(reading.centres) == len(text)
    assert (np.diff(reading.centres) > 0).all()


def test_a_shy_space_between_words_counts() -> None:
    steps = _steps("ab", CHARACTERS)
    steps[3, 5] = 0.9 / text_recognizer.SPACE_WEIGHT * 1.1
    assert text_recognizer.decode(steps, 8 * len(steps), CHARACTERS).text == "a b"


@given(st.integers(1, 300), st.integers(1, 4000))
def test_lines_of_any_size_fit_the_networks(height: int, width: int) -> None:
    line = np.zeros((height, width, 3), np.uint8)
    strip = text_recognizer.strip(line)
    assert strip.pixels.shape[0] == 48 and strip.pixels.shape[1] % 32 == 0
    assert 0 < strip.length <= strip.pixels.shape[1] - text_recognizer.LEAST_MARGIN
    assert text_orientation.glimpse(line).shape == (48, 192, 3)


def test_words_are_split_at_spaces_with_polygons_of_their_own() -> None:
    (line,) = lines([(_box((500, 100), 400, 40), _reading("no exit"))], 1000, 200)
    assert line.text == "no exit" and [word.text for word in line.words] == ["no", "exit"]
    no, exit_ = (bounds(word.polygon) for word in line.words)
    assert no.left == pytest.approx(0.3) and exit_.left + exit_.width == pytest.approx(0.7)
    assert no.left + no.width < exit_.left
    assert line.confidence == pytest.approx(sum(word.confidence for word in line.words) / 2)


def test_boxes_that_follow_each_other_are_one_line_and_far_ones_are_not() -> None:
    read = [
        (_box((620, 104), 200, 40), _reading("gate")),
        (_box((400, 100), 200, 40), _reading("north")),
        (_box((900, 100), 100, 40), _reading("far")),
        (_box((400, 160), 200, 40), _reading("below")),
        (_box((560, 160), 60, 90), _reading("tall")),
    ]
    found = lines(read, 1000, 1000)
    assert [line.text for line in found] == ["north gate", "far", "below", "tall"]


@pytest.mark.parametrize("degrees", [0, 20, -30, 90, 180])
def test_reading_order_turns_with_the_text(degrees: float) -> None:
    turn = np.radians(degrees)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    places = {"one": (300, 300), "two": (600, 306), "three": (320, 400), "four": (620, 396)}
    read = [
        (_box(tuple(turned @ np.subtract(place, 500) + 500), 120, 40, degrees), _reading(text))
        for text, place in reversed(places.items())
    ]
    assert [line.text for line in lines(read, 1000, 1000)] == list(places)


def test_unlikely_words_are_left_out() -> None:
    assert lines([(_box((500, 500), 400, 40), _reading("noise", 0.4))], 1000, 1000) == ()
    assert lines([(_box((500, 500), 400, 40), _reading("  "))], 1000, 1000) == ()
    assert lines([], 1000, 1000) == ()


@given(st.lists(st.floats(0, 1, width=32), max_size=30))
def test_certainty_is_a_probability(scores: list[float]) -> None:
    assert 0 <= certainty(np.array(scores, np.float32)) <= 1


def test_shares_of_regions() -> None:
    assert share_inside(UNIT, UNIT) == pytest.approx(1)
    assert share_inside(UNIT, tuple(reversed(UNIT))) == pytest.approx(1), "either way round"
    half = (Point(0, 0), Point(0.5, 0), Point(0.5, 2), Point(0, 2))
    assert share_inside(UNIT, half) == pytest.approx(0.5)
    assert share_inside(half, UNIT) == pytest.approx(0.5)
    hollow = (Point(0, 0), Point(1, 0), Point(1, 1), Point(0.5, 0.0), Point(0, 1))
    assert share_inside(UNIT, hollow) == pytest.approx(0.5), "a notch is outside"
    assert share_inside(UNIT, tuple(Point(point.x + 2, point.y) for point in UNIT)) == 0
    assert share_inside((Point(0, 0),) * 4, UNIT) == 0


coordinates = st.floats(-1, 2, width=32)


@given(st.lists(st.builds(Point, coordinates, coordinates), min_size=3, max_size=10))
def test_a_share_is_a_share(region: list[Point]) -> None:
    assert 0 <= share_inside(UNIT, tuple(region)) <= 1


def _word(text: str, confidence: float, left: float = 0.0, size: float = 0.1) -> Word:
    polygon: Polygon = tuple(Point(left + size * point.x, size * point.y) for point in UNIT)
    return Word(text, confidence, polygon)


def _result(*words: tuple[Word, ...]) -> TextResult:
    joined = [Line(" ".join(word.text for word in row), 50.0, UNIT, row) for row in words]
    return TextResult(100, 100, tuple(joined))


def test_lines_keep_their_text_and_go_with_their_last_word() -> None:
    result = _result((_word("sure", 90), _word("unsure", 40)), (_word("faint", 30),))
    (line,) = select(result, TextFilter(min_confidence=50)).lines
    assert line.text == "sure unsure" and [word.text for word in line.words] == ["sure"]
    assert select(result, TextFilter()) == result


def test_sizes_and_regions_are_filtered_by() -> None:
    result = _result((_word("small", 90, size=0.05), _word("large", 90, left=0.5, size=0.4)))

    def kept(wanted: TextFilter) -> list[str]:
        return [word.text for line in select(result, wanted).lines for word in line.words]

    assert kept(TextFilter(min_width=0.1)) == kept(TextFilter(min_height=0.1)) == ["large"]
    left_half = (Point(0, 0), Point(0.5, 0), Point(0.5, 1), Point(0, 1))
    assert kept(TextFilter(regions=(left_half,))) == ["small"]
    assert kept(TextFilter(regions=(left_half, UNIT))) == ["small", "large"]


def test_the_most_certain_hundred_words_remain_in_order() -> None:
    row = tuple(_word(f"{n}", 50 + n / 10) for n in range(130))
    words = select(_result(row), TextFilter()).lines[0].words
    assert len(words) == MOST_WORDS and words == row[30:]
