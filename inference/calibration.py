"""From a few measures to a probability."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic regression: one weight for each measure."""

    weights: tuple[float, ...]
    bias: float

    def probability(self, measures: tuple[float, ...]) -> float:
        total = sum(weight * measure for weight, measure in zip(self.weights, measures, strict=True)) + self.bias
        return 1 / (1 + math.exp(-float(np.clip(total, -30, 30))))
