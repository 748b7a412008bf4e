"""Stretches of equal values."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def runs(values: NDArray[Any]) -> list[tuple[int, int, int]]:
    """(value, first, end) of each stretch of equal whole numbers or truth values, in order."""
    if not len(values):
        return []
    bounds = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return [(int(values[first]), first, end) for first, end in pairwise(bounds)]
