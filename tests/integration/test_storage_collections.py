from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from psycopg import Connection

from storage import collections, faces, tags
from storage.database import Pool
from storage.errors import CollectionExists, CollectionNotFound, TooManyCollections, TooManyTags
from storage.faces import Box4, NewFace
from storage.tenant import Tenant

LIMIT = 1000
ELSEWHERE = Tenant("123456789012", "us-east-1")
SOMEONE_ELSE = Tenant("999999999999", "eu-central-1")


def new_face(seed: int = 0, left: float = 0.1) -> NewFace:
    vector = np.random.default_rng(seed).standard_normal(8, dtype=np.float32)
    return NewFace(Box4(left, 0.2, 0.3, 0.4), 99.0, vector / np.linalg.norm(vector))


def test_what_was_created_is_found(connection: Connection[Any], tenant: Tenant) -> None:
    created = collections.create(connection, tenant, "Friends", "base-1")
    assert (created.name, created.face_model_version, created.version) == ("Friends", "base-1", 0)
    assert (created.face_count, created.user_count, created.dimension) == (0, 0, None)
    assert created.created_at.tzinfo is not None
    assert collections.get(connection, tenant, "Friends") == created


def test_names_are_case_sensitive_and_unique_within_a_tenant_only(connection: Connection[Any], tenant: Tenant) -> None:
    ids = {
        collections.create(connection, owner, name, "base-1").id
        for owner in (tenant, ELSEWHERE, SOMEONE_ELSE)
        for name in ("a", "A")
    }
    assert len(ids) == 6
    with pytest.raises(CollectionExists):
        collections.create(connection, tenant, "a", "base-1")


@pytest.mark.parametrize("stranger", [ELSEWHERE, SOMEONE_ELSE])
def test_nobody_reaches_the_collections_of_another(
    connection: Connection[Any], tenant: Tenant, stranger: Tenant
) -> None:
    collections.create(connection, tenant, "mine", "base-1", {"k": "v"})
    assert collections.page(connection, stranger, None, 10) == []
    assert tags.all_of(connection, stranger, tags.of_collection("mine")) == {}
    for reach in (
        lambda: collections.get(connection, stranger, "mine"),
        lambda: collections.delete(connection, stranger, "mine"),
        lambda: faces.add(connection, stranger, "mine", uuid4(), None, [new_face()], LIMIT),
        lambda: faces.delete(connection, stranger, "mine", [uuid4()]),
    ):
        with pytest.raises(CollectionNotFound):
            reach()


def test_pages_follow_the_bytes_of_the_names(connection: Connection[Any], tenant: Tenant) -> None:
    names = ["b", "B", "a-1", "a.1", "a_1", "Z", "10", "9"]
    for name in names:
        collections.create(connection, tenant, name, "base-1")
    seen: list[str] = []
    after = None
    while page := collections.page(connection, tenant, after, 3):
        assert len(page) <= 3
        seen += [collection.name for collection in page]
        after = page[-1].id
        # a page goes on behind a collection that is gone by then
        collections.delete(connection, tenant, page[-1].name)
        purge(connection, collections.NAME_KEPT)
    assert seen == sorted(names)


def test_the_number_of_collections_is_limited_per_tenant(connection: Connection[Any], tenant: Tenant) -> None:
    for name in ("a", "b"):
        collections.create(connection, tenant, name, "base-1", limit=2)
        collections.create(connection, ELSEWHERE, name, "base-1", limit=2)
    with pytest.raises(TooManyCollections):
        collections.create(connection, tenant, "c", "base-1", limit=2)
    assert [collection.name for collection in collections.page(connection, tenant, None, 10)] == ["a", "b"]
    collections.delete(connection, tenant, "a")
    collections.create(connection, tenant, "c", "base-1", limit=2)


def test_only_one_of_many_creators_wins(pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            with pool.connection() as connection:
                collections.create(connection, tenant, "wanted", "base-1")
            outcomes.append("created")
        except CollectionExists:
            outcomes.append("exists")

    run_in_threads([create] * 8)
    assert sorted(outcomes) == ["created"] + ["exists"] * 7


def test_a_deleted_name_is_free_at_once_and_new_collections_start_empty(
    connection: Connection[Any], tenant: Tenant
) -> None:
    old = collections.create(connection, tenant, "name", "base-1", {"k": "v"})
    image_id = uuid4()
    faces.add(connection, tenant, "name", image_id, None, [new_face()], LIMIT)
    collections.delete(connection, tenant, "name")
    with pytest.raises(CollectionNotFound):
        collections.get(connection, tenant, "name")
    with pytest.raises(CollectionNotFound):
        collections.delete(connection, tenant, "name")

    new = collections.create(connection, tenant, "name", "base-2")
    assert new.id != old.id
    assert (new.face_count, new.version, new.face_model_version) == (0, 0, "base-2")
    assert faces.page(connection, tenant, "name", 0, 10) == []
    assert tags.all_of(connection, tenant, tags.of_collection("name")) == {}

    _, stored = faces.add(connection, tenant, "name", image_id, None, [new_face()], LIMIT)
    purge(connection)
    assert collections.get(connection, tenant, "name").face_count == 1
    assert [face for _, face in faces.page(connection, tenant, "name", 0, 10)] == stored


def test_purging_removes_every_row_of_deleted_collections_in_batches(
    connection: Connection[Any], tenant: Tenant
) -> None:
    for name in ("gone", "kept"):
        collection = collections.create(connection, tenant, name, "base-1")
        for number in range(7):
            faces.add(connection, tenant, name, uuid4(), None, [new_face(number)], LIMIT)
        connection.execute("INSERT INTO users VALUES (%s, 'someone')", [collection.id])
        connection.execute("UPDATE faces SET user_id = 'someone' WHERE collection_id = %s", [collection.id])
    collections.delete(connection, tenant, "gone")
    before = connection.execute("SELECT count(*) FROM faces").fetchone()
    assert before == (14,), "a deletion leaves the rows to the purge"

    assert 0 < collections.purge_deleted(connection, 3, timedelta(0)) <= 12
    purge(connection)
    for table, left in (("faces", 7), ("users", 1), ("collection_changes", 7), ("collections", 1)):
        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (left,), table


def test_tags_of_a_new_collection_are_kept_or_none(connection: Connection[Any], tenant: Tenant) -> None:
    collections.create(connection, tenant, "tagged", "base-1", {"k": "v"})
    assert tags.all_of(connection, tenant, tags.of_collection("tagged")) == {"k": "v"}
    with pytest.raises(TooManyTags):
        collections.create(connection, tenant, "never", "base-1", {str(number): "" for number in range(201)})
    with pytest.raises(CollectionNotFound):
        collections.get(connection, tenant, "never")


def purge(connection: Connection[Any], keep_names: timedelta = timedelta(0)) -> None:
    while collections.purge_deleted(connection, 3, keep_names):
        pass
