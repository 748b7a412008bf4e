"""Whether a figure that was looked at again and again grows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TENTH = 10
MOST_POINTS = 60


@dataclass(frozen=True)
class Trend:
    """`start`, `end`: medians of the first and of the last tenth. `per_hour`: the slope of Theil and Sen, the median of
    the slopes between all pairs of looks, which a few outliers do not move."""

    start: float
    end: float
    per_hour: float

    def grows(self, tolerance: float) -> bool:
        """Both by more than the tolerance from start to end, and by its slope."""
        return self.end - self.start > tolerance and self.per_hour > 0

    def share_per_hour(self, tolerance: float) -> float:
        """Of what was there at the start, or of the tolerance where that is more; 0 for what does not grow."""
        return self.per_hour / max(self.start, tolerance) if self.grows(tolerance) else 0.0


def of(hours: Sequence[float], values: Sequence[float]) -> Trend:
    """Of at least one look; `hours` rise."""
    tenth = max(1, len(values) // TENTH)
    return Trend(float(np.median(values[:tenth])), float(np.median(values[-tenth:])), slope(hours, values))


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Theil and Sen's; 0 for a single point."""
    one, other = np.triu_indices(len(x), 1)
    if not len(one):
        return 0.0
    across, up = np.asarray(x, float), np.asarray(y, float)
    return float(np.median((up[other] - up[one]) / (across[other] - across[one])))


def thinned(values: Sequence[float]) -> list[float]:
    """At most MOST_POINTS, each the median of as many neighbours."""
    blocks = np.array_split(np.asarray(values, float), min(len(values), MOST_POINTS))
    return [float(np.median(block)) for block in blocks]
