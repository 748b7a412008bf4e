"""Areas and bounds of polygons given as ratios of a picture's width and height."""

from collections.abc import Sequence
from itertools import pairwise

from inference.types import Box, Point, Polygon


def bounds(polygon: Polygon) -> Box:
    """The axis-parallel box around a polygon."""
    xs, ys = [point.x for point in polygon], [point.y for point in polygon]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def share_inside(part: Polygon, region: Polygon) -> float:
    """How much of a convex polygon lies in another, which need not be convex: 0..1 of its area.

    Sutherland and Hodgman, "Reentrant polygon clipping" (1974): the region is cut along each side of the part.
    """
    whole = _area(part)
    inside: Sequence[Point] = region
    for begin, end in pairwise([*part, part[0]]):
        inside = _cut(inside, begin, end, 1.0 if whole > 0 else -1.0)
    return min(abs(_area(inside) / whole), 1.0) if whole else 0.0


def _cut(polygon: Sequence[Point], begin: Point, end: Point, inner: float) -> list[Point]:
    """What lies on the inner side (1 right, -1 left, as seen with y downwards) of the line from begin to end."""

    def depth(point: Point) -> float:
        return inner * ((end.x - begin.x) * (point.y - begin.y) - (end.y - begin.y) * (point.x - begin.x))

    kept: list[Point] = []
    for one, other in pairwise([*polygon, *polygon[:1]]):
        here, there = depth(one), depth(other)
        if here >= 0:
            kept.append(one)
        if (here < 0) != (there < 0):
            at = here / (here - there)
            kept.append(Point(one.x + at * (other.x - one.x), one.y + at * (other.y - one.y)))
    return kept


def _area(polygon: Sequence[Point]) -> float:
    """Positive when the points go clockwise (y downwards)."""
    return sum(one.x * other.y - other.x * one.y for one, other in pairwise([*polygon, *polygon[:1]])) / 2
