"""What is measured: endpoints that run already, or a stack of one's own on this machine."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import own_stack
from benchmarks.endpoint import Endpoint
from benchmarks.own_stack import Stack
from openrek.errors import OperatorError

OURS = "openrek"


@dataclass(frozen=True)
class Wanted:
    """`endpoints`: name -> URL of those that run already, with the profile of that name in the file `credentials`, or
    else the file's default. `models`: folder of the installed packs, of which `packs` are measured."""

    endpoints: Mapping[str, str]
    region: str
    credentials: Path
    models: Path
    packs: Sequence[str]

    @property
    def pack(self) -> str:
        """The only pack. Raises OperatorError when there are several."""
        if len(self.packs) > 1:
            raise OperatorError(f"this is measured with one pack, not with {' and '.join(self.packs)}")
        return self.packs[0]


@dataclass(frozen=True)
class Targets:
    """Endpoints by name, in turns. `stack` is the one of our own, if that is what is measured."""

    endpoints: Mapping[str, Endpoint]
    models: Path
    pack: str
    stack: Stack | None = None


@contextmanager
def opened(wanted: Wanted, **variables: str) -> Iterator[Targets]:
    """The endpoints asked for; if there are none, a stack in a folder that is thrown away, with `variables` in its
    environment."""
    if wanted.endpoints:
        yield Targets(_running(wanted), wanted.models, wanted.pack)
        return
    with (
        tempfile.TemporaryDirectory(prefix="rek") as folder,
        own_stack.serve(Path(folder), prefix=(), **(variables_of(wanted) | variables)) as stack,
    ):
        yield Targets({OURS: stack.endpoint}, wanted.models, wanted.pack, stack)


def variables_of(wanted: Wanted) -> dict[str, str]:
    """The environment of a stack of our own."""
    return {"OPENREK_MODELS_DIR": str(wanted.models), "OPENREK_MODEL_PACK": wanted.pack}


def named(texts: Sequence[str]) -> dict[str, str]:
    """NAME=URL, or a URL alone, which is named after its place among the others. Raises ValueError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, url = text.partition("=")
        if not equals or "://" in name:
            name, url = OURS if len(texts) == 1 else f"endpoint{len(found) + 1}", text
        if "://" not in url or name in found:
            raise ValueError(f"not NAME=URL, or twice the same name: {text}")
        found[name] = url.rstrip("/")
    return found


def _running(wanted: Wanted) -> dict[str, Endpoint]:
    return {name: Endpoint(url, wanted.region, wanted.credentials, name) for name, url in wanted.endpoints.items()}
