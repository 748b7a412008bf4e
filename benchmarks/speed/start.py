"""From a start to readiness, and what a stack at rest holds in memory: in a new home, and again in the same one."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import own_stack
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.runner import Case
from benchmarks.own_stack import Stack
from openrek.errors import OperatorError

MEGABYTE = 1e6


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """A start in a new home and one more in the same, as often as the definition says. Raises OperatorError."""
    if options.wanted.endpoints:
        raise OperatorError("starts are measured with a stack of its own: leave out --endpoint")
    asked, variables = definition.content, targets.variables_of(options.wanted)
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        cases = [
            Case(
                {"home": home, "turn": turn},
                partial(_measured, Path(folder) / str(turn), asked["rest_seconds"], variables),
            )
            for turn in range(1, asked["turns"] + 1)
            for home in ("new", "used")
        ]
        yield Plan(cases, {targets.OURS: "a stack of its own"})


def _measured(folder: Path, rest_seconds: float, variables: dict[str, str]) -> dict[str, Any]:
    """`memory_mb`: of all processes together, what several share counted once."""
    folder.mkdir(exist_ok=True)
    begin = time.perf_counter()
    with own_stack.serve(folder, prefix=(), **variables) as stack:
        ready = time.perf_counter() - begin
        time.sleep(rest_seconds)
        parts = {f"{part}_mb": _memory(stack.pid(part)) for part in stack.parts()}
        return {"ready_seconds": ready, "memory_mb": sum(parts.values()) + _supervisor(stack), **parts}


def _memory(pid: int | None) -> float:
    """Of a process and its children: the proportional set size, megabytes."""
    if pid is None:
        return 0.0
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(float(process.memory_full_info().pss) for process in family) / MEGABYTE


def _supervisor(stack: Stack) -> float:
    """Of the process that keeps the others, alone."""
    parent = psutil.Process(next(pid for part in stack.parts() if (pid := stack.pid(part)))).parent()
    return float(parent.memory_full_info().pss) / MEGABYTE if parent else 0.0
