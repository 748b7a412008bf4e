"""ROC, DET and the curve of a calibration, as one picture."""

from pathlib import Path
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from inference.similarity import Curve

DET_RATES = (1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5)
Scores = tuple[np.ndarray, np.ndarray]
"""Cosines of impostors, highest first, and of genuine pairs."""


def draw(sets: dict[str, Scores], curve: Curve, path: Path) -> None:
    """The curve is dotted beyond every impostor seen."""
    figure, (roc, det, shape) = plt.subplots(1, 3, figsize=(17, 5))
    for name, scores in sets.items():
        rates, missed = _rates(*scores)
        roc.semilogx(rates, 1 - missed, label=name)
        shown = (missed > 0) & (missed < 1) & (rates < 1)
        det.plot(_deviates(rates[shown]), _deviates(missed[shown]), label=name)
        colour = det.get_lines()[-1].get_color()
        for values, style in zip(scores, ("-", "--"), strict=True):
            shape.hist(values, 40, density=True, histtype="step", linestyle=style, color=colour, alpha=0.6)
    roc.set(xlabel="false-match rate", ylabel="genuine pairs accepted", ylim=(0.5, 1.005), title="ROC")
    det.set(xlabel="false-match rate", ylabel="false non-match rate", title="DET (normal deviates)")
    for axis in (det.xaxis, det.yaxis):
        axis.set_ticks(_deviates(np.array(DET_RATES)), [f"{rate:g}" for rate in DET_RATES])
    det.set(xlim=_deviates(np.array([5e-6, 0.5])), ylim=_deviates(np.array([3e-3, 0.6])))
    _curve(shape.twinx(), curve, float(np.concatenate([impostors for impostors, _ in sets.values()]).max()))
    shape.set(xlabel="cosine", ylabel="density of impostors (lines), genuine pairs (dashes)", xlim=(-0.3, 1))
    for axes in (roc, det):
        axes.grid(alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def _curve(axes: Axes, curve: Curve, highest: float) -> None:
    raw, calibrated = np.array(curve.raw), np.array(curve.calibrated)
    seen = np.linspace(-0.3, highest, 200)
    beyond = np.linspace(highest, 1, 50)
    axes.plot(seen, np.interp(seen, raw, calibrated), color="black")
    axes.plot(beyond, np.interp(beyond, raw, calibrated), ":", color="black")
    axes.plot(raw[1:-1], calibrated[1:-1], "k.")
    axes.set(ylabel="similarity", ylim=(0, 101), title="Curve (dotted: beyond every impostor seen)")
    axes.grid(alpha=0.3)


def _rates(impostors: np.ndarray, genuine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-match and false non-match rates where 1, 2, ... impostors pass."""
    passing = np.unique(np.geomspace(1, len(impostors), 400).astype(int))
    missed = np.searchsorted(np.sort(genuine), impostors[passing - 1]) / len(genuine)
    return passing / len(impostors), missed


def _deviates(rates: np.ndarray) -> np.ndarray:
    return np.array([NormalDist().inv_cdf(float(rate)) for rate in rates])
