"""The report: Markdown with a table, plots and bars for each stored run, and nothing that the runs do not hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import plots, runner
from benchmarks.harness.bars import selected
from benchmarks.harness.runner import Run

HEADINGS = {
    "per_second": "a second",
    "p50_ms": "median, ms",
    "p95_ms": "95 %, ms",
    "p99_ms": "99 %, ms",
}
"""Of columns whose name does not say it; of others the underscores become spaces."""


def write(results: Path, output: Path) -> list[Path]:
    """Writes the report on all finished runs in a folder, and their plots beside the runs; the files written."""
    runs = [found for path in sorted(results.glob("*.json")) if (found := runner.stored(path))]
    drawn = [file for run in runs for file in plots.draw(run, results)]
    output.write_text(markdown(runs, _link(results, output)))
    return [output, *drawn]


def markdown(runs: Sequence[Run], results: str) -> str:
    """`results`: the folder of the runs as the report links to it."""
    titles = _titles(runs)
    parts = ["# Measured\n\nWritten by `openrek bench report` from the stored runs.\n", _overview(runs, titles)]
    return "\n".join(parts + [_section(run, titles[run.name], results) for run in runs])


def summary(run: Run) -> str:
    """The tables and bars of one run, for a terminal."""
    return "\n".join([*_tables(run), _bars(run)])


def _titles(runs: Sequence[Run]) -> dict[str, str]:
    """By the names of the runs, which set those of one definition apart."""
    often = Counter(run.definition["title"] for run in runs)
    return {
        run.name: title if often[title] == 1 else f"{title}: {run.name.replace('_', ' ')}"
        for run in runs
        for title in [run.definition["title"]]
    }


def _overview(runs: Sequence[Run], titles: Mapping[str, str]) -> str:
    rows = [[f"[{titles[run.name]}](#{_anchor(run)})", run.machine["measured_at"][:10], _met(run)] for run in runs]
    return _table(["run", "day", "bars met"], rows)


def _met(run: Run) -> str:
    return f"{sum(bar['met'] for bar in run.bars)} of {len(run.bars)}" if run.bars else "none stated"


def _section(run: Run, title: str, results: str) -> str:
    machine = run.machine
    where = ", ".join(f"{name} ({what})" for name, what in run.endpoints.items())
    lines = [
        f'<a id="{_anchor(run)}"></a>\n\n## {title}\n',
        f"{run.definition['about'].strip()}\n",
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; commit {machine['commit']}, "
        f"{machine['measured_at']}{_stolen(machine)}; measured: {where}. [{run.name}.json]({results}{run.name}.json)\n",
        *_tables(run),
        *(f"![{plot.title}]({results}{plot.file})\n" for plot in plots.of(run)),
        _bars(run),
    ]
    return "\n".join(lines)


def _stolen(machine: Mapping[str, Any]) -> str:
    share = machine.get("stolen_percent")  # older runs do not tell
    return "" if share is None else f", {text(share)} % of the processors' time taken by the host meanwhile"


def _tables(run: Run) -> list[str]:
    tables = run.definition.get("table", [{"columns": _scalars(run.rows)}])
    chosen = [(table["columns"], selected(run.rows, table.get("where", {}))) for table in tables]
    return [_rows(columns, rows) for columns, rows in chosen if rows]


def _scalars(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {name: None for row in rows for name, value in row.items() if not isinstance(value, list | dict)}
    return list(names)


def _rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    told = [[text(row.get(name)) for name in columns] for row in rows]
    return _table([HEADINGS.get(name, name.replace("_", " ")) for name in columns], told)


def _bars(run: Run) -> str:
    if not run.bars:
        return ""
    told = [[_bar(bar), text(bar["worst"]), "met" if bar["met"] else "**missed**"] for bar in run.bars]
    return _table(["bar", "worst", ""], told)


def _bar(bar: Mapping[str, Any]) -> str:
    least = f"at least {bar['at_least']}" if "at_least" in bar else f"at most {bar['at_most']}"
    where = ", ".join(f"{name} {text(value)}" for name, value in bar.get("where", {}).items())
    return f"{HEADINGS.get(bar['figure'], bar['figure'].replace('_', ' '))} {least}{f' ({where})' if where else ''}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def text(value: Any) -> str:
    """Three significant digits; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " or ".join(map(text, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _anchor(run: Run) -> str:
    return run.name


def _link(results: Path, output: Path) -> str:
    """From the report to the folder of the runs, with a slash at its end."""
    folder, place = results.resolve(), output.resolve().parent
    relative = folder.relative_to(place).as_posix() if folder.is_relative_to(place) else folder.as_posix()
    return "" if relative == "." else f"{relative}/"
