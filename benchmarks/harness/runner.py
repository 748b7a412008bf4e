"""Measures the cases of a definition one after the other and stores each row as soon as it is there.

An unfinished run of the same definition, code, machine and endpoints is continued where it stopped.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from benchmarks import record
from benchmarks.harness import bars
from benchmarks.harness.definition import Definition

MET, MISSED = 0, 3
"""Exit status: all bars reached, or not. 1 and 2 are those of errors."""


@dataclass(frozen=True)
class Case:
    """`key` tells a case from the others and is part of its rows; `measure` gives the figures of its row, or those of
    several, plain JSON values."""

    key: Mapping[str, Any]
    measure: Callable[[], dict[str, Any] | list[dict[str, Any]]]


@dataclass(frozen=True)
class Run:
    """A stored run. `bars` are judged when all `rows` are there."""

    name: str
    machine: Mapping[str, Any]
    definition: Mapping[str, Any]
    endpoints: Mapping[str, str]
    rows: list[dict[str, Any]]
    bars: list[dict[str, Any]]

    @property
    def status(self) -> int:
        return MET if all(bar["met"] for bar in self.bars) else MISSED


def run(
    definition: Definition,
    cases: Sequence[Case],
    path: Path,
    endpoints: Mapping[str, str],
    fresh: bool = False,
) -> Run:
    """Measures what `path` does not hold yet and writes it there; `endpoints`: name -> what it is. With `fresh` begins
    anew.

    What a case raises ends the run; the rows measured before it are kept. What the host of a virtual machine took is
    told of the part since the last begin.
    """
    machine, began = record.machine(), psutil.cpu_times()
    head = {"machine": machine, "digest": definition.digest, "definition": definition.content, "endpoints": endpoints}
    rows = [] if fresh else _kept(path, head)
    left = [case for case in cases if not any(case.key.items() <= row.items() for row in rows)]
    with tqdm(total=len(cases), initial=len(cases) - len(left), desc=definition.name, file=sys.stderr) as progress:
        for case in left:
            progress.set_postfix_str(", ".join(map(str, case.key.values())))
            figures = case.measure()
            rows += [{**case.key, **row} for row in (figures if isinstance(figures, list) else [figures])]
            _write(path, {**head, "complete": False, "rows": rows, "bars": []})
            progress.update()
    found = bars.judged(definition.content.get("bar", ()), rows)
    machine = head["machine"] = {**machine, "stolen_percent": record.stolen_percent(began)}
    _write(path, {**head, "complete": True, "rows": rows, "bars": found})
    return Run(path.stem, machine, definition.content, endpoints, rows, found)


def stored(path: Path) -> Run | None:
    """A finished run, or None when the file is something else."""
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or not content.get("complete"):
        return None
    names = ("machine", "definition", "endpoints", "rows", "bars")
    return Run(path.stem, **{name: content[name] for name in names})


def _kept(path: Path, head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of an unfinished run with the same head, whenever it was begun."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    if content.get("complete", True) or _compared(content) != _compared(head):
        return []
    rows: list[dict[str, Any]] = content["rows"]
    return rows


def _compared(head: Mapping[str, Any]) -> Any:
    machine = {name: value for name, value in head["machine"].items() if name != "measured_at"}
    return json.loads(json.dumps([head["digest"], machine, sorted(head["endpoints"])]))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """All or nothing, so that a run killed here can be continued."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, path)
