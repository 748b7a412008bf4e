"""Who belongs to whom, at the least cost in all (Jonker and Volgenant, "A shortest augmenting path algorithm for dense
and sparse linear assignment problems", 1987)."""

import lap
import numpy as np


def assigned(costs: np.ndarray, most: float) -> list[tuple[int, int]]:
    """Pairs of a row and a column of `costs`, float64 [N, M], each in one pair at most; none that costs over `most`.

    A pair that is out of the question costs infinity.
    """
    if not costs.size:
        return []
    finite = np.where(np.isfinite(costs), costs, 1e6)
    _, columns, _ = lap.lapjv(finite, extend_cost=True, cost_limit=most)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0 and finite[row, column] <= most]
