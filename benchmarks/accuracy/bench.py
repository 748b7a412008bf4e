"""Every measured task of labelled sets at each endpoint, with bootstrap intervals, and what sets endpoints apart.

A case is one set at all endpoints, so that differences are of the same pictures. Its rows are flat: `row` is "figure",
"difference" (of `endpoint` to `against`; `better` names the better one, or neither) or "refused" (with the error).
"""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy import face_measures, intervals, labelled_sets, scene_measures
from benchmarks.accuracy.asking import Refused
from benchmarks.accuracy.intervals import Draws, Figure
from benchmarks.accuracy.labelled_sets import LabelledSet
from benchmarks.accuracy.verification import THREADS
from benchmarks.endpoint import Endpoint
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.runner import Case
from benchmarks.harness.targets import Wanted
from openrek.errors import OperatorError

Task = Callable[[Any, LabelledSet], list[Figure]]
"""From a boto3 client and a set to figures. Raises Refused."""
TASKS: Mapping[str, Mapping[str, Task]] = {
    "face_verification": {
        "verification": face_measures.verification,
        "identification": face_measures.identification,
    },
    "face_detection": {"face detection": face_measures.detected},
    "face_attributes": {"attributes": face_measures.described},
    "face_emotion": {"attributes": face_measures.described},
    "face_cover": {"face cover": face_measures.covered},
    "image_labels": {"labels": scene_measures.classified},
    "object_detection": {"objects": scene_measures.objects},
    "scene_text": {"text": scene_measures.read_scenes},
    "word_crops": {"words": scene_measures.read_crops},
    "ppe": {"protective equipment": scene_measures.equipped},
    "moderation": {"moderation": scene_measures.moderated},
}
"""Kind of a set -> what is measured on it."""
ATTEMPTS = 4


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """Each set of the data folder."""
    if options.data is None:
        raise OperatorError("accuracy is measured on labelled pictures: --data FOLDER (docs/evaluation-data.md)")
    sets, others = labelled_sets.read(options.data)
    for name, task in others.items():
        print(f"{name} is left out: {task} is not measured", file=sys.stderr)
    asked = definition.content
    draws = Draws(asked["draws"], asked["level"], asked["seed"])
    with ExitStack() as opened:
        places = {
            name: place for wanted in _each(options.wanted) for name, place in _opened(opened, wanted, options.wanted)
        }
        cases = [
            Case({"set": data.name, "labels": data.digest}, partial(measured, data, places, draws)) for data in sets
        ]
        yield Plan(cases, {name: place.url for name, place in places.items()})


def measured(data: LabelledSet, places: Mapping[str, Endpoint], draws: Draws) -> list[dict[str, Any]]:
    """The rows of one set."""
    rows = []
    for task, measure in TASKS[data.kind].items():
        found: dict[str, dict[str, Figure]] = {}
        for name, place in places.items():
            client = place.client(THREADS, retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS})
            try:
                found[name] = {figure.measure: figure for figure in measure(client, data)}
            except Refused as refused:
                rows.append({"row": "refused", "endpoint": name, "task": task, "error": str(refused)})
        rows += [{"task": task, **row} for row in _figures(found, draws)]
        rows += [{"task": task, **row} for row in _differences(found, draws)]
    return rows


def _figures(found: Mapping[str, Mapping[str, Figure]], draws: Draws) -> Iterator[dict[str, Any]]:
    for endpoint, figures in found.items():
        for measure, figure in figures.items():
            told = _told(intervals.interval(figure, draws))
            yield {"row": "figure", "endpoint": endpoint, "measure": measure, **told, "n": figure.n}


def _differences(found: Mapping[str, Mapping[str, Figure]], draws: Draws) -> Iterator[dict[str, Any]]:
    for (endpoint, figures), (against, others) in itertools.combinations(found.items(), 2):
        for measure in figures:
            if measure in others:
                one, other = figures[measure], others[measure]
                gap = intervals.difference(one, other, draws)
                better = "neither"
                if intervals.is_told_apart(one, other, gap):
                    better = endpoint if (gap.value > 0) != one.lower_is_better else against
                key = {"row": "difference", "endpoint": endpoint, "against": against, "measure": measure}
                yield {**key, **_told(gap), "n": one.n, "better": better}


def _told(found: intervals.Interval) -> dict[str, float]:
    return {name: round(getattr(found, name), 5) for name in ("value", "low", "high")}


def _each(wanted: Wanted) -> Sequence[Wanted]:
    """One stack of our own for each pack, unless endpoints are given."""
    return [wanted] if wanted.endpoints else [replace(wanted, packs=(pack,)) for pack in wanted.packs]


def _opened(opened: ExitStack, wanted: Wanted, all_: Wanted) -> Iterator[tuple[str, Endpoint]]:
    """A stack of our own has the name of its pack where there are several."""
    found = opened.enter_context(targets.opened(wanted))
    for name, place in found.endpoints.items():
        yield (Path(wanted.pack).stem if not wanted.endpoints and len(all_.packs) > 1 else name), place
