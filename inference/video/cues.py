"""Technical cues: what each stretch of a programme is, from its first frame to its last."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.video.credits import Card, Look, cards
from inference.video.frame_features import Features, dark
from inference.video.runs import runs
from inference.video.shots import Change
from inference.video.types import Cue

LEAST_BLACK, LEAST_BARS = 2, 5
"""Frames in a row."""
BARS_GAP = 3
"""Frames without bars between bars, as where tape drops out."""
BARS_FIT = 50
LOWEST_CONFIDENCE = 50.0
"""That can be asked for."""
LOUDEST_SILENCE = -60
"""dBFS, under which FFmpeg's and EBU's tests of silence take nothing to be heard."""
PAUSE_MS = 500
"""Of speech or music."""
OPENING, CLOSING = 0.34, 0.5
"""Shares of the programme: opening credits begin before the first, end credits after the second or end with it."""
AFTER_THE_END_MS = 3000
"""Of pictures that may follow the last look at end credits; any amount of black may."""
SNAP_MS = 1500
"""How far from the looks at text the picture's changes may lie at which it began and ended."""


@dataclass(frozen=True)
class _Found:
    kind: str
    first: int
    end: int
    confidence: float


def cues(
    features: Features, found: Sequence[Change], looks: Sequence[Look], black_coverage: float, least_confidence: float
) -> list[Cue]:
    """The cues of a whole video that are sure enough (0..100), in order.

    Together all of them cover the programme; neighbours share a frame, the last of the earlier one. Where kinds overlap
    bars go before slates and credits, and these before black. found: the changes of the picture; looks: what was read;
    black_coverage: percentage of pixels that are black in a black frame.
    """
    if not len(features):
        return []
    every = _black(features, found, black_coverage) + _text(features, found, cards(looks)) + _bars(features)
    kinds = np.full(len(features), -1)
    for number, one in enumerate(every):
        kinds[one.first : one.end] = number
    return [
        cue
        for number, first, end in runs(kinds)
        if (cue := _cue(features, None if number < 0 else every[number], first, end)).confidence >= least_confidence
    ]


def is_black(features: Features, black_coverage: float) -> NDArray[np.bool_]:
    return np.asarray(features["black"] >= black_coverage)


def _cue(features: Features, found: _Found | None, first: int, end: int) -> Cue:
    """Content, which is what is found to be nothing else, has full confidence."""
    start = max(0, first - 1)
    kind, confidence = ("content", 100.0) if found is None else (found.kind, found.confidence)
    times = features["at_ms"]
    return Cue(kind, confidence, start, end - 1, int(times[start]), int(times[end - 1]))


def _black(features: Features, found: Sequence[Change], coverage: float) -> list[_Found]:
    """Black and silent frames but those of a fade, which still show a picture. Their confidence is their coverage, but
    never so low that asking for little coverage would find nothing."""
    black = is_black(features, coverage)
    for change in found:
        black[change.first : change.end] = False
    return [
        _Found("black_frames", first, end, max(LOWEST_CONFIDENCE, float(features["black"][first:end].mean())))
        for is_silent, first, end in runs(black & _silent(features, black))
        if is_silent and end - first >= LEAST_BLACK
    ]


def _silent(features: Features, black: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Black frames without sound. Short pauses in what is heard count as sound."""
    silent = features["sound"] <= LOUDEST_SILENCE
    for is_black, first, end in runs(black):
        if not is_black or silent[first:end].all():
            continue
        for is_silent, low, high in runs(silent[first:end]):
            lasts_ms = int(features["at_ms"][first + high - 1]) - int(features["at_ms"][first + low])
            if is_silent and lasts_ms < PAUSE_MS:
                silent[first + low : first + high] = False
    return silent


def _bars(features: Features) -> list[_Found]:
    shown = features["bars"] >= BARS_FIT
    for bars, first, end in runs(shown):
        if not bars and first > 0 and end < len(shown) and end - first <= BARS_GAP:
            shown[first:end] = True
    return [
        _Found("color_bars", first, end, float(features["bars"][first:end].mean()))
        for bars, first, end in runs(shown)
        if bars and end - first >= LEAST_BARS
    ]


def _text(features: Features, found: Sequence[Change], written: Iterable[Card]) -> list[_Found]:
    starts, ends = _places(features, found)
    shown = np.flatnonzero(~dark(features))
    whole = int(features["at_ms"][shown[-1] if len(shown) else -1]) + 1
    placed = []
    for card in written:
        kind = _kind(card, whole)
        if kind is None:
            continue
        first = int(np.searchsorted(features["at_ms"], card.first_ms, "right")) - 1
        last = int(np.searchsorted(features["at_ms"], card.last_ms, "right")) - 1
        before = starts[bisect_right(starts, first) - 1]
        after = ends[bisect_left(ends, last + 1)]
        if card.first_ms - int(features["at_ms"][before]) > SNAP_MS:
            before = first
        if int(features["at_ms"][after - 1]) - card.last_ms > SNAP_MS:
            after = last + 1
        placed.append(_Found(kind, before, after, card.confidence))
    return placed


def _kind(card: Card, whole_ms: int) -> str | None:
    """Credits in the middle of a programme are neither opening nor end credits."""
    if card.kind == "slate":
        return "slate"
    if card.first_ms >= CLOSING * whole_ms or card.last_ms + AFTER_THE_END_MS >= whole_ms:
        return "end_credits"
    return "opening_credits" if card.first_ms <= OPENING * whole_ms else None


def _places(features: Features, found: Sequence[Change]) -> tuple[list[int], list[int]]:
    """Frames at which text may begin, and ends at which it may end: at changes of the picture and around black."""
    starts, ends = {0}, {len(features)}
    for change in found:
        starts |= {change.first, change.end}
        ends |= {change.first, change.end}
    for black, first, end in runs(dark(features)):
        if black:
            starts.add(end)
            ends.add(first)
    return sorted(starts - {len(features)}), sorted(ends - {0})
