"""Persons, parts and covers on drawn heads and hands, without the networks."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import covers, figures
from inference.calibration import Logistic
from inference.figures import Figure, Part
from inference.models import protective_equipment_detector as detector
from inference.models.body_pose import POINTS
from inference.models.image_classifier import Classes
from inference.models.object_detector import Objects
from inference.models.protective_equipment_detector import Item
from inference.pipelines.protective_equipment import covered_share, detected

SKIN, DARK_HAIR, WALL = (205, 150, 125), (40, 32, 28), (150, 152, 155)
UNIT = 60.0
HEAD = np.array([160.0, 170.0])
FIVE = np.array([[140, 160], [180, 160], [160, 180], [145, 200], [175, 200]], np.float64)
CRASH_HELMET, MASK, SCREEN = 518, 643, 782


def _classes(*named: int) -> Classes:
    """What a classifier says that is sure of some classes."""
    logits = np.zeros(1000, np.float32)
    logits[list(named)] = 9.0
    return Classes(logits, np.zeros(1280, np.float32))


def _figure() -> Figure:
    return Figure(np.array([60.0, 60, 200, 260]), 0.9, np.ones((17, 3)), HEAD, UNIT, 0)


def _head(hair: tuple[int, int, int]) -> np.ndarray:
    """A face with something on it, 320 x 320."""
    image = np.full((320, 320, 3), WALL, np.uint8)
    cv2.ellipse(image, (160, 175), (33, 45), 0, 0, 360, SKIN, -1)
    cv2.ellipse(image, (160, 155), (42, 48), 0, 180, 360, hair, -1)
    return image


def _head_cover(image: np.ndarray, *named: int) -> covers.Cover:
    return covers.head_cover(covers.head_crop(image, _figure()), _classes(*named), _figure())


def test_a_yellow_helmet_is_one_and_dark_hair_is_none() -> None:
    helmet, hair = _head_cover(_head((250, 205, 20)), CRASH_HELMET), _head_cover(_head(DARK_HAIR), SCREEN)
    assert helmet.probability > 0.9 > 0.1 > hair.probability
    left, top, width, height = helmet.box
    assert 110 < left < 125 and 90 < top < 115 and 195 < left + width < 210 and 145 < top + height < 175


def test_a_helmet_needs_both_its_colour_and_its_name() -> None:
    both = _head_cover(_head((250, 205, 20)), CRASH_HELMET).probability
    assert _head_cover(_head((250, 205, 20)), SCREEN).probability < both
    assert _head_cover(_head(DARK_HAIR), CRASH_HELMET).probability < both


def _face_cover(image: np.ndarray, *named: int) -> covers.Cover:
    crop = covers.face_crop(image, np.array([125.0, 130, 70, 90]))
    return covers.face_cover(crop, _classes(*named), FIVE)


def _masked(top: int) -> np.ndarray:
    image = _head(DARK_HAIR)
    cv2.rectangle(image, (125, top), (195, 225), (120, 175, 225), -1)
    return image


def test_a_mask_covers_the_face_or_hangs_under_the_nose() -> None:
    worn, under_the_nose, none = _face_cover(_masked(175), MASK), _face_cover(_masked(192), MASK), _head(DARK_HAIR)
    assert worn.probability > 0.9 and worn.covering > 0.9
    assert under_the_nose.probability > 0.9 and under_the_nose.covering < 0.5
    assert _face_cover(none, SCREEN).probability < 0.1


@settings(deadline=None)
@given(st.integers(-4, 4), st.integers(-4, 4))
def test_a_glove_is_no_skin_wherever_it_lies(right: int, down: int) -> None:
    middle = np.array([160.0 + 5 * right, 160 + 5 * down])
    part = Part("left_hand", 1.0, np.array([*(middle - 27), 54, 54]), middle)

    def probability(colour: tuple[int, int, int]) -> float:
        image = np.full((320, 320, 3), WALL, np.uint8)
        cv2.circle(image, (int(middle[0]), int(middle[1])), 30, colour, -1)
        return covers.hand_cover(covers.hand_crop(image, part, _figure()), part).probability

    assert probability((225, 225, 220)) > 0.5 > probability(SKIN)


def _points(**at: tuple[float, float]) -> np.ndarray:
    """A standing person of 300 pixels, facing the camera; `at` moves points."""
    standing = {
        "nose": (100, 50), "left eye": (107, 44), "right eye": (93, 44), "left ear": (115, 47), "right ear": (85, 47),
        "left shoulder": (130, 85), "right shoulder": (70, 85), "left elbow": (140, 125), "right elbow": (60, 125),
        "left wrist": (145, 165), "right wrist": (55, 165), "left hip": (118, 165), "right hip": (82, 165),
        "left knee": (116, 230), "right knee": (84, 230), "left ankle": (115, 290), "right ankle": (85, 290),
    } | {name.replace("_", " "): place for name, place in at.items()}  # fmt: skip
    return np.array([[*standing[name], 0.9] for name in POINTS])


def _found(points: np.ndarray, faces: Sequence[Sequence[float]] = ()) -> tuple[list[Figure], list[int]]:
    boxes = np.array([[40.0, 20, 120, 280]])
    return figures.figures(boxes, np.array([0.6]), [points], np.array(faces).reshape(-1, 4))


def test_left_and_right_are_the_persons_own() -> None:
    ((person,), _) = _found(_points())
    parts = {part.name: part for part in figures.parts(person, 0.0, 200, 320)}
    assert list(parts) == ["left_hand", "right_hand", "head"], "a face that is not seen is no part"
    assert parts["left_hand"].middle[0] > 140 and parts["right_hand"].middle[0] < 60
    assert all(parts[name].middle[1] > 165 for name in ("left_hand", "right_hand")), "beyond the wrists"
    left, top, width, height = parts["head"].box
    assert left < 93 and left + width > 107 and top < 30 and top + height < 50


def test_a_face_belongs_to_the_head_it_is_at_and_to_one_only() -> None:
    here, elsewhere = [86.0, 32, 28, 34], [300.0, 40, 28, 34]
    ((person,), free) = _found(_points(), [elsewhere, here])
    assert person.face == 1 and free == [0]
    assert person.unit == pytest.approx(np.sqrt(28 * 34))
    boxes = np.array([[40.0, 20, 120, 280]] * 2)
    two, _ = figures.figures(boxes, np.array([0.6, 0.6]), [_points()] * 2, np.array([here]))
    assert [one.face for one in two] == [0, None]


def test_a_face_near_a_head_is_nobody_else() -> None:
    people, _ = _found(_points())
    assert not figures.is_alone(np.array([90.0, 36, 28, 34]), people)
    assert figures.is_alone(np.array([125.0, 110, 28, 34]), people), "in the same box, but away from the head"


def test_a_dim_pose_in_a_dim_box_is_nobody() -> None:
    dim = _points() * [1, 1, 0.1]
    assert figures.figures(np.array([[40.0, 20, 120, 280]]), np.array([0.25]), [dim], np.zeros((0, 4)))[0] == []


def test_a_hand_outside_the_picture_is_not_seen() -> None:
    ((person,), _) = _found(_points())
    assert [part.name for part in figures.parts(person, 0.9, 120, 320)] == ["face", "right_hand", "head"]


def test_parts_too_small_to_judge_are_not_answered() -> None:
    small = Figure(np.array([0.0, 0, 10, 25]), 0.9, _points() * [0.1, 0.1, 1], np.array([10.0, 5]), 3.0, None)
    assert figures.parts(small, 0.9, 200, 320) == []


@given(st.tuples(st.floats(-50, 400), st.floats(-50, 300), st.floats(5, 200), st.floats(5, 200)))
def test_the_body_under_a_face_stays_in_the_picture(face: tuple[float, float, float, float]) -> None:
    left, top, width, height = figures.body_of_face(np.array(face), 350, 250)
    assert left >= 0 and top >= 0 and left + width <= 350.001 and top + height <= 250.001
    assert width > 0 and height > 0


def test_two_boxes_of_one_person_are_one_candidate() -> None:
    boxes = np.array([[0.1, 0.1, 0.3, 0.8], [0.11, 0.1, 0.3, 0.78], [0.6, 0.1, 0.2, 0.8], [0.1, 0.1, 0.2, 0.2]])
    objects = Objects(boxes, np.array([0.8, 0.7, 0.5, 0.1]), np.array([0, 0, 0, 0]))
    kept, scores = figures.candidates(objects, 1000, 500)
    assert scores.tolist() == [0.8, 0.5]
    assert kept[1].tolist() == pytest.approx([600, 50, 200, 400])


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_the_parts_of_a_large_picture_cover_it(width: int, height: int) -> None:
    parts = figures.tiles(width, height)
    assert len(parts) == (figures.MOST_TILES if max(width, height) >= figures.TILED_SIDE else 0)
    seen = np.zeros((height // 8, width // 8), bool)
    for left, top, wide, high in parts:
        assert left >= 0 and top >= 0 and left + wide <= width and top + high <= height
        seen[top // 8 : (top + high) // 8 + 1, left // 8 : (left + wide) // 8 + 1] = True
    assert seen.all() or not parts


def test_what_a_part_cuts_off_is_not_believed() -> None:
    boxes = np.array([[0.5, 0.5, 0.2, 0.2], [0.8, 0.2, 0.2, 0.3], [0.0, 0.2, 0.2, 0.3]])
    objects = Objects(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int))
    upper_left = figures.of_tile(objects, (0, 0, 600, 600), 1000, 1000)
    assert upper_left.scores.tolist() == [0.9, 0.7], "at the picture's own edge nothing is cut"
    assert upper_left.boxes[0].tolist() == pytest.approx([0.3, 0.3, 0.12, 0.12])
    assert figures.of_tile(objects, (400, 400, 600, 600), 1000, 1000).scores.tolist() == [0.9, 0.8]
    assert len(figures.joined([objects, upper_left]).scores) == 5


@settings(deadline=None)
@given(st.integers(64, 600), st.integers(64, 600))
def test_rows_of_an_owners_detector_are_read_back(width: int, height: int) -> None:
    fitted = detector.fit(np.full((height, width, 3), 200, np.uint8), 320)
    box = np.array([0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height])
    left, top, wide, high = box * fitted.scale
    row = [left, top, left + wide, top + high, 0.8, 2]
    padding, doubtful, unknown, empty = [0.0] * 6, [*row[:4], 0.4, 2], [*row[:4], 0.9, 7], [9, 9, 9, 9, 0.9, 1]
    (item,) = detector.postprocess(np.array([padding, doubtful, row, unknown, empty]), fitted.scale)
    assert item.kind == "hand_cover" and item.probability == 0.8
    assert item.box.tolist() == pytest.approx(box.tolist())


def _moved(box: np.ndarray, down: float) -> np.ndarray:
    return np.array([box[0], box[1] + down, *box[2:]])


def test_an_item_goes_to_the_nearest_part_of_its_kind() -> None:
    ((person,), _) = _found(_points())
    parts = figures.parts(person, 0.9, 200, 320)
    left_hand, head = (next(part for part in parts if part.name == name) for name in ("left_hand", "head"))
    items = [
        Item("hand_cover", left_hand.box, 0.9),
        Item("head_cover", _moved(head.box, 2), 0.8),
        Item("head_cover", _moved(head.box, 250), 0.7),
        Item("face_cover", left_hand.box, 0.6),
    ]
    (worn,) = detected([(person, parts)], items)
    on = {part.name: [cover.probability for cover in some] for part, some in zip(parts, worn, strict=True)}
    assert on == {"face": [], "left_hand": [0.9], "right_hand": [], "head": [0.8]}
    assert 0.8 < worn[-1][0].covering < 1


boxes = st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(1, 100), st.floats(1, 100)).map(np.array)


@given(boxes, boxes)
def test_a_share_is_a_share(part: np.ndarray, item: np.ndarray) -> None:
    assert 0 <= covered_share(part, item) <= 1 + 1e-9
    assert covered_share(part, part) == pytest.approx(1)
    assert covered_share(part, _moved(part, 1000)) == 0


@given(st.floats(-1e6, 1e6))
def test_a_logistic_rises_between_0_and_1(measure: float) -> None:
    curve = Logistic((2.0,), 1.0)
    assert 0 < curve.probability((measure,)) < 1 or abs(measure) > 10
    assert curve.probability((measure,)) <= curve.probability((measure + 1,))
