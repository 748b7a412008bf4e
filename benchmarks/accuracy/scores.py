"""How right yes-or-no answers and their confidences are."""

import statistics
from collections.abc import Iterable, Sequence

CONFIDENCES = ((50, 60), (60, 75), (75, 90), (90, 97), (97, 100.1))


def balanced(pairs: Iterable[tuple[bool, bool]]) -> float:
    """Balanced accuracy of pairs of truth and answer: the mean of the shares of either truth that is answered right."""
    listed = list(pairs)
    halves = [[given == truth for truth, given in listed if truth == side] for side in (True, False)]
    return round(float(statistics.mean(statistics.mean(half) for half in halves)), 4)


def reliability(
    pairs: Sequence[tuple[bool, float]], bands: Sequence[tuple[float, float]] = CONFIDENCES
) -> list[dict[str, float | int]]:
    """By band of confidence, how many of the answers are right; `pairs`: whether an answer is right, its confidence."""
    inside = [(low, high, [right for right, sure in pairs if low <= sure < high]) for low, high in bands]
    return [{"from": low, "to": min(high, 100), "all": len(got), "right": sum(got)} for low, high, got in inside]
