"""The arithmetic around the face networks, without them."""

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import quality, similarity
from inference.alignment import TEMPLATE, aligned_crop, similarity_transform
from inference.images import decode
from inference.models.face_detector import STRIDES, Detections, brightened, fit, postprocess, preprocess, turned_back
from inference.models.face_embedder import unit_length
from inference.pose import _FACE_MM, head_pose
from inference.types import Box, Face, Landmark, Pose, Quality

angles = st.floats(-50, 50)


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """First pitch, then yaw, then roll; x right, y down, z to the camera; signs as in types.Pose."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@given(angles, angles, angles, st.floats(0.1, 20))
def test_the_pose_of_a_turned_model_face_is_read_back(yaw: float, pitch: float, roll: float, scale: float) -> None:
    points = (_FACE_MM @ _rotation(yaw, pitch, roll).T)[:, :2] * scale + [300, 200]
    pose = head_pose(points)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)


def test_points_in_one_place_have_no_pose() -> None:
    assert head_pose(np.full((5, 2), 7.0)) == Pose(0.0, 0.0, 0.0)


@given(st.floats(0.05, 30), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500))
def test_the_similarity_transform_undoes_any_turn_scale_and_shift(
    scale: float, degrees: float, x: float, y: float
) -> None:
    turn = math.radians(degrees)
    matrix = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    points = TEMPLATE @ matrix.T + [x, y]
    back = similarity_transform(points)
    assert np.allclose(points @ back[:, :2].T + back[:, 2], TEMPLATE, atol=1e-5)


def test_the_transform_is_that_of_insightface() -> None:
    from insightface.utils.face_align import estimate_norm

    rng = np.random.default_rng(5)
    for _ in range(50):
        points = (TEMPLATE * rng.uniform(0.3, 9) + rng.uniform(0, 400, 2) + rng.normal(0, 6, (5, 2))).astype(np.float32)
        assert np.allclose(similarity_transform(points), estimate_norm(points), atol=1e-3)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0, 8.5])
def test_the_aligned_crop_puts_the_points_where_the_template_has_them(scale: float) -> None:
    points = TEMPLATE * scale + [40, 25]
    image = np.zeros((int(130 * scale) + 60, int(130 * scale) + 60, 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), max(2, round(3 * scale)), (255, 255, 255), -1)
    crop = aligned_crop(image, points)
    assert crop.shape == (112, 112, 3)
    assert all(crop[round(y), round(x)].min() > 200 for x, y in TEMPLATE)


def test_a_large_face_is_averaged_not_aliased() -> None:
    image = np.indices((1200, 1200)).sum(axis=0) % 2 * 255
    crop = aligned_crop(np.repeat(image[..., None], 3, axis=2).astype(np.uint8), TEMPLATE * 8 + [100, 100])
    assert crop[20:90, 20:90].std() < 5


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([320, 640]), st.booleans())
def test_a_canvas_has_the_picture_inside_and_sides_the_network_takes(
    width: int, height: int, side: int, square: bool
) -> None:
    canvas = fit(np.full((height, width, 3), 9, np.uint8), side, square)
    high, wide = canvas.pixels.shape[:2]
    assert high % 32 == 0 and wide % 32 == 0 and max(high, wide) == side
    assert not square or high == wide
    assert canvas.scale_x * width <= wide + 1e-6 and canvas.scale_y * height <= high + 1e-6
    assert canvas.pixels[0, 0].tolist() == [9, 9, 9]


def test_the_detectors_input_is_bgr_planes() -> None:
    blob = preprocess([np.full((32, 64, 3), (10, 20, 30), np.uint8)])
    assert blob.shape == (1, 3, 32, 64) and blob.dtype == np.float32
    assert blob[0, :, 5, 5].tolist() == [30, 20, 10]


def test_a_detection_is_decoded_to_picture_pixels_and_its_double_dropped() -> None:
    canvas = fit(np.zeros((320, 320, 3), np.uint8), 640)
    outputs = {}
    for stride in STRIDES:
        cells = (640 // stride) ** 2
        outputs |= {f"{name}_{stride}": np.zeros((cells, size), np.float32)
                    for name, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}  # fmt: skip
    column, row, stride = 7, 5, 16
    for cell, score in ((row * 40 + column, 0.9), (row * 40 + column + 1, 0.8)):
        outputs["cls_16"][cell] = outputs["obj_16"][cell] = score
        outputs["bbox_16"][cell] = [0.5 - (score == 0.8), 0.5, math.log(4), math.log(6)]
        outputs["kps_16"][cell] = np.arange(10)
    found = postprocess(outputs, canvas)
    assert found.scores == pytest.approx([0.9])
    centre_x, centre_y, wide, high = (column + 0.5) * stride, (row + 0.5) * stride, 4 * stride, 6 * stride
    # the canvas is twice the picture
    expected = np.array([centre_x - wide / 2, centre_y - high / 2, wide, high]) / 2
    assert np.allclose(found.boxes, [expected], atol=1e-3)
    assert np.allclose(found.points[0, 1], [(column + 2) * stride / 2, (row + 3) * stride / 2])


def test_nothing_found_is_an_empty_answer() -> None:
    outputs = {f"{name}_{stride}": np.zeros(((640 // stride) ** 2, size), np.float32)
               for stride in STRIDES for name, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}  # fmt: skip
    found = postprocess(outputs, fit(np.zeros((640, 640, 3), np.uint8), 640))
    assert found.boxes.shape == (0, 4) and found.points.shape == (0, 5, 2) and found.scores.shape == (0,)


def test_embeddings_have_unit_length_even_when_the_network_gives_zeros() -> None:
    vectors = unit_length(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [[0.6, 0.8], [0, 0]])


def test_sharpness_falls_with_blur_and_hardly_with_darkness(collins: bytes) -> None:
    sharp = decode(collins)[60:172, 170:282]
    blurred = [np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8) for sigma in (1, 2, 4)]
    scores = [quality.measure(crop).sharpness for crop in (sharp, *blurred)]
    assert scores == sorted(scores, reverse=True) and scores[0] > 80 and scores[-1] < 20
    assert quality.measure((sharp * 0.4).astype(np.uint8)).sharpness == pytest.approx(scores[0], abs=8)


def test_brightness_is_the_mean_luma() -> None:
    assert quality.measure(np.full((112, 112, 3), 51, np.uint8)).brightness == pytest.approx(20, abs=0.5)


def _face(**changes: object) -> Face:
    values: dict[str, object] = {
        "box": Box(0.1, 0.1, 0.3, 0.4), "confidence": 99.9, "landmarks": (Landmark("nose", 0.2, 0.3),),
        "pose": Pose(0, 0, 0), "quality": Quality(60, 90),
    }  # fmt: skip
    return Face(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "flaw"),
    [
        ("low_confidence", {"confidence": 55.0}),
        ("small_bounding_box", {"box": Box(0, 0, 0.03, 0.04)}),
        ("extreme_pose", {"pose": Pose(0, 80, 0)}),
        ("low_brightness", {"quality": Quality(3, 90)}),
        ("low_sharpness", {"quality": Quality(60, 1)}),
        ("low_face_quality", {"quality": Quality(99, 90)}),
    ],
)
def test_each_flaw_has_its_reason_and_no_filter_minds_none(reason: str, flaw: dict[str, object]) -> None:
    for level in ("low", "auto", "medium", "high"):
        (face,) = quality.select([_face(**flaw)], 500, 500, level, None)
        assert face.rejected == (reason,)
    assert quality.select([_face(**flaw)], 500, 500, "none", None)[0].rejected == ()


def test_the_bars_rise_from_low_to_high() -> None:
    levels = [quality.BARS[name] for name in ("low", "auto", "medium", "high")]
    for lower, higher in itertools.pairwise(levels):
        assert lower is not None and higher is not None
        for name in ("confidence", "side_pixels", "brightness", "sharpness"):
            assert getattr(lower, name) < getattr(higher, name)
        for name in ("yaw", "pitch", "roll", "glare"):
            assert getattr(lower, name) > getattr(higher, name)


def test_the_limit_counts_only_faces_that_pass_the_filter_and_keeps_the_largest() -> None:
    faces = [_face(box=Box(0, 0, side, side)) for side in (0.5, 0.4, 0.3, 0.2)]
    faces[0] = _face(box=faces[0].box, confidence=10.0)
    rejected = [face.rejected for face in quality.select(faces, 1000, 1000, "auto", 2)]
    assert rejected == [("low_confidence",), (), (), ("exceeds_max_faces",)]


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_rises_with_the_cosine(one: float, other: float) -> None:
    calibration = similarity.of_pack("base")
    low, high = sorted((one, other))
    assert 0 <= calibration.similarity(low) <= calibration.similarity(high) <= 100


@given(st.floats(0, 100))
def test_a_threshold_and_its_cosine_say_the_same(threshold: float) -> None:
    calibration = similarity.of_pack("base")
    assert calibration.similarity(calibration.cosine_at(threshold)) == pytest.approx(threshold, abs=1e-6)


def test_the_ends_of_the_scale() -> None:
    calibration = similarity.of_version(similarity.of_pack("base").face_model_version)
    assert calibration.similarity(1.0) == 100 and calibration.cosine_at(0) == -1
    with pytest.raises(KeyError):
        similarity.of_version("0.0")


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_what_was_found_in_a_turned_picture_lies_right_in_the_picture(quarter_turns: int) -> None:
    image = np.zeros((60, 100), np.uint8)
    image[10:22, 30:48] = 1
    image[12, 33] = 2
    turned = np.rot90(image, quarter_turns)
    (top, bottom), (left, right) = ((int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(turned))
    ((row, column),) = np.argwhere(turned == 2)
    points = np.full((1, 5, 2), [column + 0.5, row + 0.5], np.float32)
    box = np.array([[left, top, right - left, bottom - top]], np.float32)
    found = turned_back(Detections(box, points, np.ones(1, np.float32)), quarter_turns, 100, 60)
    assert found.boxes.tolist() == [[30, 10, 18, 12]] and found.points[0, 0].tolist() == [33.5, 12.5]


def test_only_dark_pictures_are_brightened(collins: bytes) -> None:
    bright = fit(decode(collins), 320)
    assert brightened(bright) is bright
    dark = fit((decode(collins) * 0.1).astype(np.uint8), 320)
    raised = np.percentile(brightened(dark).pixels[..., 1], 98)
    assert raised == pytest.approx(220, abs=8)
    black = fit(np.zeros((50, 50, 3), np.uint8), 320)
    assert brightened(black) is black
