"""Which of a definition's bars the measured rows reach."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def selected(rows: Iterable[Row], where: Mapping[str, Any]) -> list[Row]:
    """The rows that have all these values; a list stands for any of its items."""

    def fits(row: Row, name: str, wanted: Any) -> bool:
        return row.get(name) in (wanted if isinstance(wanted, list) else [wanted])

    return [row for row in rows if all(fits(row, name, wanted) for name, wanted in where.items())]


def judged(bars: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each bar with its worst value and whether it is met; one that no row speaks of is not met, and worst is None."""
    return [_judged(bar, rows) for bar in bars]


def _judged(bar: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    values = [row[bar["figure"]] for row in selected(rows, bar.get("where", {})) if row.get(bar["figure"]) is not None]
    if not values:
        return {**bar, "worst": None, "met": False}
    worst = min(values) if "at_least" in bar else max(values)
    met = worst >= bar["at_least"] if "at_least" in bar else worst <= bar["at_most"]
    return {**bar, "worst": worst, "met": bool(met)}
