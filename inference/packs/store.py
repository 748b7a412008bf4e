"""The models folder: `<models_dir>/<pack>/<network>.onnx` and a manifest.json per pack.

Every file appears by an atomic rename, so a reader never sees half of one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.packs.catalogue import Network, Pack
from inference.packs.errors import ModelMissing
from inference.packs.importers import VERSION

DOWNLOADS = "downloads"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Installed:
    """A pack in the models folder."""

    pack: str
    face_model_version: str
    networks: tuple[str, ...]
    size_bytes: int


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def locked(models_dir: Path) -> Iterator[None]:
    """One writer at a time: a second pull into the same folder waits for the first."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_manifest(models_dir: Path, pack: str) -> dict[str, Any]:
    path = models_dir / pack / MANIFEST
    if not path.is_file():
        return {"pack": pack, "networks": {}}
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def provenance(pack: Pack, network: Network) -> dict[str, Any]:
    """What the installed file was made from and how; when this changes the network has to be imported again."""
    source = pack.source(network.source)
    return {
        "importer": network.importer,
        "importer_version": VERSION,
        "source": " ".join(part for part in (source.kind, source.package or source.url, source.version) if part),
        "source_files": {file.name: file.sha256 for file in source.files if file.name in network.files},
        "input": {"name": network.input.name, "shape": list(network.input.shape), "dtype": network.input.dtype},
        "outputs": [output.name for output in network.outputs],
        "licence": network.licence.spdx,
        "licence_stated": network.licence.stated,
    }


def install(models_dir: Path, pack: Pack, network: Network, model: bytes, check: dict[str, Any]) -> None:
    """Puts one network in place, the file first, then its manifest entry."""
    write_atomically(models_dir / pack.name / f"{network.name}.onnx", model)
    manifest = read_manifest(models_dir, pack.name)
    manifest["face_model_version"] = pack.face_model_version
    if pack.accept_licence:
        manifest["accepted_licence"] = pack.accept_licence.name
    manifest["networks"][network.name] = {
        "sha256": hashlib.sha256(model).hexdigest(),
        "size_bytes": len(model),
        **provenance(pack, network),
        "check": check,
    }
    write_atomically(models_dir / pack.name / MANIFEST, json.dumps(manifest, indent=2).encode())


def problem(models_dir: Path, pack: Pack, network: Network) -> str | None:
    """Why this network has to be pulled (again); None when it is in place, intact and up to date."""
    entry = read_manifest(models_dir, pack.name)["networks"].get(network.name)
    path = models_dir / pack.name / f"{network.name}.onnx"
    if entry is None or not path.is_file():
        return f"{network.name}: not installed"
    if sha256(path) != entry["sha256"]:
        return f"{network.name}: the file was changed or damaged"
    if any(entry.get(key) != value for key, value in provenance(pack, network).items()):
        return f"{network.name}: made from an older catalogue or by an older importer"
    return None


def verify(models_dir: Path, pack: Pack) -> list[str]:
    """Re-hashes every file of an installed pack; one line per problem, none when all is well."""
    return [found for network in pack.networks if (found := problem(models_dir, pack, network)) is not None]


def installed(models_dir: Path) -> list[Installed]:
    """The packs in the models folder (without re-hashing them)."""
    found = []
    for path in sorted(models_dir.glob(f"*/{MANIFEST}")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        networks = manifest["networks"]
        size = sum(entry["size_bytes"] for entry in networks.values())
        found.append(Installed(path.parent.name, manifest["face_model_version"], tuple(networks), size))
    return found


def network_path(models_dir: Path, pack: str, network: str) -> Path:
    """The ONNX file of an installed network. Raises ModelMissing."""
    path = models_dir / pack / f"{network}.onnx"
    if not path.is_file():
        raise ModelMissing(pack=pack, network=network)
    return path
