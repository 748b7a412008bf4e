"""From what text boxes say to words and lines in reading order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from inference.models.text_recognizer import Reading
from inference.similarity import Curve
from inference.text_boxes import TextBox, part, size
from inference.types import Line, Point, Polygon, Word

CONFIDENCE = Curve(
    (0.5, 0.65, 0.75, 0.82, 0.876, 0.918, 0.942, 0.961, 0.975, 0.984, 0.988, 0.992, 0.994, 0.996, 0.999),
    (0.5, 3.0, 6.0, 9.0, 13.0, 26.0, 34.0, 44.0, 50.0, 70.0, 84.0, 91.0, 95.0, 97.0, 99.0),
)
"""From how certain a word's characters are to the share, in percent, of such words that are right and in their place;
fitted on scene text (docs/accuracy.md)."""
ONE_MORE = 0.97
"""A word is as certain as if one more character of this probability had been read: short words are easily imagined."""
LEAST_CONFIDENCE = 10.0
"""Of words that are answered."""
GAP_SHARE = 0.3
"""Of the way between the middles of two letters, to where the first ends; likewise where the second begins."""
MOST_GAP = 1.0
"""Between parts of one line, in heights of the line."""
MOST_SHIFT, MOST_GROWTH, MOST_TURN = 0.35, 1.6, 12.0
"""Between parts of one line: across, in heights; of the height, as a factor; in degrees."""
SAME_ROW = 0.5
"""Lines whose middles lie at most so many heights apart are in one row."""


@dataclass(frozen=True)
class _Part:
    """What one box says. `corners`: float [4, 2] in picture pixels, without the box's margin."""

    corners: np.ndarray
    words: tuple[Word, ...]

    @property
    def along(self) -> np.ndarray:
        side = self.corners[1] - self.corners[0]
        return np.asarray(side / max(float(np.linalg.norm(side)), 1e-6))

    @property
    def middle(self) -> np.ndarray:
        return np.asarray(self.corners.mean(axis=0))


def lines(read: Sequence[tuple[TextBox, Reading]], width: int, height: int) -> tuple[Line, ...]:
    """Lines in reading order, from boxes and what they say, for a picture of so many pixels."""
    parts = [_Part(part(box, 0, 1), words) for box, reading in read if (words := _words(box, reading, width, height))]
    return tuple(_line(row, width, height) for row in _in_reading_order(_joined(parts)))


def _words(box: TextBox, reading: Reading, width: int, height: int) -> tuple[Word, ...]:
    """The words of one box, which end at spaces."""
    spans = [found.span() for found in re.finditer(r"\S+", reading.text)]
    cuts = [0.0, 1.0]
    for (_, end), (begin, _) in pairwise(spans):
        left, right = reading.centres[end - 1], reading.centres[begin]
        cuts[-1:-1] = [left + GAP_SHARE * (right - left), right - GAP_SHARE * (right - left)]
    words = (
        Word(
            reading.text[begin:end],
            CONFIDENCE.up(certainty(reading.scores[begin:end])),
            _polygon(part(box, cuts[2 * n], cuts[2 * n + 1]), width, height),
        )
        for n, (begin, end) in enumerate(spans)
    )
    return tuple(word for word in words if word.confidence >= LEAST_CONFIDENCE)


def certainty(scores: np.ndarray) -> float:
    """The geometric mean of character probabilities (float32 [N]) and ONE_MORE; 0 for no characters."""
    return float(np.exp(np.log([*np.maximum(scores, 1e-4), ONE_MORE]).mean())) if len(scores) else 0.0


def _joined(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Parts that follow each other on one line, from its beginning to its end."""
    rows: list[list[_Part]] = []
    for one in sorted(parts, key=lambda part: float(part.middle @ part.along)):
        follows = [row for row in rows if _follows(row[-1], one)]
        if follows:
            max(follows, key=lambda row: float((row[-1].corners[1] - one.corners[0]) @ one.along)).append(one)
        else:
            rows.append([one])
    return rows


def _follows(left: _Part, right: _Part) -> bool:
    (_, high), (_, other_high) = size(left.corners), size(right.corners)
    if max(high, other_high) > MOST_GROWTH * min(high, other_high):
        return False
    if left.along @ right.along < np.cos(np.radians(MOST_TURN)):
        return False
    across = np.array([-left.along[1], left.along[0]])
    ends, begins = (left.corners[1] + left.corners[2]) / 2, (right.corners[0] + right.corners[3]) / 2
    gap, shift = float((begins - ends) @ left.along), float(abs((begins - ends) @ across))
    height = (high + other_high) / 2
    return -0.5 * height <= gap <= MOST_GAP * height and shift <= MOST_SHIFT * height


def _in_reading_order(rows: list[list[_Part]]) -> list[list[_Part]]:
    """Rows of the picture from top to bottom, in each from left to right, as seen along the direction of most text."""
    if not rows:
        return []
    towards = sum(part.corners[1] - part.corners[0] for row in rows for part in row)
    along = towards / max(float(np.linalg.norm(towards)), 1e-6)
    across = np.array([-along[1], along[0]])
    places = [
        (float(np.mean([part.middle @ across for part in row])), float(row[0].middle @ along), size(row[0].corners)[1])
        for row in rows
    ]
    ordered: list[list[int]] = []
    for n in sorted(range(len(rows)), key=lambda n: places[n][0]):
        first = places[ordered[-1][0]] if ordered else None
        if first and places[n][0] - first[0] <= SAME_ROW * min(first[2], places[n][2]):
            ordered[-1].append(n)
        else:
            ordered.append([n])
    return [rows[n] for level in ordered for n in sorted(level, key=lambda n: places[n][1])]


def _line(row: Sequence[_Part], width: int, height: int) -> Line:
    words = tuple(word for part in row for word in part.words)
    corners = row[0].corners if len(row) == 1 else _around(row)
    return Line(
        " ".join(word.text for word in words),
        sum(word.confidence for word in words) / len(words),
        _polygon(corners, width, height),
        words,
    )


def _around(row: Sequence[_Part]) -> np.ndarray:
    """The corners of the least box along a line that holds its parts."""
    towards = row[-1].corners[1:3].mean(axis=0) - row[0].corners[[0, 3]].mean(axis=0)
    along = towards / max(float(np.linalg.norm(towards)), 1e-6)
    axes = np.stack([along, [-along[1], along[0]]])
    reach = np.concatenate([part.corners for part in row]) @ axes.T
    (left, top), (right, bottom) = reach.min(axis=0), reach.max(axis=0)
    return np.asarray(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ axes)


def _polygon(corners: np.ndarray, width: int, height: int) -> Polygon:
    """As ratios; what lies beyond the frame is drawn to it."""
    return tuple(Point(float(x), float(y)) for x, y in np.clip(corners / [width, height], 0, 1))
