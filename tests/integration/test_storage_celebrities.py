"""Celebrities in the database: put, renamed, replaced, removed, and unseen as a collection."""

import threading
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import celebrities, changes, collections, users
from storage.celebrities import GALLERY, Celebrity, Change, GalleryFace, Gender, ListedCelebrity
from storage.database import Pool
from storage.errors import CelebrityNotFound, OtherFaceModel, SeveralOfTheName, TooManyCollections
from storage.faces import Box4
from storage.tenant import Tenant
from vectorindex.follower import Follower

VERSION = "base-1"


def unit(seed: int) -> Any:
    vector = np.random.default_rng(seed).standard_normal(16, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def photographs(*seeds: int) -> list[GalleryFace]:
    return [GalleryFace(UUID(int=seed), Box4(0, 0, 1, 1), 99.0, unit(seed)) for seed in seeds]


def put(
    connection: Connection[Any],
    tenant: Tenant,
    name: str,
    *seeds: int,
    celebrity_id: str | None = None,
    gender: Gender = "unlisted",
    urls: tuple[str, ...] = (),
    keep: bool = False,
) -> tuple[str, Change]:
    return celebrities.put(
        connection,
        tenant,
        VERSION,
        name=name,
        celebrity_id=celebrity_id,
        gender=gender,
        urls=urls,
        new_faces=None if keep else photographs(*seeds),
    )


def vector_of(connection: Connection[Any], tenant: Tenant, celebrity_id: str) -> Any:
    gallery = celebrities.gallery(connection, tenant)
    assert gallery is not None
    return users.get(connection, gallery.id, celebrity_id).embedding


def test_from_the_first_import_to_the_last_removal(connection: Connection[Any], tenant: Tenant) -> None:
    assert celebrities.gallery(connection, tenant) is None and celebrities.all_of(connection, tenant) == []
    ann, change = put(connection, tenant, "Ann", 1, 2, gender="female", urls=("a.example", "b.example"))
    assert change == "added"
    assert celebrities.get(connection, tenant, ann) == Celebrity(ann, "Ann", "female", ["a.example", "b.example"])
    assert np.allclose(vector_of(connection, tenant, ann), users.mean([unit(1), unit(2)]))
    bob, _ = put(connection, tenant, "bob", 3, celebrity_id="Q1")
    assert celebrities.all_of(connection, tenant) == [
        ListedCelebrity(ann, "Ann", "female", ["a.example", "b.example"], 2),
        ListedCelebrity("Q1", "bob", "unlisted", [], 1),
    ]
    for word in ("Q1", "BOB", " bob "):
        assert celebrities.find(connection, tenant, word).id == bob
    gallery = celebrities.gallery(connection, tenant)
    assert gallery is not None and (gallery.user_count, gallery.face_count) == (2, 3)
    key = users.get(connection, gallery.id, bob).key
    assert celebrities.by_keys(connection, gallery.id, [key, uuid4()])[key].name == "bob"

    celebrities.remove(connection, tenant, ann)
    with pytest.raises(CelebrityNotFound):
        celebrities.get(connection, tenant, ann)
    gallery = celebrities.gallery(connection, tenant)
    assert gallery is not None and (gallery.user_count, gallery.face_count) == (1, 1)
    celebrities.remove_all(connection, tenant)
    assert celebrities.gallery(connection, tenant) is None
    with pytest.raises(CelebrityNotFound):
        celebrities.find(connection, tenant, "bob")
    celebrities.remove_all(connection, tenant)


def test_a_second_import_changes_only_what_differs(connection: Connection[Any], tenant: Tenant) -> None:
    ann, _ = put(connection, tenant, "Ann", 1, 2)
    before = celebrities.gallery(connection, tenant)
    assert put(connection, tenant, "ANN ", 2, 1) == (ann, "changed"), "the name is written differently"
    assert put(connection, tenant, "ANN ", 2, 1) == (ann, "unchanged")
    after = celebrities.gallery(connection, tenant)
    assert before is not None and after is not None and before.version == after.version, "no vector changed"
    assert put(connection, tenant, "ANN ", 2, 3) == (ann, "changed")
    assert np.allclose(vector_of(connection, tenant, ann), users.mean([unit(2), unit(3)]))
    assert [face.image_id.int for face in celebrities.faces_of(connection, tenant, ann)] == [2, 3]
    assert put(connection, tenant, "Ann", gender="female", keep=True) == (ann, "changed")
    assert len(celebrities.faces_of(connection, tenant, None, "ann")) == 2
    assert put(connection, tenant, "Anna", 2, 3, celebrity_id=ann) == (ann, "changed")
    assert celebrities.find(connection, tenant, "anna").id == ann
    with pytest.raises(CelebrityNotFound):
        put(connection, tenant, "nobody", keep=True)
    with pytest.raises(CelebrityNotFound):
        put(connection, tenant, "nobody")


def test_two_of_one_name_are_told_apart_by_ids_alone(connection: Connection[Any], tenant: Tenant) -> None:
    for celebrity_id in ("A", "B"):
        put(connection, tenant, "Ann", 1, celebrity_id=celebrity_id)
    with pytest.raises(SeveralOfTheName, match="A, B"):
        put(connection, tenant, "ann", 2)
    with pytest.raises(SeveralOfTheName):
        celebrities.find(connection, tenant, "ann")
    assert celebrities.find(connection, tenant, "B").id == "B"


def test_an_id_that_another_name_has_is_not_given_twice(connection: Connection[Any], tenant: Tenant) -> None:
    first = next(celebrities.derived_ids("Ann"))
    put(connection, tenant, "Bob", 1, celebrity_id=first)
    ann, _ = put(connection, tenant, "Ann", 2)
    assert ann not in (first, "") and put(connection, tenant, "Ann", 2) == (ann, "unchanged")


def test_faces_of_another_model_do_not_mix(connection: Connection[Any], tenant: Tenant) -> None:
    put(connection, tenant, "Ann", 1)
    with pytest.raises(OtherFaceModel):
        celebrities.put(
            connection,
            tenant,
            "base-2",
            name="Bob",
            celebrity_id=None,
            gender="male",
            urls=[],
            new_faces=photographs(2),
        )
    assert [one.name for one in celebrities.all_of(connection, tenant)] == ["Ann"]


def test_a_person_comes_as_a_whole_or_not_at_all(connection: Connection[Any], tenant: Tenant) -> None:
    put(connection, tenant, "Ann", 1)
    gallery = celebrities.gallery(connection, tenant)
    broken = [*photographs(2), GalleryFace(uuid4(), Box4(0, 0, 1, 1), 99.0, unit(3) * 2)]
    for name in ("Ann", "Bob"):
        with pytest.raises(ValueError, match="unit length"):
            celebrities.put(
                connection, tenant, VERSION, name=name, celebrity_id=None, gender="male", urls=[], new_faces=broken
            )
    assert celebrities.gallery(connection, tenant) == gallery
    assert celebrities.all_of(connection, tenant) == [
        ListedCelebrity(celebrities.find(connection, tenant, "Ann").id, "Ann", "unlisted", [], 1)
    ]


def test_the_gallery_is_no_collection_to_callers(connection: Connection[Any], tenant: Tenant) -> None:
    put(connection, tenant, "Ann", 1)
    collections.create(connection, tenant, "c", VERSION, limit=1)
    assert [one.name for one in collections.page(connection, tenant, None, 10)] == ["c"]
    with pytest.raises(TooManyCollections):
        collections.create(connection, tenant, "d", VERSION, limit=1)
    other = Tenant(tenant.account, "us-west-2")
    assert celebrities.all_of(connection, other) == []


def test_a_removed_gallery_leaves_no_row(connection: Connection[Any], tenant: Tenant) -> None:
    put(connection, tenant, "Ann", 1, 2)
    celebrities.remove_all(connection, tenant)
    while collections.purge_deleted(connection, 100):
        pass
    for table in ("celebrities", "users", "faces", "collection_changes"):
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert row == (0,), table


def test_the_index_follows(connection: Connection[Any], pool: Pool, tenant: Tenant, tmp_path: Any) -> None:
    follower = Follower(pool, tmp_path)
    ann, _ = put(connection, tenant, "Ann", 1, 2)
    put(connection, tenant, "Bob", 3)

    def nearest(vector: Any) -> list[str]:
        gallery = celebrities.gallery(connection, tenant)
        assert gallery is not None
        indexes, _ = follower.at_least(gallery.id, gallery.version)
        ids, _ = indexes["users"].search(vector, 1, 0.9)
        keys = [UUID(bytes=one.tobytes()) for one in ids]
        return [one.name for one in celebrities.by_keys(connection, gallery.id, keys).values()]

    assert nearest(unit(3)) == ["Bob"] and nearest(users.mean([unit(1), unit(2)])) == ["Ann"]
    put(connection, tenant, "Ann", 4)
    assert nearest(unit(4)) == ["Ann"] and nearest(users.mean([unit(1), unit(2)])) == []
    celebrities.remove(connection, tenant, ann)
    assert nearest(unit(4)) == []
    gallery = celebrities.gallery(connection, tenant)
    assert gallery is not None
    with changes.gallery(connection, gallery.id, 10) as rows:
        assert {kind: sum(len(block.ids) for block in blocks) for kind, blocks in rows.blocks.items()} == {
            "faces": 1,
            "users": 1,
        }


def test_importers_at_the_same_time(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    start = threading.Barrier(4)

    def load(first: int) -> None:
        start.wait()
        for n in range(first, first + 5):
            with pool.connection() as connection:
                put(connection, tenant, f"Person {n % 10}", n % 10 + 1)

    run_in_threads([partial(load, first) for first in (0, 5, 3, 8)])
    with pool.connection() as connection:
        assert len(celebrities.all_of(connection, tenant)) == 10
        gallery = collections.get(connection, tenant, GALLERY)
    assert (gallery.user_count, gallery.face_count) == (10, 10)
