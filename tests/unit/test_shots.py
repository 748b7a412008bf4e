"""Shots of composed clips: cuts to the frame, soft changes in none, and no cuts where the picture only moves."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.inputs import composed, programmes
from benchmarks.inputs.programmes import Programme
from inference.video import frame_features, shots
from inference.video.container import split
from inference.video.frame_features import FEATURES, Features, measured
from inference.video.frames import decoded
from inference.video.types import Part, Shot

KEY_FRAMES = 12


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return composed.own_pictures()


@pytest.fixture(scope="module")
def programme(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Programme]:
    """Cut, dissolve of 12 frames, fade out to 25 black frames, cut; with motion in the shots."""
    random = np.random.default_rng(7)
    made = Programme()
    made.append(list(programmes.shot(pictures[0], 40, "handheld", random)))
    made.append(list(programmes.shot(pictures[1], 50, "pan", random)))
    made.append(list(programmes.shot(pictures[2], 50, "still", random)), "dissolve", 12)
    made.append(list(programmes.shot(pictures[3], 40, "zoom", random)), "fade_out", 14)
    path = tmp_path_factory.mktemp("shots") / "programme.mp4"
    programmes.write(path, made.frames, key_frames=KEY_FRAMES)
    return path, made


def found(path: Path, least_confidence: float = 50) -> list[Shot]:
    features = composed.features_of(path)
    return shots.shots(features, shots.changes(features), least_confidence)


def test_hard_cuts_are_exact_and_soft_changes_belong_to_no_shot(programme: tuple[Path, Programme]) -> None:
    first, second, third, fourth = found(programme[0])
    cut, dissolve, fade, after_black = programme[1].changes
    assert (first.start_frame, first.end_frame, second.start_frame) == (0, cut.first - 1, cut.first)
    assert second.end_frame == pytest.approx(dissolve.first - 1, abs=1)
    assert third.start_frame == pytest.approx(dissolve.end, abs=1)
    assert third.end_frame == pytest.approx(fade.first - 1, abs=1)
    assert (fourth.start_frame, fourth.end_frame) == (after_black.first, len(programme[1].frames) - 1)
    assert [shot.index for shot in (first, second, third, fourth)] == [0, 1, 2, 3]
    assert all(90 < shot.confidence <= 100 for shot in (first, second, third, fourth))


def test_times_are_those_of_the_frames(programme: tuple[Path, Programme]) -> None:
    for shot in found(programme[0]):
        assert (shot.start_ms, shot.end_ms) == (shot.start_frame * 40, shot.end_frame * 40)


@pytest.mark.parametrize("motion", programmes.MOTIONS)
def test_no_cut_within_a_shot(motion: str, pictures: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    programmes.write(path, list(programmes.shot(pictures[0], 60, motion, np.random.default_rng(3))))
    assert [(shot.start_frame, shot.end_frame) for shot in found(path)] == [(0, 59)]


def test_a_wipe_is_a_soft_change(pictures: list[np.ndarray], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    made = Programme()
    for number, join in ((1, "hard"), (2, "wipe")):
        made.append(list(programmes.shot(pictures[number], 50, "still", random)), join, 16)
    programmes.write(tmp_path / "wipe.mp4", made.frames)
    first, second = found(tmp_path / "wipe.mp4")
    assert first.end_frame == pytest.approx(made.changes[0].first - 1, abs=2)
    assert second.start_frame == pytest.approx(made.changes[0].end, abs=2)


def test_shots_that_are_not_sure_enough_are_left_out(programme: tuple[Path, Programme]) -> None:
    every = found(programme[0])
    bar = sorted(shot.confidence for shot in every)[1]
    kept = found(programme[0], bar)
    assert [shot.start_frame for shot in kept] == [shot.start_frame for shot in every if shot.confidence >= bar]
    assert [shot.index for shot in kept] == list(range(len(kept)))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parts_see_what_the_whole_does(data: st.DataObject, programme: tuple[Path, Programme]) -> None:
    """Whatever the key frames at which a video is split."""
    path = programme[0]
    with path.open("rb") as file:
        whole = _features(path, split(file, 1e6))
        keys = [part.start for part in split(file, 0) if part.start is not None]
    chosen = sorted(data.draw(st.sets(st.sampled_from(keys), max_size=6)))
    bounds = [None, *chosen, None]
    parts = [Part(n, start, end) for n, (start, end) in enumerate(pairwise(bounds))]
    assert len(keys) > 5
    assert _features(path, tuple(parts)).tobytes() == whole.tobytes()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=8), st.integers(0, 100))
def test_shots_are_in_order_and_do_not_overlap(stretches: list[tuple[int, int]], noise: int) -> None:
    features = drawn(stretches, noise)
    every = shots.shots(features, shots.changes(features), 50)
    assert all(shot.start_frame <= shot.end_frame < len(features) for shot in every)
    assert all(one.end_frame < after.start_frame for one, after in pairwise(every))
    assert all(50 <= shot.confidence <= 100 for shot in every)


def test_a_video_without_frames_has_no_shots() -> None:
    features = np.empty(0, FEATURES)
    assert shots.shots(features, shots.changes(features), 50) == []


def test_long_videos_are_looked_at_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of the chunks do not show."""
    features = drawn([(1, 30), (2, 40), (0, 12), (3, 35), (2, 30)], 5)
    whole = shots.changes(features)
    monkeypatch.setattr(shots, "CHUNK", 17)
    monkeypatch.setattr("inference.video.dissolves.CHUNK", 17)
    assert shots.changes(features) == whole
    assert len(whole) == 4


def drawn(stretches: list[tuple[int, int]], noise: int) -> Features:
    """Features of still pictures (picture 0 is black) with cuts between them."""
    random = np.random.default_rng(noise)
    looks = [np.zeros((9, 16)), *random.integers(20, 256, (3, 9, 16))]
    features = np.zeros(sum(length for _, length in stretches), FEATURES)
    at = 0
    for picture, length in stretches:
        features["luma"][at : at + length] = np.clip(looks[picture] + random.integers(0, 4), 0, 255)
        features["black"][at : at + length] = 100 if picture == 0 else 0
        if at:
            features["unmatched"][at - 1] = 120
        at += length
    features["chroma"], features["sound"] = 128, frame_features.SILENT
    features["at_ms"] = np.arange(len(features)) * 40
    return features


def _features(path: Path, parts: tuple[Part, ...]) -> Features:
    with path.open("rb") as file:
        return np.concatenate([one.features for part in parts for one in measured(decoded(file, part), 0.2)])


def test_variable_frame_rates_keep_their_times(pictures: list[np.ndarray], tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    made = Programme()
    for picture in pictures[:2]:
        made.append(list(programmes.shot(picture, 20, "still", random)))
    path = tmp_path / "variable.mp4"
    programmes.write(path, made.frames, Fraction(1000), times=[n * 20 + (n % 3) * 7 for n in range(40)])
    _, second = found(path)
    assert (second.start_frame, second.start_ms) == (20, 20 * 20 + 2 * 7)
    assert (second.end_frame, second.end_ms) == (39, 39 * 20)
