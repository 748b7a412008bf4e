"""Shots: the frames between two changes of the picture.

A hard cut is told from motion, flashes and noise by seven measures of the step from one frame to the next, weighed by a
logistic curve. Soft changes are found in `dissolves`. Neither they nor black frames belong to a shot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inference.video.dissolves import CHUNK, certainty, soft_changes
from inference.video.frame_features import LUMA, Features, dark, thumbnails
from inference.video.runs import runs
from inference.video.types import Shot

NEIGHBOURS = 6
"""Steps to each side with which a cut is compared: motion goes on, a cut stands alone."""
BACK, AHEAD = 4, 8
"""Frames before and after a step among which the most alike are sought: after a flash the old picture is back."""
LEAST_LASTING = 0.25
"""Share of a step that must stay after AHEAD frames."""
WEIGHTS = (-30.0, 0.8, 2.04, 6.95, 2.07, 1.79, 12.65, 2.82)
"""Of 1 and the measures of `evidence` in the log-odds of a cut: fitted on composed programmes
(`python -m benchmarks.fits.shot_fits`)."""
LIKELY = 0.5
SURE = 0.95
"""A cut as sure as this, with over half the difference of a soft change around it, is no step of that."""
LEAST_SHOT = 5
"""Frames; fewer beside a soft change or black are the rest of a fade. Between hard cuts one frame is a shot."""
LEAST_DARK = 3
"""Black frames in a row that end a shot even where no change was found."""


@dataclass(frozen=True)
class Change:
    """`first` is the first frame that is not the old shot's, `end` the first of the new one, equal at a hard cut;
    `certainty` 0..1."""

    first: int
    end: int
    certainty: float


def shots(features: Features, found: Sequence[Change], least_confidence: float) -> list[Shot]:
    """The shots of a whole video between the changes found in it, in order, whose confidence (0..100) is enough. A
    shot's confidence is that of the less sure of its ends; those of the video, and black frames, are sure."""
    hard = {0, len(features)} | {change.first for change in found if change.first == change.end}
    kept = []
    for first, end, sure in _between(found, len(features)):
        for is_black, low, high in runs(_long_dark(features[first:end])):
            is_cut_out = {first + low, first + high} <= hard
            if not is_black and 100 * sure >= least_confidence and (is_cut_out or high - low >= LEAST_SHOT):
                kept.append((first + low, first + high - 1, 100 * sure))
    return [
        Shot(index, confidence, first, last, int(features["at_ms"][first]), int(features["at_ms"][last]))
        for index, (first, last, confidence) in enumerate(kept)
    ]


def changes(features: Features) -> list[Change]:
    """Hard cuts and soft changes that are likely, in order, without overlap."""
    if len(features) < 2:
        return []
    steps = np.concatenate([evidence(chunk)[low:high] for chunk, low, high in _chunks(features)])
    likely = hard_certainty(steps)
    sizes = np.exp(steps[:, 3])
    soft = []
    for change in soft_changes(features):
        sure = certainty(features, change)
        inside = slice(change.first - 1, change.end)
        cut = (likely[inside] > SURE) & (sizes[inside] > change.difference / 2)
        if sure >= LIKELY and not cut.any():
            likely[inside] = 0
            soft.append(Change(change.first, change.end, sure))
    hard = [Change(int(n) + 1, int(n) + 1, float(likely[n])) for n in np.flatnonzero(likely >= LIKELY)]
    return sorted(hard + soft, key=lambda change: change.first)


def hard_certainty(steps: NDArray[np.float32]) -> NDArray[np.float64]:
    """How likely steps are cuts, 0..1, by their evidence."""
    odds = WEIGHTS[0] + steps @ np.array(WEIGHTS[1:])
    return np.asarray(np.where(steps[:, 5] < LEAST_LASTING, 0, 1 / (1 + np.exp(-odds))), np.float64)


def evidence(features: Features) -> NDArray[np.float32]:
    """Measures of each step from a frame to the next, float32 [N - 1, 7].

    What no motion explains, its ratio to the largest nearby; how unlike the structures of both frames are; the
    difference of the thumbnails, its ratio to the largest nearby; the share of it that lasts; and again what no motion
    explains, against the contrast of both frames. The first, second, fourth and fifth are logarithms.
    """
    frames = thumbnails(features)
    unmatched = np.asarray(features["unmatched"][:-1] / 4, np.float32)
    step = np.asarray(np.abs(np.diff(frames, axis=0)).mean(1), np.float32)
    luma = frames[:, : LUMA[0] * LUMA[1]]
    luma = luma - luma.mean(1, keepdims=True)
    spread = luma.std(1)
    alike = ((luma[1:] * luma[:-1]).mean(1) + 9) / (spread[1:] * spread[:-1] + 9)
    return np.stack(
        [
            np.log(unmatched + 0.5),
            np.log((unmatched + 0.5) / (_largest_nearby(unmatched) + 0.5)),
            1 - alike,
            np.log(step + 0.5),
            np.log((step + 0.5) / (_largest_nearby(step) + 0.5)),
            (_lasting(frames) + 0.2) / (step + 0.2),
            unmatched / (spread[1:] + spread[:-1] + 10) * 2,
        ],
        1,
    ).astype(np.float32)


def _largest_nearby(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    around = sliding_window_view(np.pad(steps, NEIGHBOURS), 2 * NEIGHBOURS + 1)
    return np.asarray(np.maximum(around[:, :NEIGHBOURS].max(1), around[:, NEIGHBOURS + 1 :].max(1)), np.float32)


def _lasting(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The least difference of a frame shortly before each step to one shortly after."""
    steps = np.arange(len(frames) - 1)
    least = np.full(len(steps), np.inf, np.float32)
    for back in range(BACK):
        for ahead in range(AHEAD):
            before, after = np.maximum(steps - back, 0), np.minimum(steps + 1 + ahead, len(frames) - 1)
            least = np.minimum(least, np.abs(frames[before] - frames[after]).mean(1))
    return least


def _chunks(features: Features) -> Iterator[tuple[Features, int, int]]:
    """Stretches of frames, with the range of their steps that see all their neighbours."""
    margin = max(NEIGHBOURS, BACK, AHEAD) + 1
    for start in range(0, len(features), CHUNK):
        low = max(0, start - margin)
        yield features[low : start + CHUNK + margin], start - low, start - low + CHUNK


def _between(found: Sequence[Change], frames: int) -> Iterator[tuple[int, int, float]]:
    """First frame, end and certainty of each stretch between changes."""
    start, sure = 0, 1.0
    for change in found:
        if change.first > start:
            yield start, change.first, min(sure, change.certainty)
        start, sure = change.end, change.certainty
    if frames > start:
        yield start, frames, sure


def _long_dark(features: Features) -> NDArray[np.bool_]:
    """Black frames that are no part of a shot: several in a row, or at an end of it."""
    black = dark(features)
    for is_black, first, end in runs(black):
        if is_black and end - first < LEAST_DARK and first > 0 and end < len(black):
            black[first:end] = False
    return black
