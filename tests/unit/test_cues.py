"""Technical cues: bars and what looks like them, black frames as asked, credits and slates by what is read."""

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inputs import composed, cue_pictures, programmes
from benchmarks.inputs.programmes import Programme
from inference.types import Line, Pixels, Point, TextResult
from inference.video import bars, credits, cues, frame_features, shots
from inference.video.container import split
from inference.video.credits import Look
from inference.video.frame_features import FEATURES, Features
from inference.video.types import Cue
from workers.analyses.segments import hear

ALL_BARS = {
    "smpte": cue_pictures.smpte(),
    "smpte_full": cue_pictures.smpte(1.0),
    "ebu": cue_pictures.ebu(),
    "ebu_full": cue_pictures.ebu(1.0),
    "wide": cue_pictures.wide(),
    "pillarboxed": cue_pictures.pillarboxed(cue_pictures.smpte()),
    "noisy": cue_pictures.noisy(cue_pictures.smpte(), 25, 1),
    "blurred": np.asarray(cv2.GaussianBlur(cue_pictures.ebu(), (0, 0), 4), np.uint8),
    "labelled": cue_pictures.card(("STUDIO ONE",), "DejaVuSans", cue_pictures.ebu()),
}


@pytest.mark.parametrize("name", ALL_BARS)
def test_colour_bars_fit(name: str) -> None:
    assert _bars_fit(ALL_BARS[name]) >= cues.BARS_FIT


@pytest.mark.parametrize("seed", range(30))
def test_striped_pictures_do_not_fit(seed: int) -> None:
    assert _bars_fit(cue_pictures.striped(seed)) < cues.BARS_FIT


def test_neither_rainbows_nor_mirrored_or_turned_bars_nor_photographs_fit() -> None:
    others = [
        cue_pictures.rainbow(),
        cue_pictures.smpte()[:, ::-1],
        cv2.resize(np.rot90(cue_pictures.ebu()), (640, 360)),
        *composed.own_pictures(),
    ]
    assert max(map(_bars_fit, others)) == 0


@given(st.floats(0, 1), st.booleans(), st.integers(0, 2**32 - 1))
def test_black_coverage_is_counted_to_the_pixel(threshold: float, full_range: bool, seed: int) -> None:
    luma = np.random.default_rng(seed).integers(0, 256, (36, 64)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.vstack([luma, np.full((18, 64), 128, np.uint8)]), format="yuv420p")
    frame.color_range = 2 if full_range else 1
    record, _ = frame_features.measure(frame, 0, threshold)
    low, high = (0, 255) if full_range else (16, 235)
    expected = sum(int(value) < low + threshold * (high - low) for value in luma.ravel()) * 100 / luma.size
    assert record["black"][0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("threshold", "full_range", "limit"), [(0.2, True, 51), (0.2, False, 59.8), (0, False, 16), (1, False, 235)]
)
def test_the_limit_of_black(threshold: float, full_range: bool, limit: float) -> None:
    assert frame_features.black_limit(threshold, full_range) == pytest.approx(limit)


@pytest.mark.parametrize("loud", [False, True])
def test_black_frames_with_sound_are_content(loud: bool, tmp_path: Path) -> None:
    picture = composed.own_pictures()[0]
    made = Programme()
    made.append(list(programmes.shot(picture, 30, "still", np.random.default_rng(0))))
    made.append([np.zeros_like(made.frames[0])] * 20)
    path = tmp_path / "clip.mp4"
    programmes.write(path, made.frames, sound=lambda at: 0.1 if loud or at < 1.1 else 0.0)
    kinds = [cue.kind for cue in _cues(_heard(path))]
    assert kinds == (["content"] if loud else ["content", "black_frames"])


def test_sound_is_heard_alike_whatever_the_part(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    black = [np.zeros((360, 640, 3), np.uint8)] * 60
    programmes.write(path, black, key_frames=10, sound=lambda at: 0.5 * at / 2.4)
    whole, parts = _heard(path), _heard(path, 0)
    assert (whole["sound"] == parts["sound"]).all()
    assert np.ptp(whole["sound"][5:].astype(int)) > 10


@pytest.mark.parametrize(("pause", "kinds"), [(8, ["content"]), (20, ["content", "black_frames", "content"])])
def test_pauses_of_speech_over_black_are_no_silence(pause: int, kinds: list[str]) -> None:
    features = _plain(60)
    features["luma"], features["black"], features["sound"] = 0, 100, -30
    features["sound"][20 : 20 + pause] = -90
    assert [cue.kind for cue in _cues(features)] == kinds


def test_neighbours_share_a_frame_and_filters_leave_cues_out() -> None:
    features = _plain(100)
    features["bars"][:30] = 80
    features["black"][30:50] = 99.5
    features["luma"][30:50] = 0
    assert [(cue.kind, cue.start_frame, cue.end_frame) for cue in _cues(features)] == [
        ("color_bars", 0, 29),
        ("black_frames", 29, 49),
        ("content", 49, 99),
    ]
    assert [cue.kind for cue in _cues(features, least=90)] == ["black_frames", "content"]
    assert [cue.kind for cue in _cues(features, coverage=99.9)] == ["color_bars", "content"]


def test_credits_that_roll_begin_and_end_with_the_picture() -> None:
    features = _plain(500)
    features["luma"][300:480] = _text_on_black()
    features["unmatched"][[299, 479]] = 120
    features["luma"][480:], features["black"][480:] = 0, 100
    looks = [
        (at, _text(*[(line, 0.5, 0.9 - (at - 12_000) / 8000 + n * 0.1) for n, line in enumerate(NAMES)]))
        for at in range(12_000, 19_001, 1000)
    ]
    found = _cues(features, looks)
    assert [(cue.kind, cue.start_frame, cue.end_frame) for cue in found] == [
        ("content", 0, 299),
        ("end_credits", 299, 479),
        ("black_frames", 479, 499),
    ]


NAMES = ("Ada Brandt", "Noor Hakimi", "Luis Ortega")


def test_cards_need_words_of_credits() -> None:
    at = [16_000, 17_000, 18_000, 19_000]
    named = [
        _text(("Directed by", 0.5, 0.4), ("Ada Brandt", 0.5, 0.5)),
        _text(("Camera", 0.5, 0.4), ("L. Ortega", 0.5, 0.5)),
    ] * 2
    slides = [_text(("Results", 0.5, 0.3), ("We grew by a tenth", 0.5, 0.5)), _text(("Thank you all", 0.5, 0.5))] * 2
    features = _plain(500)
    assert "end_credits" in [cue.kind for cue in _cues(features, list(zip(at, named, strict=True)))]
    assert [cue.kind for cue in _cues(features, list(zip(at, slides, strict=True)))] == ["content"]
    early = [(time - 16_000, text) for time, text in zip(at, named, strict=True)]
    assert [cue.kind for cue in _cues(features, early)] == ["opening_credits", "content"]
    middle = [(time - 8_000, text) for time, text in zip(at, named, strict=True)]
    assert [cue.kind for cue in _cues(features, middle)] == ["content"]


def test_names_of_speakers_are_no_credits() -> None:
    """However often they tell what somebody does."""
    looks = [(at * 1000, _text(("Ada Brandt", 0.3, 0.8), (role, 0.3, 0.87))) for at, role in enumerate(SPEAKERS)]
    assert credits.cards(looks) == []
    one_line = [(at * 1000, _text(("Director of Music", 0.5, 0.5))) for at in range(5)]
    assert credits.cards(one_line) == []


SPEAKERS = ("Director of Music", "Director of Music", "Camera", "Sound engineer")


def test_captions_that_move_up_by_a_line_do_not_roll() -> None:
    lines = [f"line {n} of what is said" for n in range(12)]
    looks = [(at * 1000, _text((lines[at], 0.5, 0.8), (lines[at + 1], 0.5, 0.87))) for at in range(10)]
    assert credits.cards(looks) == []


def test_a_slate_names_a_production() -> None:
    slate = _text(*[(line, 0.5, 0.2 + 0.1 * n) for n, line in enumerate(cue_pictures.SLATE)])
    assert [card.kind for card in credits.cards([(0, slate), (1000, slate)])] == ["slate"]
    other = _text(("A new scene opens", 0.5, 0.4), ("Take the date from the director", 0.5, 0.5))
    assert credits.cards([(0, other)]) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["plain", "bars", "black", "loud"]), st.integers(1, 30)), min_size=1, max_size=10
    )
)
def test_cues_cover_the_programme(stretches: list[tuple[str, int]]) -> None:
    features = _plain(sum(length for _, length in stretches))
    at = 0
    for kind, length in stretches:
        here = slice(at, at + length)
        features["bars"][here] = 90 if kind == "bars" else 0
        features["black"][here] = 100 if kind in ("black", "loud") else 0
        features["sound"][here] = -20 if kind == "loud" else frame_features.SILENT
        at += length
    every = _cues(features)
    assert (every[0].start_frame, every[-1].end_frame) == (0, len(features) - 1)
    assert all(one.end_frame == after.start_frame and one.kind != after.kind for one, after in pairwise(every))
    assert all(cue.start_ms == features["at_ms"][cue.start_frame] for cue in every)


def test_a_video_without_frames_has_no_cues() -> None:
    assert _cues(np.empty(0, FEATURES)) == []


def _cues(features: Features, looks: list[Look] | None = None, coverage: float = 99, least: float = 50) -> list[Cue]:
    return cues.cues(features, shots.changes(features), looks or [], coverage, least)


def _plain(frames: int) -> Features:
    """A still picture at 25 frames per second."""
    features = np.zeros(frames, FEATURES)
    features["luma"] = np.random.default_rng(0).integers(20, 256, (9, 16))
    features["chroma"], features["sound"] = 128, frame_features.SILENT
    features["at_ms"] = np.arange(frames) * 40
    return features


def _text_on_black() -> np.ndarray:
    return np.where(np.arange(16) % 15 > 4, 40, 0)[None].repeat(9, 0)


def _text(*lines: tuple[str, float, float]) -> TextResult:
    """Lines with the middle of each; those outside the frame are not seen."""
    seen = tuple(Line(text, 95.0, _polygon(x, y), ()) for text, x, y in lines if 0 < y < 1)
    return TextResult(640, 360, seen)


def _polygon(x: float, y: float) -> tuple[Point, ...]:
    return tuple(Point(x + dx, y + dy) for dx, dy in ((-0.2, -0.02), (0.2, -0.02), (0.2, 0.02), (-0.2, 0.02)))


def _bars_fit(picture: Pixels) -> float:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuv420p")
    luma, blue, red = frame_features.planes(frame)
    return bars.fit(luma, (blue, red))


def _heard(path: Path, part_seconds: float = 1e6) -> Features:
    heard = []
    with path.open("rb") as file:
        for part in split(file, part_seconds):
            features = np.concatenate(
                [one.features for one in frame_features.measured(composed.decoded(file, part), 0.2)]
            )
            hear(file, features, int(features["at_ms"][-1]) + 40, 0.0, 99)
            heard.append(features)
    return np.concatenate(heard)
