"""Moves a collection to another face model: every face keeps its id, its user and its external id.

It is embedded anew from the crop that was kept of it, or else from the image it was indexed from, found in a bucket by
its bytes. What is done is stored beside the collection, so that the command may end at any time and be given again;
searches go on with the old model until a single transaction puts the new embeddings in place.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from psycopg import Connection
from tqdm import tqdm

from api.operations.images import LEAST_SIDE_PIXELS, MOST_OBJECT_BYTES, image_id
from inference.client import InferenceClient
from inference.errors import ImageDimensionsTooLarge, ImageTooSmall, InferenceError, InvalidImage, Overloaded
from inference.types import Embedding, Face
from openrek import secret_key
from openrek.collections import STATEMENT_SECONDS, tenant
from openrek.errors import OperatorError
from openrek.settings import Settings
from storage import collections, crops, reembedding
from storage.collections import Collection
from storage.database import Pool, open_pool
from storage.errors import CollectionNotFound, ObjectNotFound, ObjectTooLarge
from storage.faces import Box4
from storage.objects import ObjectStore
from storage.tenant import Tenant

LEAST_IOU = 0.5
"""Of a face's box and that of the same face found again, by a detector that may be another one since."""
_BLOCK_ROWS = 64
_SHOWN = 20
_FEW = 64
_PAUSE_SECONDS = 0.5

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Work:
    """One move. `known` has the ids of a bucket's images, by name; `unfound` the faces that are not in their images."""

    pool: Pool
    models: InferenceClient
    objects: ObjectStore
    secret_key: bytes
    owner: Tenant
    collection: Collection
    face_model_version: str
    images: str | None
    progress: "tqdm[Any]"
    known: dict[str, UUID] = field(default_factory=dict)
    unfound: set[UUID] = field(default_factory=set)


def run(chosen: argparse.Namespace, settings: Settings) -> int:
    """Move a collection to the face model of a version that the model server has loaded; 1 if faces have no source."""
    try:
        return _run(chosen, settings)
    except InferenceError as error:
        raise OperatorError(str(error)) from error


def _run(chosen: argparse.Namespace, settings: Settings) -> int:
    owner, version = tenant(settings), chosen.version
    with ExitStack() as open_until_the_end:
        pool = open_until_the_end.enter_context(open_pool(settings.database_url, 4, STATEMENT_SECONDS))
        models = InferenceClient(settings.inference_url)
        open_until_the_end.callback(models.close)
        with pool.connection() as connection:
            collection = collections.get(connection, owner, chosen.name)
        if collection.face_model_version == version:
            print(f"{chosen.name} is of face model {version} already")
            return 0
        served = models.status()["face_model_versions"]
        if version not in served:
            raise OperatorError(f"the model server has not loaded face model {version}, only {', '.join(served)}")
        holder = open_until_the_end.enter_context(pool.connection())
        # Not in a transaction, which would be ended for its silence.
        holder.autocommit = True
        open_until_the_end.callback(setattr, holder, "autocommit", False)
        open_until_the_end.enter_context(reembedding.held(holder, collection))
        reembedding.begin(holder, collection.id, version)
        missing = reembedding.count_missing(holder, collection.id)
        progress = open_until_the_end.enter_context(
            tqdm(total=collection.face_count, initial=collection.face_count - missing, unit="face", disable=None)
        )
        key, objects = secret_key.read(settings.secret_key_file), ObjectStore(pool, settings.s3_endpoint_url)
        work = _Work(pool, models, objects, key, owner, collection, version, chosen.images, progress)
        return _move(work, holder, drop_missing=chosen.drop_missing)


def _move(work: _Work, connection: Connection[Any], drop_missing: bool) -> int:
    hopeless = _embed_most(work, connection)
    if hopeless and not drop_missing:
        return _refuse(work, connection, hopeless)
    with work.pool.connection() as locking:
        locked = collections.lock(locking, work.owner, work.collection.name)
        if locked.id != work.collection.id:
            raise CollectionNotFound(name=work.collection.name)
        # Writers wait from here on: this is for the few that came since.
        _embed(work)
        missing = reembedding.missing(connection, work.collection.id, _SHOWN)
        if missing and not drop_missing:
            return _refuse(work, connection, missing)
        locked = reembedding.drop_missing(locking, locked)
        reembedding.finish(locking, locked, work.face_model_version)
    print(f"{locked.name} is of face model {work.face_model_version} now: {locked.face_count} faces")
    return 0


def _embed_most(work: _Work, connection: Connection[Any]) -> list[UUID]:
    """Embed until so few faces come in between that writers may wait for them; returns some that have no source."""
    while True:
        before = set(reembedding.missing(connection, work.collection.id, _SHOWN))
        if _embed(work) <= _FEW:
            after = reembedding.missing(connection, work.collection.id, _SHOWN)
            return [face_id for face_id in after if face_id in before]


def _refuse(work: _Work, connection: Connection[Any], hopeless: list[UUID]) -> int:
    for face_id in hopeless:
        print(f"no crop and no image of face {face_id}")
    count = reembedding.count_missing(connection, work.collection.id)
    print(
        f"{count} faces of {work.collection.name} cannot be embedded anew; it stays as it is; what is done is kept. "
        "Name the bucket of their images (--images), or give them up (--drop-missing)."
    )
    return 1


def _embed(work: _Work) -> int:
    """Embed the faces that have no new embedding yet, as far as there are sources; returns how many it did."""
    done = _from_crops(work)
    return done + _from_images(work) if work.images else done


def _from_crops(work: _Work) -> int:
    done, after = 0, 0
    while True:
        with work.pool.connection() as connection:
            found = reembedding.missing_with_crops(connection, work.collection.id, after, _BLOCK_ROWS)
            kept = crops.of_faces(connection, work.secret_key, work.collection.id, [face_id for _, face_id in found])
        if not found:
            return done
        after = found[-1][0]
        face_ids, pictures = list(kept), list(kept.values())
        if pictures:
            embeddings = _patiently(partial(work.models.embed_crops, pictures, work.face_model_version))
            done += _store(work, dict(zip(face_ids, embeddings, strict=True)))


def _from_images(work: _Work) -> int:
    assert work.images is not None
    with work.pool.connection() as connection:
        if not reembedding.count_missing(connection, work.collection.id):
            return 0
    bucket, _, prefix = work.images.partition("/")
    done = 0
    for name in work.objects.names(work.owner, bucket, prefix):
        data = None
        if name not in work.known:
            data = _read(work, bucket, name)
            if data is None:
                continue
            work.known[name] = image_id(data)
        with work.pool.connection() as connection:
            boxes = reembedding.missing_of_image(connection, work.collection.id, work.known[name])
        if boxes.keys() <= work.unfound:
            continue
        data = data or _read(work, bucket, name)
        embeddings = {} if data is None else _found_again(boxes, _faces(work, data))
        work.unfound.update(boxes.keys() - embeddings.keys())
        done += _store(work, embeddings)
    return done


def _read(work: _Work, bucket: str, name: str) -> bytes | None:
    try:
        return work.objects.read(work.owner, bucket, name, None, MOST_OBJECT_BYTES)
    except (ObjectNotFound, ObjectTooLarge):
        return None


def _faces(work: _Work, data: bytes) -> Sequence[Face]:
    try:
        found = _patiently(
            lambda: work.models.faces(
                data, embed="all", min_side=LEAST_SIDE_PIXELS, face_model_version=work.face_model_version
            )
        )
    except (InvalidImage, ImageTooSmall, ImageDimensionsTooLarge):
        return ()
    return found.faces


def _found_again(boxes: dict[UUID, Box4], found: Sequence[Face]) -> dict[UUID, Embedding]:
    """The embeddings of those stored faces that are among the found ones, by their boxes."""
    embeddings: dict[UUID, Embedding] = {}
    for face_id, box in boxes.items():
        overlaps = [box.iou(Box4(one.box.left, one.box.top, one.box.width, one.box.height)) for one in found]
        best = max(range(len(found)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= LEAST_IOU:
            embedding = found[best].embedding
            if embedding is not None:
                embeddings[face_id] = embedding
    return embeddings


def _store(work: _Work, embeddings: dict[UUID, Embedding]) -> int:
    with work.pool.connection() as connection:
        reembedding.put(connection, work.collection.id, work.face_model_version, embeddings)
    work.progress.update(len(embeddings))
    return len(embeddings)


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """Asks the model server again while it is busy with others."""
    while True:
        try:
            return ask()
        except Overloaded:
            time.sleep(_PAUSE_SECONDS)
