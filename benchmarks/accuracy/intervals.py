"""Figures of labelled sets with bootstrap intervals, alone and as paired differences.

Units (people, or pictures where nobody is named) are drawn again with replacement, which gives each a weight; a figure
is a function of the weights. The interval is that between the percentiles of its values over many draws (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993). Where something is about two units, as the likeness of two people,
its weight is the product of both (Snijders and Borgatti, 1999), which is cautious where few pairs share a unit.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Weights = np.ndarray
"""float [draws, units]: how often each unit was drawn."""
Statistic = Callable[[Weights], np.ndarray]
"""From weights to one value a draw, float [draws]; NaN where a draw has nothing to tell."""
Counts = Mapping[str, Sequence[tuple[float, float]]]
"""What one item adds to each measure: part and whole of one or more shares, whose mean the measure is."""

FEWEST_DISCORDANT = 6
"""With fewer things told apart, even if all in favour of one side, a sign test at 5 % finds no difference."""

DRAWS_AT_ONCE = 50


@dataclass(frozen=True)
class Figure:
    """A measure of one endpoint on one set.

    `n` is the number of things judged (faces, words, pairs). `seen` [things or units, ...] is what was seen of each, in
    an order that does not depend on the endpoint. `trials`: the number of units that a share rests on, None when the
    measure is no share.
    """

    measure: str
    n: int
    units: int
    seen: np.ndarray
    statistic: Statistic
    trials: int | None = None
    lower_is_better: bool = False

    @property
    def value(self) -> float:
        return float(self.statistic(np.ones((1, self.units)))[0])


@dataclass(frozen=True)
class Draws:
    """`level` is the share of draws within an interval, 0..1. The same seed draws the same units."""

    count: int
    level: float
    seed: int

    def weights(self, units: int) -> Weights:
        rng = np.random.default_rng([self.seed, units])
        return rng.multinomial(units, np.full(units, 1 / units), size=self.count).astype(float)


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float


def interval(figure: Figure, draws: Draws) -> Interval:
    """The figure with its interval.

    Where every or no unit is right all draws are alike; the other end is then that of Clopper and Pearson's interval.
    """
    value = figure.value
    low, high = _percentiles(_drawn(figure, draws), draws.level)
    if figure.trials and value in (0.0, 1.0):
        bound = ((1 - draws.level) / 2) ** (1 / figure.trials)
        low, high = (bound, 1.0) if value == 1 else (0.0, 1 - bound)
    return Interval(value, low, high)


def difference(one: Figure, other: Figure, draws: Draws) -> Interval:
    """How much higher the first is, on the same units in the same order, with both drawn alike.

    Raises ValueError when the two are not of the same things.
    """
    if one.measure != other.measure or one.units != other.units or one.seen.shape != other.seen.shape:
        raise ValueError(f"{one.measure}: not measured on the same things")
    low, high = _percentiles(_drawn(one, draws) - _drawn(other, draws), draws.level)
    return Interval(one.value - other.value, low, high)


def is_told_apart(one: Figure, other: Figure, found: Interval) -> bool:
    """Whether a difference is more than chance: its interval has no zero in it, and enough things differ."""
    different = (one.seen != other.seen).reshape(len(one.seen), -1).any(axis=1).sum()
    return bool(different >= FEWEST_DISCORDANT and not found.low <= 0 <= found.high)


def shares(
    units: Sequence[str], counts: Sequence[Counts], errors: Collection[str] = (), alarms: Collection[str] = ()
) -> list[Figure]:
    """The figures of items, of which each belongs to a unit and adds `counts`; those that not all shares have something
    of are left out. Less is better of `errors`, which are means and no shares, and of `alarms`."""
    places = {unit: n for n, unit in enumerate(dict.fromkeys(units))}
    of_item = np.array([places[unit] for unit in units], int)
    figures = []
    for measure in dict.fromkeys(name for one in counts for name in one):
        kinds = max(len(one.get(measure, ())) for one in counts)
        nothing = [(0.0, 0.0)] * kinds
        added = np.array([one.get(measure) or nothing for one in counts], float)
        sums = np.zeros((len(places), kinds, 2))
        np.add.at(sums, of_item, added)
        whole = sums[:, :, 1]
        if not whole.sum(axis=0).all():
            continue
        trials = None if measure in errors else int(whole.any(axis=1).sum())
        lower = measure in errors or measure in alarms
        figures.append(Figure(measure, round(whole.sum()), len(places), added, mean_of_shares(sums), trials, lower))
    return figures


def mean_of_shares(sums: np.ndarray) -> Statistic:
    """`sums`: float [units, shares, 2], parts and wholes."""

    def statistic(weights: Weights) -> np.ndarray:
        part, whole = weights @ sums[:, :, 0], weights @ sums[:, :, 1]
        return np.asarray(_ratio(part, whole).mean(axis=1))

    return statistic


@dataclass(frozen=True)
class Pairs:
    """Pairs with a likeness. `one`, `other`: int [pairs], the people by number; the same for pairs of one person."""

    people: int
    likeness: np.ndarray
    one: np.ndarray
    other: np.ndarray

    @property
    def same(self) -> np.ndarray:
        return np.asarray(self.one == self.other)

    def only(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(self.people, self.likeness[chosen], self.one[chosen], self.other[chosen])

    def weights(self, weights: Weights) -> np.ndarray:
        """float [draws, pairs]"""
        return np.asarray(weights[:, self.one] * np.where(self.same, 1.0, weights[:, self.other]))


def share_of_pairs(pairs: Pairs, right: np.ndarray) -> Statistic:
    """The share of pairs that are `right`, bool [pairs]."""

    def statistic(weights: Weights) -> np.ndarray:
        drawn = pairs.weights(weights)
        return _ratio(drawn @ right, drawn.sum(axis=1))

    return statistic


def roc_area(pairs: Pairs) -> Statistic:
    """The chance that a pair of one person is more alike than a pair of two; equal counts half (Mann and Whitney)."""
    genuine, impostor = pairs.only(pairs.same), pairs.only(~pairs.same)
    order = np.argsort(impostor.likeness, kind="stable")
    impostor = impostor.only(order)
    below, up_to = (np.searchsorted(impostor.likeness, genuine.likeness, side) for side in ("left", "right"))

    def statistic(weights: Weights) -> np.ndarray:
        of_genuine, of_impostor = genuine.weights(weights), impostor.weights(weights)
        risen = np.concatenate([np.zeros((len(weights), 1)), of_impostor.cumsum(axis=1)], axis=1)
        won = (of_genuine * (risen[:, below] + risen[:, up_to]) / 2).sum(axis=1)
        return _ratio(won, of_genuine.sum(axis=1) * risen[:, -1])

    return statistic


def accepted_at(genuine: Pairs, impostor: Pairs, rate: float) -> Statistic:
    """The share of pairs of one person above the threshold that the share `rate` of pairs of two reaches; the threshold
    is taken anew in each draw."""
    impostor = impostor.only(np.argsort(-impostor.likeness, kind="stable"))

    def once(weights: Weights) -> float:
        drawn = impostor.weights(weights)[0].cumsum()
        mine = genuine.weights(weights)[0]
        if not drawn.any() or not mine.any():
            return float("nan")
        # a hair less, or rounding of the product would take one pair more
        last = int(np.searchsorted(drawn, rate * drawn[-1] * (1 - 1e-9)))
        return float(mine @ (genuine.likeness > impostor.likeness[last]) / mine.sum())

    return lambda weights: np.array([once(draw[None]) for draw in weights])


@dataclass(frozen=True)
class Found:
    """One answered box: its unit and kind by number, its confidence, and whether it is right."""

    unit: int
    kind: int
    confidence: float
    right: bool


def mean_average_precision(found: Sequence[Found], labelled: np.ndarray) -> Statistic:
    """The area under precision over recall, with precision made to fall (as PASCAL VOC has it since 2010), mean of the
    kinds. `labelled`: float [units, kinds], the boxes that are there."""
    of_kind = [sorted((one for one in found if one.kind == k), key=_surest) for k in range(labelled.shape[1])]
    tables = [
        (np.array([one.unit for one in some], int), np.array([one.right for one in some], bool)) for some in of_kind
    ]

    def statistic(weights: Weights) -> np.ndarray:
        there = weights @ labelled
        areas = [_area(weights[:, units], right, there[:, k]) for k, (units, right) in enumerate(tables)]
        return np.asarray(np.nanmean(np.array(areas), axis=0))

    return statistic


def _area(drawn: np.ndarray, right: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Average precision of one kind, float [draws]; `drawn`: float [draws, boxes], surest first."""
    area = np.zeros(len(there))
    if right.any():
        answered = np.maximum(drawn.cumsum(axis=1), 1e-12)
        precision = (drawn * right).cumsum(axis=1) / answered
        falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        area = (falling * drawn * right).sum(axis=1) / np.maximum(there, 1e-12)
    return np.where(there > 0, area, np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def _surest(one: Found) -> float:
    return -one.confidence


def _drawn(figure: Figure, draws: Draws) -> np.ndarray:
    """The value of each draw; a few draws at a time, since weights of pairs take room."""
    some = np.array_split(draws.weights(figure.units), -(-draws.count // DRAWS_AT_ONCE))
    return np.concatenate([figure.statistic(weights) for weights in some])


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
