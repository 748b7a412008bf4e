"""Soft changes from one picture to another: dissolves, fades and wipes, found in the thumbnails of all frames.

A window of frames is a dissolve when the frames at its quarters are mixtures of the first and the last in growing
shares (fades are dissolves from or to black), and a wipe when each part of them is that of the first or the last.
Pans, zooms and things that pass by are neither: their middle is a picture of its own, or both ends look alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.video.frame_features import LUMA, Features, thumbnails

LENGTHS = (4, 6, 9, 13, 19, 28, 40, 60, 90, 135)
"""Frames from a window's first to its last."""
QUARTERS = (0.25, 0.5, 0.75)
CHUNK = 20_000
"""Frames that are looked at in one go: bounds the memory."""
LEAST_DIFFERENCE = 8.0
"""Of both ends but for their brightness, in thumbnail units."""
MOST_ALIKE = 0.75
"""Correlation of the luma of both ends: changes of light keep it high."""
MOST_REST = 0.2
"""What may stay unexplained, as a share of the difference of the ends."""
LEAST_STEP, MOST_STEP = 0.08, 0.5
"""By which the share of the new picture grows from quarter to quarter."""
CHANGED, LEAST_CHANGED = 6.0, 0.75
"""A cell that differs so much has changed; the share of cells that a wipe changes."""
RETURN, SAME = 15, 0.3
"""Frames within which a picture that comes back was never left, and the share of the difference it may differ by."""
STARTED, ENDED = 0.04, 0.96
"""Shares of the new picture."""
WEIGHTS = (-4.12, -42.59, 2.64, 1.14)
"""Of 1, the rest, the logarithms of difference and stillness in the log-odds that a window is a soft change: fitted on
composed programmes (`python -m benchmarks.fits.shot_fits`)."""

Thumbnails = NDArray[np.float32]
"""float32 [N, D]: luma, then colour."""
_LUMA = LUMA[0] * LUMA[1]


@dataclass(frozen=True)
class Soft:
    """`first` is the first frame that is not the old picture alone, `end` the first that is the new one alone. `rest`
    is what stays unexplained (0..1), `difference` that of the pictures."""

    first: int
    end: int
    rest: float
    difference: float


def soft_changes(features: Features) -> list[Soft]:
    """All that may be soft changes, in order, without overlap; `certainty` tells the true ones."""
    found = [
        window
        for start in range(0, len(features), CHUNK)
        for window in _windows(thumbnails(features[start : start + CHUNK + LENGTHS[-1]]), start)
    ]
    found.sort(key=lambda window: -window.difference * (1 - 4 * window.rest))
    covered = np.zeros(len(features) + 1, np.bool_)
    refined = []
    for window in found:
        if not covered[window.first : window.end].any():
            covered[window.first : window.end] = True
            refined.append(_refined(features, window))
    refined.sort(key=lambda change: change.first)
    return [change for change in refined if not _returns(features, change)]


def certainty(features: Features, change: Soft) -> float:
    """How likely a change is true, 0..1."""
    return float(1 / (1 + np.exp(-np.dot(WEIGHTS, (1.0, *evidence(features, change))))))


def evidence(features: Features, change: Soft) -> tuple[float, float, float]:
    """What `certainty` weighs: the rest, the logarithm of the difference, and that of stillness: how much of the
    change from frame to frame is not motion."""
    unmatched = float(features["unmatched"][change.first - 1 : change.end].mean()) / 4
    step = change.difference / (change.end - change.first + 1)
    return change.rest, float(np.log(change.difference)), float(np.log((unmatched + 0.2) / (step + 0.2)))


def _windows(frames: Thumbnails, start: int) -> list[Soft]:
    """The windows of all lengths that begin in one chunk, which begins at frame `start`."""
    return [window for length in LENGTHS for window in _windows_of(frames, start, length)]


def _windows_of(frames: Thumbnails, start: int, length: int) -> list[Soft]:
    count = min(CHUNK, len(frames) - length)
    if count <= 0:
        return []
    before, after = frames[:count], frames[length : length + count]
    different = np.abs(_even_light(after - before)).mean(1) > LEAST_DIFFERENCE
    kept = np.flatnonzero(different & (_alike(before[:, :_LUMA], after[:, :_LUMA]) < MOST_ALIKE))
    before, after = before[kept], after[kept]
    difference = np.asarray(np.abs(after - before).mean(1), np.float32)
    middles = [frames[kept + round(length * quarter)] for quarter in QUARTERS]
    rest = np.minimum(_mixture(before, after, middles), _wipe(before, after, difference, middles))
    return [
        Soft(start + int(kept[n]), start + int(kept[n]) + length, float(rest[n]), float(difference[n]))
        for n in np.flatnonzero(rest < MOST_REST)
    ]


def _even_light(frames: Thumbnails) -> Thumbnails:
    """Without the mean of luma: exposure may change in a shot."""
    frames = frames.copy()
    frames[:, :_LUMA] -= frames[:, :_LUMA].mean(1, keepdims=True)
    return frames


def _alike(before: Thumbnails, after: Thumbnails) -> NDArray[np.float32]:
    """Correlation, 0 where one of both is flat."""
    before, after = before - before.mean(1, keepdims=True), after - after.mean(1, keepdims=True)
    spread = before.std(1) * after.std(1)
    return np.asarray((before * after).mean(1) / np.maximum(spread, 4), np.float32)


def _mixture(before: Thumbnails, after: Thumbnails, middles: list[Thumbnails]) -> NDArray[np.float32]:
    """What mixtures leave unexplained of the middles, whatever the light; 1 where their shares do not grow."""
    before, after = _even_light(before), _even_light(after)
    way = after - before
    squared = (way**2).sum(1)
    rest, shares = np.zeros(len(way), np.float32), [np.zeros(len(way), np.float32)]
    for middle in middles:
        moved = _even_light(middle) - before
        share = (moved * way).sum(1) / squared
        left = np.maximum((moved**2).sum(1) - share**2 * squared, 0)
        rest += np.sqrt(left / squared) / len(middles)
        shares.append(share)
    shares.append(np.ones(len(way), np.float32))
    return np.asarray(np.where(_growing(shares), rest, 1), np.float32)


def _wipe(
    before: Thumbnails, after: Thumbnails, difference: NDArray[np.float32], middles: list[Thumbnails]
) -> NDArray[np.float32]:
    """How far the middles are from both ends, cell by cell, 1 where not more and more cells are the new picture's."""
    changed = np.abs(after - before) > CHANGED
    cells = np.maximum(changed.sum(1), 1)
    rest, shares = np.zeros(len(before), np.float32), [np.zeros(len(before), np.float32)]
    for middle in middles:
        old, new = np.abs(middle - before), np.abs(middle - after)
        rest += np.minimum(old, new).mean(1) / difference / len(middles)
        shares.append(np.asarray(((new < old) & changed).sum(1) / cells, np.float32))
    shares.append(np.ones(len(before), np.float32))
    return np.asarray(np.where(_growing(shares) & (changed.mean(1) >= LEAST_CHANGED), rest, 1), np.float32)


def _growing(shares: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    steps = np.diff(np.stack(shares), axis=0)
    return np.asarray((steps.min(0) >= LEAST_STEP) & (steps.max(0) <= MOST_STEP))


def _refined(features: Features, window: Soft) -> Soft:
    """With exact bounds: from the last frame that is still the old picture to the first that is the new one."""
    frames = thumbnails(features[window.first : window.end + 1])
    way = frames[-1] - frames[0]
    shares = (frames - frames[0]) @ way / float((way**2).sum())
    middle = int(np.argmax(shares >= 0.5))
    first = window.first + int(np.flatnonzero(shares[:middle] <= STARTED)[-1]) + 1
    end = window.first + middle + int(np.flatnonzero(shares[middle:] >= ENDED)[0])
    return Soft(first, end, window.rest, window.difference)


def _returns(features: Features, change: Soft) -> bool:
    """Whether the picture shortly after is that of shortly before: something flashed or passed by."""
    before = thumbnails(features[max(0, change.first - RETURN) : change.first])
    after = thumbnails(features[change.end : change.end + RETURN])
    nearest = min(float(np.abs(after - one).mean(1).min()) for one in before)
    return nearest < SAME * change.difference
