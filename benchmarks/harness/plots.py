"""The plots that a definition asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.bars import selected
from benchmarks.harness.runner import Run

MANY_POINTS = 20
"""Of a line that shows no marks."""
MARKS = "os^vDP*X"
FEW_LINES = 6
"""As many have names within the plot; more have them beside it, and colours and marks of their own."""


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
    rows = selected(run.rows, asked.get("where", {}))
    parts = _telling([line] if isinstance(line, str) else line, rows)
    for row in rows:
        if row.get(x) is not None and row.get(y) is not None:
            name = ", ".join(str(row.get(part)) for part in parts)
            lines.setdefault(name, []).extend(_points(row[x], row[y]))
    title = asked.get("title", f"{y} by {x}".replace("_", " "))
    return Plot(f"{run.name}_{number}.png", title, x, y, asked.get("log", ()), lines)


def _telling(parts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """The parts of a name that tell lines apart; all if none does."""
    return [part for part in parts if len({str(row.get(part)) for row in rows}) > 1] or parts


def _points(x: Any, y: Any) -> list[tuple[float, float]]:
    """One, or those of two lists."""
    return list(zip(x, y, strict=True)) if isinstance(x, list) else [(x, y)]


def _draw(plot: Plot, path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    has_few = len(plot.lines) <= FEW_LINES
    axes.set_prop_cycle(color=matplotlib.color_sequences["tab10" if has_few else "tab20"])
    for number, (name, points) in enumerate(plot.lines.items()):
        mark = "" if len(points) > MANY_POINTS else "o" if has_few else MARKS[number % len(MARKS)]
        axes.plot(*zip(*sorted(points), strict=True), f"{mark}-", label=name)
    axes.set(title=plot.title, xlabel=plot.x.replace("_", " "), ylabel=plot.y.replace("_", " "))
    for axis in plot.log:
        getattr(axes, f"set_{axis}scale")("log")
    if "y" not in plot.log:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, which="both")
    if any(plot.lines):
        beside: dict[str, Any] = {} if has_few else {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        axes.legend(fontsize="small", **beside)
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return path
