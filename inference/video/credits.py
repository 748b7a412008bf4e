"""Credits and slates, told by what is written on frames that show little else.

Credits roll: lines come back higher, look by look; or they stand on cards and name what people did, in one of the
languages of ROLES. Slates name a production. What is written over moving pictures (subtitles, names of speakers, signs)
is not looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference.types import Line, TextResult
from inference.video.frame_features import Features

Look = tuple[int, TextResult]
"""Milliseconds, and what was read then."""

PLAIN_ENOUGH, FEWEST_EDGES, MOST_EDGES = 65, 15, 2500
"""Percentage of flat pixels, and edge pixels of 10,000, of frames that may be mostly text."""
LEGIBLE = 70.0
GAP_MS = 3500
"""Without text, between two cards."""
SAME_COLUMN, LEAST_RISE, MOST_RISE, UNEVEN = 0.03, 0.02, 0.85, 0.03
"""Of a line that rolls from one look to the next, of the frame's width and height; lines rise alike up to UNEVEN."""
SPAN = 0.4
"""Share of the frame's height over which lines are seen that roll, not those of captions that move up by a line."""
_ROLES = """
director directed producer produced executive written writer writers screenplay story cinematography
cinematographer camera edited editor editing editors music composer composed cast starring casting costume costumes
makeup sound colour color design designer designed production animation animator effects vfx visual lighting gaffer
grip stunts assistant supervisor coordinator photography soundtrack narrator narrated script credits presents film
regie kamera musik schnitt drehbuch produktion darsteller ton redaktion kostüme ausstattung
réalisation réalisateur scénario musique montage image interprètes décors
dirección director guion guión música montaje fotografía sonido producción reparto
regia musica montaggio fotografia sceneggiatura produzione suono
"""
ROLES = frozenset(_ROLES.split())
ENDINGS = ("the end", "fin", "ende", "fine", "thank you for watching", "thanks for watching", "all rights reserved")
_SLATE_WORDS = """
scene take roll slate prod production date fps title episode duration version client agency timecode isci trt
runtime aspect ratio audio format programme program series house clock mos som reel cam camera director dop
"""
SLATE_WORDS = frozenset(_SLATE_WORDS.split())
LEAST_SLATE_WORDS = 4
LEAST_ROLES = 2
"""Different lines that name what somebody did."""
LOW = 0.7
"""Share of the frame's height below which the names of speakers and subtitles stand."""


@dataclass(frozen=True)
class Card:
    """Text that belongs together: `kind` is slate or credits, first and last look in milliseconds; 0..100."""

    kind: str
    first_ms: int
    last_ms: int
    confidence: float


def may_be_text(features: Features) -> NDArray[np.bool_]:
    """Which frames are worth reading: flat ground with some edges."""
    return np.asarray(
        (features["flat"] >= PLAIN_ENOUGH) & (features["edges"] >= FEWEST_EDGES) & (features["edges"] <= MOST_EDGES)
    )


def cards(looks: Sequence[Look]) -> list[Card]:
    """The stretches of credits and slates, in order. looks: all frames that were read, by time."""
    written = [(at_ms, lines) for at_ms, seen in looks if (lines := _legible(seen))]
    slates = [Card("slate", at, at, _slate_confidence(lines)) for at, lines in written if is_slate(lines)]
    rest = [(at, lines) for at, lines in written if not is_slate(lines)]
    return sorted(_joined(slates) + _credits(rest), key=lambda card: card.first_ms)


def is_slate(lines: Sequence[Line]) -> bool:
    """Whether text is that of a slate: several of its words, each beginning a line or before a colon."""
    return len(_slate_words(lines)) >= LEAST_SLATE_WORDS


def rise(before: Sequence[Line], after: Sequence[Line]) -> float | None:
    """How far lines have moved up from one look to the next, as a share of the height, where all that are found again
    in their column did so alike; else None."""
    rises = []
    for old in before:
        for new in after:
            (old_x, old_y), (new_x, new_y) = _center(old), _center(new)
            if _plain(old.text) == _plain(new.text) and abs(old_x - new_x) < SAME_COLUMN:
                rises.append(old_y - new_y)
    if not rises or np.ptp(rises) > UNEVEN or not LEAST_RISE < np.median(rises) < MOST_RISE:
        return None
    return float(np.median(rises))


def _credits(written: Sequence[tuple[int, list[Line]]]) -> list[Card]:
    groups: list[list[tuple[int, list[Line]]]] = []
    for at_ms, lines in written:
        if groups and at_ms - groups[-1][-1][0] <= GAP_MS:
            groups[-1].append((at_ms, lines))
        else:
            groups.append([(at_ms, lines)])
    found = [(group, _credits_confidence([lines for _, lines in group])) for group in groups]
    return [Card("credits", group[0][0], group[-1][0], sure) for group, sure in found if sure]


def _credits_confidence(looks: Sequence[list[Line]]) -> float:
    """0 for what is no credits."""
    rises = [rise(before, after) for before, after in pairwise(looks)]
    rolling = sum(one is not None for one in rises)
    heights = [_center(line)[1] for lines in looks for line in lines]
    rolls = rolling >= 2 and rolling >= 0.5 * len(rises) and np.ptp(heights) >= SPAN
    roles = len({_plain(line.text) for lines in looks for line in lines if ROLES.intersection(_words(line))})
    endings = any(_plain(line.text) == ending for lines in looks for line in lines for ending in map(_plain, ENDINGS))
    if rolls:
        return 99.0 if roles or endings else 90.0
    if roles >= LEAST_ROLES and np.median(heights) < LOW:
        return 95.0 if roles > LEAST_ROLES else 85.0
    return 0.0


def _joined(slates: Sequence[Card]) -> list[Card]:
    joined: list[Card] = []
    for card in slates:
        if joined and card.first_ms - joined[-1].last_ms <= GAP_MS:
            last = joined.pop()
            joined.append(Card("slate", last.first_ms, card.last_ms, max(last.confidence, card.confidence)))
        else:
            joined.append(card)
    return joined


def _slate_confidence(lines: Sequence[Line]) -> float:
    return min(99.0, 60.0 + 8 * len(_slate_words(lines)))


def _slate_words(lines: Sequence[Line]) -> set[str]:
    return {words[0] for line in lines if (words := _words(line)) and words[0] in SLATE_WORDS}


def _legible(seen: TextResult) -> list[Line]:
    return [line for line in seen.lines if line.confidence >= LEGIBLE and len(_plain(line.text)) >= 3]


def _words(line: Line) -> list[str]:
    return "".join(letter if letter.isalpha() else " " for letter in line.text.lower()).split()


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _center(line: Line) -> tuple[float, float]:
    return (
        sum(point.x for point in line.polygon) / len(line.polygon),
        sum(point.y for point in line.polygon) / len(line.polygon),
    )
