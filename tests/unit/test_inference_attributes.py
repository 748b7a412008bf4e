"""Crops, mesh geometry, pose and the scores of attributes, without the networks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.operations.rendering import LANDMARK_TYPES, YES_OR_NO, asked_attributes
from inference import attribute_scores as scores
from inference import attributes, face_geometry
from inference.crops import cut, onto
from inference.face_geometry import EYE_CORNERS, EYELIDS, FaceGeometry
from inference.gaze import gaze
from inference.models import emotion, face_attributes, face_mesh, iris
from inference.pipelines.request import FacesRequest
from inference.pose import _DOWNWARDS, _MIRRORED, mesh_pose
from inference.types import AgeRange, Judgement

EXPRESSION = (0.04, 0.32, 0.6)
"""Cues of a face at rest."""


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """First pitch, then yaw, then roll; x right, y down, z to the camera."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _upright_mesh() -> np.ndarray:
    """Random points, of which the mirrored pairs are mirrored and the downward pairs straight; z to the camera."""
    mesh = np.random.default_rng(3).normal(0, 40, (468, 3))
    for left, right in _MIRRORED:
        mesh[left, 0] = -abs(mesh[left, 0]) - 1
        mesh[right] = mesh[left] * [-1, 1, 1]
    singles = [pair for pair in _DOWNWARDS if not set(pair) & set(_MIRRORED.flat)]
    for above, below in singles:
        mesh[below] = mesh[above] + [0, 30, 0]
    for above, below in _DOWNWARDS:
        if not any((above, below) == tuple(pair) for pair in singles):
            # a brow keeps its place, what lies under it goes straight down from there
            mesh[below] = mesh[above] + [0, 25, 0]
    return mesh


@given(st.floats(-60, 60), st.floats(-50, 50), st.floats(-170, 170), st.floats(0.2, 10))
def test_the_pose_of_a_turned_mesh_is_read_back(yaw: float, pitch: float, roll: float, scale: float) -> None:
    turned = _upright_mesh() @ _rotation(yaw, pitch, roll).T * scale * [1, 1, -1] + [200, 100, 7]
    pose = mesh_pose(turned)
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, -90, 180])
@pytest.mark.parametrize("size", [60.0, 200.0, 900.0])
def test_a_crop_shows_what_it_says_and_leads_back(degrees: float, size: float) -> None:
    image = np.zeros((1000, 1200, 3), np.uint8)
    centre, spot = np.array([600.0, 500.0]), np.array([0.25, -0.2]) * size
    turn = math.radians(degrees)
    x = centre[0] + spot[0] * math.cos(turn) - spot[1] * math.sin(turn)
    y = centre[1] + spot[0] * math.sin(turn) + spot[1] * math.cos(turn)
    reach = size / 20
    image[round(y - reach) : round(y + reach), round(x - reach) : round(x + reach)] = 255
    crop = cut(image, centre, (size, size), degrees, (100, 100))
    rows, columns = np.nonzero(crop.pixels[..., 0] > 127)
    assert (columns.mean(), rows.mean()) == pytest.approx((74.5, 29.5), abs=1.5)
    back = onto(np.array([[columns.mean(), rows.mean()]]), crop.to_picture)[0]
    assert tuple(back) == pytest.approx((x, y), abs=max(1.0, size / 60))


def test_a_mesh_that_is_turned_in_its_crop_is_not_upright() -> None:
    mesh = np.zeros((468, 3))
    mesh[list(EYE_CORNERS[0])], mesh[list(EYE_CORNERS[1])] = [100, 100, 0], [140, 100, 0]
    image = np.zeros((300, 300, 3), np.uint8)
    straight, box = np.array([[100.0, 100.0], [140.0, 100.0]]), np.array([60, 60, 120, 140])
    assert face_geometry.tilt(straight) == 0 and face_geometry.roll(mesh) == 0
    for degrees, upright in ((0, True), (5, True), (-5, True), (7, False), (180, False), (359, True)):
        assert face_geometry.is_upright(mesh, face_geometry.mesh_crop(image, box, degrees)) is upright


def test_depth_keeps_the_scale_of_the_plane() -> None:
    crop = cut(np.zeros((300, 300, 3), np.uint8), np.array([150.0, 150.0]), (200, 200), 33.0, (100, 100))
    (one, other) = onto(np.array([[10.0, 10.0, 5.0], [20.0, 10.0, 0.0]]), crop.to_picture)
    assert np.linalg.norm((one - other)[:2]) == pytest.approx(20)
    assert one[2] - other[2] == pytest.approx(10)


def _geometry(eyes: bool = True) -> FaceGeometry:
    mesh = np.random.default_rng(1).uniform(100, 200, (468, 3))
    eye = np.random.default_rng(2).uniform(100, 200, (2, iris.POINTS, 2))
    return FaceGeometry(mesh, (eye[0], eye[1]) if eyes else (None, None), 1.0)


@pytest.mark.parametrize("eyes", [True, False])
def test_the_pupils_are_the_eyes_and_five_landmarks_are_among_the_thirty(eyes: bool) -> None:
    geometry = _geometry(eyes)
    thirty = {one.kind: one for one in face_geometry.landmarks(geometry, 400, 200, face_geometry.ALL)}
    five = face_geometry.landmarks(geometry, 400, 200, face_geometry.FIVE)
    assert len(thirty) == 30 and list(thirty) == list(LANDMARK_TYPES)[:5] + list(face_geometry.ALL[5:])
    assert all(thirty[one.kind] == one for one in five)
    for name in ("left", "right"):
        pupil, eye = thirty[f"{name}_pupil"], thirty[f"eye_{name}"]
        assert (pupil.x, pupil.y) == (eye.x, eye.y)
    nose = geometry.mesh[face_geometry.LANDMARKS["nose"]]
    assert (thirty["nose"].x, thirty["nose"].y) == pytest.approx((nose[0] / 400, nose[1] / 200))


def test_an_eye_too_small_to_be_seen_has_the_meshs_contour() -> None:
    geometry = _geometry(eyes=False)
    places = {one.kind: one for one in face_geometry.landmarks(geometry, 100, 100, face_geometry.ALL)}
    contour = geometry.mesh[[*EYE_CORNERS[1], *EYELIDS[1]], :2]
    assert (places["right_pupil"].x, places["right_pupil"].y) == pytest.approx(tuple(contour.mean(axis=0) / 100))
    assert scores.eyes_open(geometry) is None
    tiny = face_geometry.eye_crops(np.zeros((50, 50, 3), np.uint8), geometry.mesh * 1e-3)
    assert tiny == (None, None)


def test_every_landmark_has_a_name_in_answers_and_every_judgement_too() -> None:
    assert set(LANDMARK_TYPES) == set(face_geometry.ALL) and len(face_geometry.ALL) == 30
    assert set(YES_OR_NO) == set(attributes.FITS) - {"gender", "eye_direction"}


def test_default_is_always_asked_for_and_all_means_all() -> None:
    assert asked_attributes(None) == ("default",)
    assert asked_attributes(["SMILE", "GENDER"]) == ("default", "gender", "smile")
    assert attributes.wanted(asked_attributes(["DEFAULT", "ALL"])) == set(attributes.ASKABLE)
    assert attributes.wanted(asked_attributes(["SMILE", "BEARD"])) == {"smile", "beard"}
    assert attributes.wanted(("default",)) == frozenset()


@given(st.lists(st.sampled_from(attributes.ASKABLE), unique=True), st.integers(1, 100))
def test_a_request_survives_the_way(names: list[str], most: int) -> None:
    request = FacesRequest(
        embed="all", quality="auto", max_faces=most, min_side=80, face_model_version="7.1", attributes=tuple(names)
    )
    assert FacesRequest.from_query({key: str(value) for key, value in request.to_query().items()}) == request


@given(st.floats(-40, 40), st.sampled_from(sorted(attributes.FITS)), st.data())
def test_a_judgement_is_as_sure_as_its_distance_from_the_middle(odds: float, name: str, data: st.DataObject) -> None:
    fit = attributes.FITS[name]
    others = tuple(data.draw(st.floats(-1, 1)) for _ in fit.weights[1:])
    rest = fit.bias + float(np.dot(fit.weights[1:], others))

    def stated(wanted: float) -> Judgement:
        return attributes.judgement(((wanted - rest) / fit.weights[0], *others), fit)

    one = stated(odds)
    assert one.value == (attributes.log_odds(((odds - rest) / fit.weights[0], *others), fit) >= fit.threshold)
    assert 50 <= one.confidence <= 99
    further = stated(odds + (1 if one.value else -1))
    assert further.value == one.value and further.confidence >= one.confidence - 1e-6


def test_the_fits_are_those_of_the_stored_results() -> None:
    stored = json.loads((Path(__file__).parents[2] / "benchmarks/results/attribute_fits.json").read_text())["fits"]
    for name, fit in attributes.FITS.items():
        assert fit == attributes.Fit(tuple(stored[name]["fit"]["weights"]), *list(stored[name]["fit"].values())[1:]), (
            name
        )
        held_out = stored[name]["balanced_accuracy_of_yaw" if name == "eye_direction" else "balanced_accuracy_held_out"]
        assert held_out >= 0.75, f"{name} is too often wrong to be answered"
    emotions = stored["emotions"]["fit"]
    assert pytest.approx(emotions["sharpness"], abs=0.002) == attributes.EMOTION_SHARPNESS
    assert np.allclose(attributes.EMOTION_SHIFT, emotions["shift"], atol=0.05)
    assert np.allclose(attributes.EMOTION_CUES, emotions["cues"], atol=0.1)
    assert {kind for kind, right in stored["emotions"]["balanced_accuracy_held_out"].items() if right >= 0.75} == set(
        attributes.ANSWERED_EMOTIONS
    )


@given(st.floats(0, 99), st.floats(0, 99))
def test_age_ranges_rise_with_the_networks_years(one: float, other: float) -> None:
    younger, older = (attributes.age_range(years) for years in sorted((one, other)))
    assert younger.low <= older.low and younger.high <= older.high
    assert 0 <= younger.low < younger.high
    assert attributes.age_range(5.0) == AgeRange(1, 6)


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_emotions_are_ranked_and_sum_to_a_hundred_at_most(raw: list[float]) -> None:
    ranked = attributes.ranked(np.array(raw), EXPRESSION)
    assert {one.kind for one in ranked} == set(attributes.ANSWERED_EMOTIONS)
    confidences = [one.confidence for one in ranked]
    assert confidences == sorted(confidences, reverse=True) and 0 < sum(confidences) <= 100.001


def test_a_likelier_emotion_gets_more_and_one_that_is_not_answered_takes_from_all() -> None:
    raw = np.full(7, 0.1)
    before = {one.kind: one.confidence for one in attributes.ranked(raw, EXPRESSION)}
    for n, kind in enumerate(emotion.KINDS):
        more = raw.copy()
        more[n] = 0.4
        after = {one.kind: one.confidence for one in attributes.ranked(more, EXPRESSION)}
        assert all((after[name] > before[name]) == (name == kind) for name in before)


def test_the_networks_inputs_have_their_ranges() -> None:
    white = np.full((224, 224, 3), 255, np.uint8)
    assert face_mesh.preprocess([white[:192, :192]]).max() == 1.0
    assert iris.preprocess([white[:64, :64]]).shape == (1, 64, 64, 3)
    assert face_attributes.preprocess([white]).max() == 255
    grey = emotion.preprocess([white[:64, :64], white[:64, :64] * 0])
    assert grey.shape == (2, 64, 64, 1) and (grey[0] == 1).all() and (grey[1] == -1).all()


def test_age_is_the_mean_of_its_distribution() -> None:
    ages = np.zeros((2, 100), np.float32)
    ages[0, 30] = 1
    ages[1, [10, 20]] = 0.5
    found = face_attributes.postprocess({"age": ages, "gender": np.array([[0.2], [0.9]])})
    assert [one.years for one in found] == pytest.approx([30, 15])
    assert [one.male for one in found] == pytest.approx([0.2, 0.9])


def test_an_eye_is_as_open_as_its_lids_are_apart() -> None:
    geometry = _geometry()
    for opening in (0.0, 0.15, 0.4):
        eye = np.zeros((iris.POINTS, 2))
        eye[iris.RIGHT_CORNER] = [20, 0]
        for lower in (3, 4, 5):
            eye[lower], eye[lower + 8] = [lower, 10 * opening], [lower, -10 * opening]
        found = scores.eyes_open(FaceGeometry(geometry.mesh, (eye, None), 1.0))
        assert found is not None and found[0] == pytest.approx(opening)


def _painted(grey: np.ndarray, places: dict[tuple[int, ...], list[list[int]]]) -> scores.UprightFace:
    """A grey face of skin 180 whose mesh points lie at the given places, the others in a corner."""
    points = np.full((468, 2), 5.0)
    for indexes, corners in places.items():
        points[list(indexes)] = corners
    return scores.UprightFace(grey.astype(np.float32), np.zeros((*grey.shape, 2), np.float32), points, 180.0)


LIP = {(165, 391): [[80, 120], [140, 120]], (270, 269): [[140, 140]] * 2, (39, 40): [[80, 140]] * 2}
UNDER = {
    (226, 244, 121, 117): [[40, 100], [90, 100], [90, 130], [40, 130]],
    (464, 446, 346, 350): [[130, 100], [180, 100], [180, 130], [130, 130]],
}


def test_a_line_across_the_bridge_of_the_nose_speaks_for_eyeglasses() -> None:
    plain = np.full((224, 224), 180)
    framed = plain.copy()
    framed[100:104, 85:135] = 40
    place = {(55, 285, 399, 174): [[90, 80], [130, 80], [130, 130], [90, 130]]}
    bare, worn = (scores.eyeglasses(_painted(grey, place)) for grey in (plain, framed))
    fit = attributes.FITS["eyeglasses"]
    assert worn[0] > bare[0] and attributes.log_odds(worn, fit) > attributes.log_odds(bare, fit) + 3


def test_a_dark_upper_lip_of_a_man_speaks_for_hair() -> None:
    plain = np.full((224, 224), 180)
    dark = plain.copy()
    dark[115:145, 75:145] = 60
    for name, cues in (("mustache", scores.mustache), ("beard", scores.beard)):
        fit = attributes.FITS[name]
        shaved, grown = (attributes.log_odds(cues(_painted(grey, LIP), 0.99), fit) for grey in (plain, dark))
        woman = attributes.log_odds(cues(_painted(dark, LIP), 0.01), fit)
        assert grown > shaved + 3 and grown > woman + 3


def test_dark_lenses_are_sunglasses_and_clear_skin_is_not() -> None:
    plain = np.full((224, 224), 180)
    dark = plain.copy()
    dark[90:140, 30:190] = 30
    values = [
        attributes.judgement(scores.sunglasses(_painted(grey, UNDER)), attributes.FITS["sunglasses"]).value
        for grey in (plain, dark)
    ]
    assert values == [False, True]


def _looking(offset: tuple[float, float]) -> FaceGeometry:
    """A frontal head of random shape whose irises lie `offset` eye widths from where eyes look into the camera."""
    mesh = _upright_mesh()
    mesh[list(EYE_CORNERS[0])] = [[-60, -20, 0], [-30, -20, 0]]
    mesh[list(EYE_CORNERS[1])] = [[30, -20, 0], [60, -20, 0]]
    eyes = []
    for corners in EYE_CORNERS:
        eye = np.zeros((iris.POINTS, 2))
        left, right = mesh[list(corners), :2]
        eye[iris.LEFT_CORNER], eye[iris.RIGHT_CORNER] = left, right
        eye[iris.IRIS_CENTRE] = (left + right) / 2 + 30 * np.array(offset)
        eyes.append(eye)
    return FaceGeometry(mesh, (eyes[0], eyes[1]), 1.0)


@given(st.floats(0.01, 0.3))
def test_eyes_look_where_their_irises_stand(away: float) -> None:
    looks = [gaze(_looking(offset)) for offset in ((0, 0), (away, 0), (-away, 0), (0, -away), (0, away))]
    straight, right, left, up, down = (look for look in looks if look is not None)
    assert right.yaw > straight.yaw > left.yaw and up.pitch > straight.pitch > down.pitch
    # an iris moves by about 0.40 eye widths a radian, and 0.7 of that is believed
    assert right.yaw - left.yaw == pytest.approx(200 * away, rel=0.35)


@given(st.floats(-80, 80), st.floats(-170, 170))
def test_in_profile_the_eyes_look_where_the_head_does(yaw: float, roll: float) -> None:
    geometry = _looking((0.3, 0.0))
    turned = (geometry.mesh * [1, 1, -1]) @ _rotation(yaw, 0, roll).T * [1, 1, -1]
    seen = gaze(FaceGeometry(turned, geometry.eyes, 1.0))
    assert seen is not None
    if abs(yaw) >= 54:
        assert (seen.yaw, seen.pitch) == pytest.approx((yaw, 0), abs=1e-6)
    assert gaze(FaceGeometry(turned, (None, None), 1.0)) is None


def test_only_what_is_asked_for_is_told_and_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = np.random.default_rng(3).normal(0, 40, (468, 3))
    people = face_attributes.AgeAndGender(30.0, 0.9)
    seen = attributes.Observed(FaceGeometry(mesh, (None, None), 1.0), None, people, None)
    told = attributes.cues(frozenset(attributes.ASKABLE), seen)
    assert set(told) == {"mouth_open", "gender"}
    assert all(attributes.cues(frozenset({name}), seen) == {name: told[name]} for name in told)
    for name in ("mouth_open", "eyes_open", "log_odds"):
        monkeypatch.delattr(scores, name)
    assert attributes.judge(frozenset({"age_range"}), seen).age_range == attributes.age_range(30.0)
