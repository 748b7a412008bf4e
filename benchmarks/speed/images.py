"""Operations on images under load, against the limit: the raw work behind the same answers in a plain loop on the same
cores, endpoint and loop in turns.

Requests are signed before the clock runs, for each round anew, and no picture is sent twice, since the model server
knows those again that it saw just now. The limit is given for endpoints of OpenRek on this machine whose pack is here.
"""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.endpoint import Endpoint
from benchmarks.harness import targets
from benchmarks.harness.definition import Definition
from benchmarks.harness.kinds import Options, Plan
from benchmarks.harness.load import Connection, Load, closed_loop, open_loop, signed
from benchmarks.harness.runner import Case
from benchmarks.harness.targets import Targets
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import PORTRAITS, Crowd
from benchmarks.own_stack import Stack
from benchmarks.speed.image_operations import OPERATIONS, ImageOperation, collections
from benchmarks.speed.plain_loop import TRIALS, PlainLoop, limits, looped, passes, whole_passes
from benchmarks.speed.replay import Pictures
from openrek.errors import OperatorError

SATURATING_CLIENTS = 16
MOST_UNDER_WAY = 64
"""Of an open loop."""
TURNS_ALONE = 3
"""In each round, of a lone client and the loop for each picture: single pictures vary more than a load of many."""


@dataclass(frozen=True)
class Sample:
    """A picture to ask about."""

    file: bytes
    has_faces: bool


@dataclass(frozen=True)
class Subject:
    """What one case measures. `loop` gives the limit, None where there is none; `stack` is ours if it is our own."""

    place: Endpoint
    operation: ImageOperation
    asked: Sequence[Pictures]
    loop: Callable[[], PlainLoop] | None
    stack: Stack | None = None

    def requests(self, count: int, seed: int) -> Iterator[bytes]:
        """Signed requests about pictures that nobody has seen, in whole passes over all but for the last."""
        for pictures in itertools.islice(passes(self.asked, seed), count):
            yield self.request(pictures)

    def request(self, pictures: Pictures) -> bytes:
        return signed(self.place, self.operation.name, self.operation.content([fresh(one) for one in pictures]))


@contextmanager
def prepare(definition: Definition, options: Options) -> Iterator[Plan]:
    """Each operation of the definition under each load, at each endpoint."""
    asked = definition.content
    if unknown := set(asked["operations"]) - set(OPERATIONS):
        raise OperatorError(f"no operations on images: {', '.join(unknown)}; there are: {', '.join(OPERATIONS)}")
    with ExitStack() as opened:
        found = opened.enter_context(targets.opened(options.wanted))
        for place in found.endpoints.values():
            opened.enter_context(collections(place, [_portrait(name) for name, _ in PORTRAITS]))
        if found.stack:
            _load_celebrities(found.stack)
        first = next(iter(found.endpoints.values()))
        samples = _given(options.data, first) if options.data else _made(asked["pictures"])
        cases = _cases(asked, found, samples)
        yield Plan(cases, {name: place.url for name, place in found.endpoints.items()})


def _cases(asked: Mapping[str, Any], found: Targets, samples: Sequence[Sample]) -> list[Case]:
    requests = {name: requests_of(OPERATIONS[name], samples) for name in asked["operations"]}
    limit = limits(found.models, found.pack, requests)
    here = {name: found.stack is not None or _is_ours_here(place) for name, place in found.endpoints.items()}
    saturated: dict[tuple[str, str], float] = {}
    cases = []
    for operation, pictures in requests.items():
        loads = [("closed", clients) for clients in asked["clients"]] + [("open", share) for share in asked["shares"]]
        for (load, size), (name, place) in itertools.product(loads if pictures else [], found.endpoints.items()):
            loop = partial(limit, operation) if limit and here[name] else None
            subject = Subject(place, OPERATIONS[operation], pictures, loop, found.stack)
            remembered = (saturated, (name, operation))
            key = {"endpoint": name, "operation": operation, "load": load}
            if load == "closed":
                measure = partial(_closed, subject, size, asked["rounds"], asked["seconds"], *remembered)
                cases.append(Case({**key, "clients": size}, measure))
            else:
                measure = partial(_open, subject, size, asked["open_seconds"], *remembered)
                cases.append(Case({**key, "share": size}, measure))
    return cases


def _closed(
    subject: Subject,
    clients: int,
    rounds: int,
    seconds: float,
    saturated: dict[tuple[str, str], float],
    name: tuple[str, str],
) -> dict[str, Any]:
    """Figures of all rounds together; `ratio` is the median of those of each round's endpoint and loop.

    `processor_ms`: processor time of all parts of the stack for a request, and of the loop, which other programs on
    the machine disturb less than they do the ratio.
    """
    loop = subject.loop() if subject.loop else None
    trials = TRIALS if loop else 1
    for seed in range(trials):
        warming = [*subject.requests(whole_passes(clients, subject.asked), seed - trials)]
        first = closed_loop(subject.place, warming, clients)
        if not first.latencies:
            return first.figures()
    rate = len(first.latencies) / first.seconds
    count = whole_passes(max(seconds * rate, 2 * clients), subject.asked)
    loads, limits, spent, loop_spent = [], [], 0.0, 0.0
    for seed in range(rounds):
        if loop:
            began = time.process_time()
            limits.append(looped(loop.replay, loop.callers, subject.asked, seconds * loop.per_second, seed))
            loop_spent += time.process_time() - began
        requests, began = [*subject.requests(count, seed)], _processor_seconds(subject.stack)
        loads.append(closed_loop(subject.place, requests, clients))
        spent += _processor_seconds(subject.stack) - began
    figures = _together(loads).figures()
    saturated[name] = max(saturated.get(name, 0.0), figures["per_second"])
    if subject.stack:
        figures["processor_ms"] = spent / (rounds * count) * 1e3
    if loop:
        looped_over = rounds * whole_passes(seconds * loop.per_second, subject.asked)
        figures["loop_processor_ms"] = loop_spent / looped_over * 1e3
        ratios = [len(load.latencies) / load.seconds / limit for load, limit in zip(loads, limits, strict=True)]
        figures |= {"loop_per_second": statistics.median(limits), "loop_callers": loop.callers}
        figures |= {"ratio": statistics.median(ratios)}
        figures |= _added(subject, loop, TURNS_ALONE * rounds) if clients == 1 else {}
    return figures


def _open(
    subject: Subject, share: float, seconds: float, saturated: dict[tuple[str, str], float], name: tuple[str, str]
) -> dict[str, Any]:
    """Requests that arrive at random, at this share of what the endpoint can do at most."""
    if name not in saturated:
        count = whole_passes(2 * SATURATING_CLIENTS, subject.asked)
        first = closed_loop(subject.place, [*subject.requests(count, seed=-1)], SATURATING_CLIENTS)
        if not first.latencies:
            return first.figures()
        saturated[name] = len(first.latencies) / first.seconds
    offered = share * saturated[name]
    count = math.ceil(offered * seconds) * 2 + MOST_UNDER_WAY
    load = open_loop(subject.place, subject.requests(count, seed=0), offered, MOST_UNDER_WAY, seconds=seconds)
    return {"offered_per_second": offered, **load.figures()}


def _added(subject: Subject, loop: PlainLoop, turns: int) -> dict[str, float]:
    """What a lone client waits longer than the loop takes for the same pictures alone: the median over the pictures."""
    added, alone = [], []
    with Connection(subject.place) as connection:
        for pictures in subject.asked:
            waits, works = [], []
            for _ in range(turns):
                works.append(_seconds(partial(loop.replay, pictures)))
                waits.append(_seconds(partial(connection.exchange, subject.request(pictures))))
            alone.append(statistics.median(works))
            added.append(statistics.median(waits) - alone[-1])
    return {"loop_ms": statistics.median(alone) * 1e3, "added_ms": statistics.median(added) * 1e3}


def _processor_seconds(stack: Stack | None) -> float:
    """Of all processes of a stack that are there now."""
    if stack is None:
        return 0.0
    seconds = 0.0
    for part in stack.parts():
        with suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
            process = psutil.Process(stack.pid(part))
            for one in (process, *process.children(recursive=True)):
                seconds += sum(one.cpu_times()[:2])
    return seconds


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _together(loads: Sequence[Load]) -> Load:
    errors = sum((load.errors for load in loads[1:]), loads[0].errors)
    return Load(sum(load.seconds for load in loads), [one for load in loads for one in load.latencies], errors)


def fresh(picture: bytes) -> bytes:
    """The same picture as a file that nobody has seen."""
    return picture + os.urandom(8)


def requests_of(operation: ImageOperation, samples: Sequence[Sample]) -> list[Pictures]:
    """The pictures of each request: of two, each one with the next."""
    files = [sample.file for sample in samples if sample.has_faces or not operation.faces]
    return [tuple(files[(n + k) % len(files)] for k in range(len(operation.pictures))) for n in range(len(files))]


def _made(asked: Sequence[Mapping[str, int]]) -> list[Sample]:
    return [
        Sample(crowds.picture(Crowd(one["side"], one["faces"]), seed), one["faces"] > 0)
        for seed, one in enumerate(asked)
    ]


def _given(folder: Path, place: Endpoint) -> list[Sample]:
    """The pictures in a folder; an endpoint says which of them have faces. Raises OperatorError."""
    client = place.client()
    return [Sample(file, _has_faces(client, file)) for file in pictures_in(folder)]


def pictures_in(folder: Path) -> list[bytes]:
    """The JPEG and PNG files. Raises OperatorError when there are none."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [path.read_bytes() for path in found if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    if not files:
        raise OperatorError(f"no JPEG or PNG files in {folder}")
    return files


def _has_faces(client: Any, file: bytes) -> bool:
    """One that cannot tell refuses what is asked later, too."""
    try:
        return bool(client.detect_faces(Image={"Bytes": file})["FaceDetails"])
    except (ClientError, BotoCoreError):
        return True


def _portrait(name: str) -> bytes:
    return (crowds.PICTURES / name).read_bytes()


def _load_celebrities(stack: Stack) -> None:
    """The two people of the made pictures, so that there is somebody to recognise."""
    command = [sys.executable, "-P", "-m", "openrek", "celebrities", "import"]
    with tempfile.TemporaryDirectory() as folder:
        for name, _ in PORTRAITS:
            person = Path(folder) / Path(name).stem
            person.mkdir()
            (person / name).write_bytes(_portrait(name))
        subprocess.run([*command, folder], env=dict(stack.environment), check=True, stdout=subprocess.DEVNULL)


def _is_ours_here(place: Endpoint) -> bool:
    """Whether it is OpenRek that answers, on this machine."""
    if urlsplit(place.url).hostname not in ("127.0.0.1", "localhost", "::1"):
        return False
    try:
        with urllib.request.urlopen(f"{place.url}/readyz", timeout=5) as answer:
            return "parts" in json.load(answer)
    except (urllib.error.URLError, OSError, ValueError, TypeError):
        return False
