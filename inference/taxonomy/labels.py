"""The label names of answers, their hierarchy, and which of them the classes of networks stand for.

Three reviewed tables beside this file: `labels.csv` has all names with category, aliases and direct parents (a name
that no network of the packs says may stand without parents); `coco.csv` and `imagenet.csv` give, for every class of
a network by its number, the labels it stands for, or none.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """`parents`: all ancestors, alphabetical, each a label itself."""

    category: str
    aliases: tuple[str, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True)
class NetworkClass:
    """`boxes`: a box of the class is a box of its labels (an activity, told by its equipment, has none)."""

    name: str
    labels: tuple[str, ...]
    boxes: bool


@cache
def labels() -> dict[str, Entry]:
    """All labels by name. Raises ValueError for a parent that is no label, or a label above itself."""
    rows = {row["label"]: row for row in _rows("labels.csv")}
    direct = {name: _listed(row["parents"]) for name, row in rows.items()}
    return {
        name: Entry(row["category"], _listed(row["aliases"]), tuple(sorted(_ancestors(name, direct, ()))))
        for name, row in rows.items()
    }


@cache
def classes(table: str) -> tuple[NetworkClass, ...]:
    """The classes of a network in its order; `table` is coco or imagenet."""
    return tuple(
        NetworkClass(row["name"], _listed(row["labels"]), row.get("boxes") == "yes") for row in _rows(f"{table}.csv")
    )


@cache
def closure(names: tuple[str, ...]) -> frozenset[str]:
    """Labels with all their ancestors. Raises KeyError for what is no label."""
    return frozenset(names).union(*(labels()[name].parents for name in names))


def _ancestors(name: str, direct: dict[str, tuple[str, ...]], below: tuple[str, ...]) -> set[str]:
    if name in below or name not in direct:
        raise ValueError(f"{' under '.join((*below, name))} cannot be")
    return set(direct[name]).union(*(_ancestors(parent, direct, (*below, name)) for parent in direct[name]))


def _rows(table: str) -> list[dict[str, str]]:
    with (_FOLDER / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, cell.split(";")))
