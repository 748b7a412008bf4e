"""The gallery of celebrities: loaded, listed, thinned out and exported by its owner. OpenRek ships none."""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from inference.client import InferenceClient
from inference.errors import InferenceError
from inference.packs import catalogue
from openrek import gallery_vectors
from openrek.celebrity_entries import COLUMNS, TABLE, Entry, read
from openrek.errors import PartFailed, UnusableGallery
from openrek.photographs import Unused, faces_of
from openrek.settings import Settings
from storage import celebrities
from storage.celebrities import Change, GalleryFace
from storage.database import Pool, open_pool
from storage.errors import CelebrityNotFound, SeveralOfTheName
from storage.tenant import Tenant

# More would take turns from callers of the endpoint.
_THREADS = 4
SUMMARY = ("added", "changed", "unchanged", "left out", "photographs not used")


@dataclass(frozen=True)
class Outcome:
    """What became of an entry, with its id if it is in the gallery, else the reason."""

    entry: Entry
    change: Change | None
    id: str | None = None
    reason: str = ""
    unused: tuple[Unused, ...] = ()


@dataclass(frozen=True)
class Tools:
    """What an import works with. `vectors` are exported faces, by id."""

    pool: Pool
    client: InferenceClient
    tenant: Tenant
    face_model_version: str
    vectors: Mapping[str, list[GalleryFace]]


def load(chosen: argparse.Namespace, settings: Settings) -> int:
    """Import people, each as a whole or not at all, and say what was left out; 1 when somebody was."""
    entries = read(chosen.source)
    face_model_version = catalogue.load(settings.model_pack).face_model_version
    beside = (chosen.source if chosen.source.is_dir() else chosen.source.parent) / gallery_vectors.FILE
    vectors = gallery_vectors.read(beside, face_model_version) if beside.exists() else {}
    done: Counter[str] = Counter()
    with open_pool(settings.database_url, _THREADS) as pool, closing(InferenceClient(settings.inference_url)) as client:
        tools = Tools(pool, client, _tenant(settings), face_model_version, vectors)
        for outcome in _import_all(tools, entries):
            done[outcome.change or "left out"] += 1
            done["photographs not used"] += len(outcome.unused)
            for line in _lines(outcome):
                tqdm.write(line)
    print(", ".join(f"{done[what]} {what}" for what in SUMMARY))
    return 1 if done["left out"] else 0


def show(_: argparse.Namespace, settings: Settings) -> int:
    """Print one line for each celebrity."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        found = celebrities.all_of(connection, _tenant(settings))
    for one in found:
        faces = f"{one.faces} face" if one.faces == 1 else f"{one.faces} faces"
        print(f"{one.id}  {one.name}  {one.gender}  {faces}  {' '.join(one.urls)}".rstrip())
    if not found:
        print("the gallery is empty: every face is unrecognised until celebrities are imported")
    return 0


def remove(chosen: argparse.Namespace, settings: Settings) -> int:
    """Remove one celebrity, or the whole gallery, with all vectors."""
    tenant = _tenant(settings)
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        if chosen.all:
            celebrities.remove_all(connection, tenant)
            print("the gallery is empty")
        else:
            found = celebrities.find(connection, tenant, chosen.celebrity)
            celebrities.remove(connection, tenant, found.id)
            print(f"{found.name} ({found.id}) is removed")
    return 0


def export(chosen: argparse.Namespace, settings: Settings) -> int:
    """Write the gallery to a new folder that `load` reads: the table, and the embeddings in place of photographs."""
    tenant = _tenant(settings)
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        gallery = celebrities.gallery(connection, tenant)
        everybody = celebrities.all_of(connection, tenant)
        faces = {one.id: celebrities.faces_of(connection, tenant, one.id) for one in everybody}
    if gallery is None:
        raise UnusableGallery("there is no gallery to export")
    table, vectors = chosen.folder / TABLE, chosen.folder / gallery_vectors.FILE
    try:
        # Embeddings are biometric data: the folder is its maker's alone.
        chosen.folder.mkdir(mode=0o700, parents=True)
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS[:4])
            writer.writerows((one.id, one.name, one.gender, " ".join(one.urls)) for one in everybody)
        gallery_vectors.write(vectors, gallery.face_model_version, faces)
    except OSError as error:
        raise UnusableGallery(f"cannot export to {chosen.folder}: {error}") from error
    print(f"{len(everybody)} celebrities are in {table}, their embeddings in {vectors}")
    return 0


def _import_all(tools: Tools, entries: list[Entry]) -> Iterator[Outcome]:
    """Raises PartFailed when the model server cannot be used; who was imported until then stays."""
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            outcomes = threads.map(partial(_import_one, tools), entries)
            yield from tqdm(outcomes, total=len(entries), desc="import", unit="person", disable=None)
        except InferenceError as error:
            raise PartFailed(f"{error}; an import needs the running model server of `openrek serve`") from error
        finally:
            threads.shutdown(cancel_futures=True)


def _import_one(tools: Tools, entry: Entry) -> Outcome:
    """Bring one person into the gallery, as a whole or not at all."""
    try:
        found, unused = _faces(tools, entry)
        if found == []:
            return Outcome(entry, None, reason="no photograph can be used", unused=tuple(unused))
        with tools.pool.connection() as connection:
            celebrity_id, change = celebrities.put(
                connection,
                tools.tenant,
                tools.face_model_version,
                name=entry.name,
                celebrity_id=entry.id,
                gender=entry.gender,
                urls=entry.urls,
                new_faces=found,
            )
    except CelebrityNotFound:
        return Outcome(entry, None, reason="there are no photographs")
    except SeveralOfTheName as error:
        return Outcome(entry, None, reason=str(error))
    return Outcome(entry, change, celebrity_id, unused=tuple(unused))


def _faces(tools: Tools, entry: Entry) -> tuple[list[GalleryFace] | None, list[Unused]]:
    """The faces that an entry gives, None where it tells nothing of them, and the photographs left out."""
    if entry.photographs is None:
        return tools.vectors.get(entry.id or ""), []
    with tools.pool.connection() as connection:
        stored = celebrities.faces_of(connection, tools.tenant, entry.id, entry.name)
    known = {face.image_id: face for face in stored}
    return faces_of(entry.photographs, known, tools.client, tools.face_model_version)


def _lines(outcome: Outcome) -> Iterator[str]:
    entry = outcome.entry
    if outcome.change is None:
        yield f"left out   {entry.name}: {outcome.reason}"
    elif outcome.change != "unchanged" or outcome.unused:
        yield f"{outcome.change:9}  {entry.name} ({outcome.id})"
    for unused in outcome.unused:
        yield f"  not used: {unused.file}: {unused.reason}"


def _tenant(settings: Settings) -> Tenant:
    return Tenant(settings.account, settings.region)
