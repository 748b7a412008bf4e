"""Which words of a picture a caller wants to see, and how they are listed."""

from dataclasses import dataclass, replace

from inference.polygons import bounds, share_inside
from inference.types import Polygon, TextPiece, TextResult, Word

MOST_WORDS = 100
LEAST_SHARE = 0.5
"""More than this share of a word has to lie in one region."""


@dataclass(frozen=True)
class TextFilter:
    """`min_confidence` 0..100; `min_width` and `min_height` of a word's bounds, ratios of the picture's. A word is in
    `regions` when one of them has most of it; without regions every word is."""

    min_confidence: float = 0.0
    min_width: float = 0.0
    min_height: float = 0.0
    regions: tuple[Polygon, ...] = ()


def select(result: TextResult, wanted: TextFilter) -> TextResult:
    """The wanted words, of more than MOST_WORDS the most certain ones, and the lines that they are in.

    A line keeps its text, whichever of its words remain.
    """
    passed = [word for line in result.lines for word in line.words if _passes(word, wanted)]
    kept = set(map(id, sorted(passed, key=lambda word: -word.confidence)[:MOST_WORDS]))
    lines = (replace(line, words=tuple(word for word in line.words if id(word) in kept)) for line in result.lines)
    return replace(result, lines=tuple(line for line in lines if line.words))


def listed(result: TextResult) -> list[TextPiece]:
    """All lines, then all words, numbered on from 0."""
    words = [(parent, word) for parent, line in enumerate(result.lines) for word in line.words]
    return [TextPiece(n, None, line.text, line.confidence, line.polygon) for n, line in enumerate(result.lines)] + [
        TextPiece(n, parent, word.text, word.confidence, word.polygon)
        for n, (parent, word) in enumerate(words, len(result.lines))
    ]


def _passes(word: Word, wanted: TextFilter) -> bool:
    box = bounds(word.polygon)
    return (
        word.confidence >= wanted.min_confidence
        and box.width >= wanted.min_width
        and box.height >= wanted.min_height
        and (not wanted.regions or any(share_inside(word.polygon, region) > LEAST_SHARE for region in wanted.regions))
    )
