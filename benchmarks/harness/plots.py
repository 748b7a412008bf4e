"""The plots that a definition asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.bars import selected
from benchmarks.harness.runner import Run

MANY_POINTS = 20
"""Of a line that shows no marks."""


@dataclass(frozen=True)
class Plot:
    """`lines`: name -> its points, x and y. `log`: the axes that are logarithmic."""

    file: str
    title: str
    x: str
    y: str
    log: Sequence[str]
    lines: Mapping[str, list[tuple[float, float]]]


def of(run: Run) -> list[Plot]:
    """The plots of a run, those without a point left out."""
    plots = [_plot(run, number, asked) for number, asked in enumerate(run.definition.get("plot", ()), 1)]
    return [plot for plot in plots if plot.lines]


def draw(run: Run, folder: Path) -> list[Path]:
    """Draws them into a folder; the files."""
    return [_draw(plot, folder / plot.file) for plot in of(run)]


def _plot(run: Run, number: int, asked: Mapping[str, Any]) -> Plot:
    x, y, line = asked["x"], asked["y"], asked.get("line", ())
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in selected(run.rows, asked.get("where", {})):
        if row.get(x) is not None and row.get(y) is not None:
            name = ", ".join(str(row.get(part)) for part in ([line] if isinstance(line, str) else line))
            lines.setdefault(name, []).extend(_points(row[x], row[y]))
    title = asked.get("title", f"{y} by {x}".replace("_", " "))
    return Plot(f"{run.name}_{number}.png", title, x, y, asked.get("log", ()), lines)


def _points(x: Any, y: Any) -> list[tuple[float, float]]:
    """One, or those of two lists."""
    return list(zip(x, y, strict=True)) if isinstance(x, list) else [(x, y)]


def _draw(plot: Plot, path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for name, points in plot.lines.items():
        axes.plot(*zip(*sorted(points), strict=True), "-" if len(points) > MANY_POINTS else "o-", label=name)
    axes.set(title=plot.title, xlabel=plot.x.replace("_", " "), ylabel=plot.y.replace("_", " "))
    for axis in plot.log:
        getattr(axes, f"set_{axis}scale")("log")
    if "y" not in plot.log:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both")
    if any(plot.lines):
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return path
