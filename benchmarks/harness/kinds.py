"""The kinds of measurement, and what each gives the runner."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.harness.definition import Definition
from benchmarks.harness.runner import Case
from benchmarks.harness.targets import Wanted

KINDS: Mapping[str, tuple[str, str, str]] = {
    "images": (
        "benchmarks.speed.images",
        "operations on images under load, against the raw networks in a loop",
        "--data ~/Pictures --endpoint here=http://127.0.0.1:9555 --endpoint there=http://10.0.0.7:9555",
    ),
    "search": ("benchmarks.speed.search", "the search of galleries, against raw FAISS and pgvector", "--name mine"),
    "video": ("benchmarks.speed.video", "jobs on videos, against decoding and networks in a loop", "--name mine"),
    "protocol": ("benchmarks.speed.protocol", "operations without inference, against moto's server", "--name mine"),
    "start": ("benchmarks.speed.start", "how long a start takes, and memory at rest", "--name mine"),
    "accuracy": ("benchmarks.accuracy.bench", "how right answers are, on a folder of labelled data", "--name mine"),
    "soak": ("benchmarks.faults.soak", "mixed load for a time: what grows", "--definition mine.toml --json"),
}
"""Name -> the module whose `prepare` is its Prepare, what it measures, and options of an example. The usual definition
is definitions/NAME.toml."""


@dataclass(frozen=True)
class Options:
    """`data`: the folder that the user gave, of pictures, clips or labelled sets."""

    wanted: Wanted
    data: Path | None = None


@dataclass(frozen=True)
class Plan:
    """`endpoints`: name -> what it is, as the report tells it."""

    cases: Sequence[Case]
    endpoints: Mapping[str, str]


Prepare = Callable[[Definition, Options], AbstractContextManager[Plan]]


def prepare(kind: str, definition: Definition, options: Options) -> AbstractContextManager[Plan]:
    """Starts what a kind needs, until the context is left."""
    chosen: Prepare = import_module(KINDS[kind][0]).prepare
    return chosen(definition, options)
