"""Mixed load for a time: what grows in the processes of a stack, in its database and on its disk, and what fails.

Programs (soak_clients.py) ask about pictures, keep collections of their own, start jobs on a short video, send requests
that are broken and hang up in the middle. Meanwhile a stack on this machine is looked at every few seconds
(soak_watch.py). Of a stack of our own everything is seen; of an endpoint that runs already only answers and errors.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.endpoint import Endpoint
from benchmarks.faults import soak_clients, trends
from benchmarks.faults.soak_clients import Answered, Material, Program, Tally
from benchmarks.faults.soak_watch import Levels, Watch
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.load import Load
from benchmarks.harness.runner import Case
from benchmarks.inputs import crowds, drawn_clips
from benchmarks.inputs.crowds import Crowd
from benchmarks.own_stack import Stack
from benchmarks.speed.images import pictures_in

BUCKET, FILM = "openrek-bench-films", "film.mp4"
FILM_SECONDS = 2.0
CROWDS = (Crowd(320, 1), Crowd(640, 1), Crowd(640, 4), Crowd(1280, 4))
ALL = "all"
BY_DESIGN: Mapping[tuple[str, str], str] = {
    ("disk", "logs"): "a line for each request; kept under 20 MB for each part",
    ("disk", "postgres/pg_wal"): "the write-ahead log is used again from 1 GB on",
    ("rows", "collections"): "rows of deleted collections stay 25 hours",
    ("rows", "idempotency_tokens"): "kept seven days, and as long as the job",
    ("rows", "jobs"): "kept as long as the setting says, up to ten minutes longer",
    ("rows", "job_results"): "those of jobs that are kept",
    ("rows", "job_tasks"): "those of jobs that are kept",
}
"""What may grow, by kind and name, and why."""


@dataclass
class Soaked:
    """What was seen of one endpoint. `at`: hours of each look; `begun`, `ended`: between these (time.monotonic) answers
    count; `rest`, `rows`: levels and rows of each table before the load, and at rest after all was deleted."""

    begun: float = 0.0
    ended: float = 0.0
    at: list[float] = field(default_factory=list)
    levels: list[Levels] = field(default_factory=list)
    rest: tuple[Levels, Levels] = ({}, {})
    rows: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})
    tally: Tally = field(default_factory=Tally)


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """One soak for each endpoint, which gives a row for each operation, resource and table."""
    asked = definition.content
    pictures = pictures_in(options.data) if options.data else [crowds.picture(crowd) for crowd in CROWDS]
    days = str(asked["job_results_minutes"] / 24 / 60)
    with ExitStack() as opened:
        found = opened.enter_context(targets.opened(options.wanted, OPENREK_JOB_RESULTS_DAYS=days))
        video = opened.enter_context(_film(found.stack)) if found.stack else None
        material = Material(pictures, video)
        watch = opened.enter_context(closing(Watch(found.stack))) if found.stack else None
        cases = [
            case for name, place in found.endpoints.items() for case in _cases(name, place, asked, material, watch)
        ]
        yield Plan(cases, {name: place.url for name, place in found.endpoints.items()})


def _cases(name: str, place: Endpoint, asked: Mapping[str, Any], material: Material, watch: Watch | None) -> list[Case]:
    @cache
    def soaked() -> Soaked:
        return _soak(place, asked, material, watch)

    operations = [*soak_clients.operations(asked["mix"], videos=material.video is not None), ALL]
    levels = watch.look() if watch else {}
    tables = watch.rows() if watch else {}
    of_operations = [
        Case({"endpoint": name, "what": "operation", "name": operation}, partial(_answers, soaked, operation))
        for operation in operations
    ]
    of_resources = [
        Case(
            {"endpoint": name, "what": of[0], "name": of[1], "resource": of[2]},
            partial(_trend, soaked, of, asked["tolerance"]),
        )
        for of in levels
    ]
    of_tables = [
        Case({"endpoint": name, "what": "rows", "name": table}, partial(_left, soaked, table)) for table in tables
    ]
    return [*of_operations, *of_resources, *of_tables]


def _soak(place: Endpoint, asked: Mapping[str, Any], material: Material, watch: Watch | None) -> Soaked:
    seen, stop = Soaked(), threading.Event()
    before = (watch.look(), watch.rows()) if watch else ({}, {})
    programs = [Program(number, place, material, asked["mix"], seen.tally) for number in range(asked["clients"])]
    with ThreadPoolExecutor(len(programs)) as threads:
        working = [threads.submit(program.work, stop) for program in programs]
        try:
            _wait(asked["warm_up"]["minutes"], "warm-up", asked["sample_seconds"], lambda: False)
            seen.begun = time.monotonic()
            _wait(asked["minutes"], "soak", asked["sample_seconds"], partial(_look, seen, watch))
            seen.ended = time.monotonic()
        finally:
            stop.set()
        for one in working:
            one.result()
    if watch:
        _wait(asked["settle_minutes"], "settling", asked["sample_seconds"], lambda: not _remaining(before[1], watch))
        seen.rest, seen.rows = (before[0], watch.look()), (before[1], watch.rows())
    return seen


def _remaining(before: Mapping[str, int], watch: Watch) -> bool:
    """Whether rows are left that should go."""
    return any(
        count > before.get(table, 0) and ("rows", table) not in BY_DESIGN for table, count in watch.rows().items()
    )


def _wait(minutes: float, what: str, every: float, look: Callable[[], bool]) -> None:
    """Looks, again and again, until a look says that it is enough or the time is over."""
    begin = time.monotonic()
    with tqdm(total=round(minutes * 60), desc=what, unit="s", file=sys.stderr, leave=False) as progress:
        while (passed := time.monotonic() - begin) < minutes * 60:
            progress.update(round(passed) - progress.n)
            time.sleep(every)
            if look():
                return


def _look(seen: Soaked, watch: Watch | None) -> bool:
    if watch:
        seen.levels.append(watch.look())
        seen.at.append((time.monotonic() - seen.begun) / 3600)
    return False


def _answers(soaked: Callable[[], Soaked], operation: str) -> dict[str, Any]:
    """Figures of one operation, or of all, after the warm-up; errors also of the warm-up and the clearing away."""
    seen = soaked()
    tallies = seen.tally.answers
    every = [one for some in tallies.values() for one in some] if operation == ALL else tallies[operation]
    counted = [one for one in every if seen.begun <= one.at <= seen.ended]
    errors = Counter(one.error for one in every if one.error)
    figures = Load(seen.ended - seen.begun, [one.seconds for one in counted if not one.error], errors).figures()
    return figures | (_rates(seen, counted) if operation == ALL else {})


def _rates(seen: Soaked, counted: Sequence[Answered]) -> dict[str, Any]:
    """Answers a second over the time, for a plot."""
    span = seen.ended - seen.begun
    edges = np.linspace(0, span, trends.MOST_POINTS + 1)
    counts, _ = np.histogram([one.at - seen.begun for one in counted if not one.error], edges)
    return {
        "minutes": (edges[1:] / 60).round(3).tolist(),
        "values": (counts / (span / trends.MOST_POINTS)).round(3).tolist(),
    }


def _trend(soaked: Callable[[], Soaked], of: tuple[str, str, str], tolerances: Mapping[str, float]) -> dict[str, Any]:
    """Figures of one resource; `share_per_hour` is None where growth is by design."""
    seen = soaked()
    what, name, resource = of
    points = [(at, look[of]) for at, look in zip(seen.at, seen.levels, strict=True) if of in look]
    if not points:
        return {"start": None, "end": None, "grows": None}
    hours, values = [at for at, _ in points], [value for _, value in points]
    trend, tolerance = trends.of(hours, values), tolerances.get(f"{name} {resource}", tolerances[resource])
    reason = BY_DESIGN.get((what, name))
    return {
        "start": trend.start,
        "end": trend.end,
        "per_hour": trend.per_hour,
        "grows": trend.grows(tolerance),
        "share_per_hour": None if reason else trend.share_per_hour(tolerance),
        "by_design": reason,
        "rest_before": seen.rest[0].get(of),
        "rest_after": seen.rest[1].get(of),
        "minutes": [round(at * 60, 3) for at in trends.thinned(hours)],
        "values": [round(value, 3) for value in trends.thinned(values)],
    }


def _left(soaked: Callable[[], Soaked], table: str) -> dict[str, Any]:
    """Rows of a table before the load and when all that was made was deleted."""
    before, after = (rows.get(table, 0) for rows in soaked().rows)
    reason = BY_DESIGN.get(("rows", table))
    return {"start": before, "end": after, "left_over": None if reason else after - before, "by_design": reason}


@contextmanager
def _film(stack: Stack) -> Iterator[dict[str, Any]]:
    """A short video in a bucket, as requests name it."""
    with tempfile.TemporaryDirectory() as folder:
        drawn_clips.write(Path(folder) / FILM, FILM_SECONDS)
        command = [sys.executable, "-P", "-m", "openrek", "buckets", "add", BUCKET, folder]
        subprocess.run(command, env=dict(stack.environment), check=True, stdout=subprocess.DEVNULL)
        yield {"S3Object": {"Bucket": BUCKET, "Name": FILM}}
