"""Collections move between machines and face models, and what is deleted is gone, as an SDK and the command see it."""

import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from PIL import Image

from benchmarks import own_stack
from benchmarks.own_stack import Stack
from storage import database
from storage.database import Pool
from storage.vectors import Vector
from workers import maintenance

ALL = {"FaceMatchThreshold": 0.0, "MaxFaces": 4096}


@pytest.fixture(scope="module")
def stack(second_model: Any) -> Iterator[Stack]:
    """A stack that has two face models; new collections are of the one of `base`."""
    with two_model_stack(second_model) as stack:
        yield stack


@contextmanager
def two_model_stack(second_model: Any) -> Iterator[Stack]:
    variables = {
        "OPENREK_MODELS_DIR": str(second_model.models_dir),
        "OPENREK_FACE_PACKS": str(second_model.catalogue),
    }
    with tempfile.TemporaryDirectory(prefix="rek") as folder, own_stack.serve(Path(folder), **variables) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Any:
    return stack.endpoint.client(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def pool(stack: Stack) -> Iterator[Pool]:
    with database.open_pool(stack.database_url, 2) as pool:
        yield pool


@pytest.fixture
def name(client: Any) -> Iterator[str]:
    """An empty collection, which may be gone afterwards."""
    name = f"owned-{uuid4()}"
    client.create_collection(CollectionId=name, Tags={"team": "door"})
    yield name
    if name in client.list_collections()["CollectionIds"]:
        client.delete_collection(CollectionId=name)


@pytest.fixture
def people(client: Any, name: str, collins: bytes, hopper: bytes, group: bytes) -> dict[str, list[str]]:
    """Faces of two people in the collection, by person; the users ann, who has faces, and bob, who has none."""
    by_person = {
        "collins": _index(client, name, collins, "one/a") + _index(client, name, collins, "b"),
        "hopper": _index(client, name, hopper, "c"),
        "both": _index(client, name, group, None),
    }
    for user in ("ann", "bob"):
        client.create_user(CollectionId=name, UserId=user)
    client.associate_faces(CollectionId=name, UserId="ann", FaceIds=by_person["collins"])
    return by_person


def openrek(stack: Stack, *arguments: str, code: int = 0) -> str:
    """What an `openrek collections` command says."""
    command = [sys.executable, "-m", "openrek", "collections", *arguments]
    done = subprocess.run(command, env=dict(stack.environment), capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _index(client: Any, name: str, data: bytes, external_id: str | None) -> list[str]:
    named = {} if external_id is None else {"ExternalImageId": external_id.replace("/", ":")}
    answer = client.index_faces(CollectionId=name, Image={"Bytes": data}, **named)
    return [record["Face"]["FaceId"] for record in answer["FaceRecords"]]


def _answers(client: Any, name: str, people: dict[str, list[str]], picture: bytes) -> list[Any]:
    """What clients see of a collection, without its name and the time of the request."""
    face_ids = [face_id for ids in people.values() for face_id in ids]
    at = {"CollectionId": name}
    answers = [
        client.list_faces(**at),
        client.list_faces(**at, UserId="ann"),
        client.list_users(**at),
        client.search_faces_by_image(**at, Image={"Bytes": picture}, **ALL),
        client.search_users_by_image(**at, Image={"Bytes": picture}, UserMatchThreshold=0),
        client.search_users(**at, UserId="ann", UserMatchThreshold=0),
        *(client.search_faces(**at, FaceId=face_id, **ALL) for face_id in face_ids),
        *(client.search_users(**at, FaceId=face_id, UserMatchThreshold=0) for face_id in face_ids),
        client.describe_collection(**at),
    ]
    for answer in answers:
        answer.pop("ResponseMetadata")
        answer.pop("CollectionARN", None)
    return answers


def test_a_collection_that_went_through_a_file_answers_alike(
    stack: Stack, client: Any, name: str, people: dict[str, list[str]], group: bytes, tmp_path: Path
) -> None:
    before = _answers(client, name, people, group)
    file = tmp_path / "staff.rekcoll"
    assert "5 faces, 2 users and 0 crops" in openrek(stack, "export", name, str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "is there already" in openrek(stack, "export", name, str(file), code=1)
    assert "exists already" in openrek(stack, "import", str(file), code=1)
    client.delete_collection(CollectionId=name)
    openrek(stack, "import", str(file))
    assert _answers(client, name, people, group) == before
    (arn,) = [client.describe_collection(CollectionId=name)["CollectionARN"]]
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"team": "door"}
    copy = f"{name}-copy"
    openrek(stack, "import", str(file), "--as", copy)
    assert _answers(client, copy, people, group) == before
    for one in (name, copy):
        assert "rows and index agree on 5 faces and 1 user vectors" in openrek(stack, "verify", one)
    # What is written afterwards is of the copy alone.
    client.delete_faces(CollectionId=copy, FaceIds=people["hopper"])
    assert len(client.search_faces_by_image(CollectionId=copy, Image={"Bytes": group}, **ALL)["FaceMatches"]) == 4
    assert _answers(client, name, people, group) == before
    listed = [line.split() for line in openrek(stack, "list").splitlines()]
    assert [copy, "000000000000", "us-east-1", "4", "faces", "2", "users", "model", "7.1"] in listed
    client.delete_collection(CollectionId=copy)


def test_a_collection_moves_to_another_machine_with_its_crops(
    stack: Stack, client: Any, name: str, second_model: Any, group: bytes, tmp_path: Path, request: Any
) -> None:
    openrek(stack, "keep-crops", name, "on")
    people: dict[str, list[str]] = request.getfixturevalue("people")
    before = _answers(client, name, people, group)
    without, with_crops = tmp_path / "without", tmp_path / "with"
    openrek(stack, "export", name, str(without))
    openrek(stack, "export", name, str(with_crops), "--with-crops")
    assert with_crops.read_bytes().count(b"\x89PNG") == 5 and b"\x89PNG" not in without.read_bytes()
    with two_model_stack(second_model) as other:
        elsewhere = other.endpoint.client(retries={"total_max_attempts": 1})
        assert elsewhere.list_collections()["CollectionIds"] == []
        openrek(other, "import", str(with_crops))
        assert _answers(elsewhere, name, people, group) == before
        assert "keeps crops (5)" in openrek(other, "list")
        openrek(other, "import", str(without), "--as", "bare")
        assert "no crop and no image" in openrek(other, "reembed", "bare", "--to", "7.99", code=1)
        # The crops are sealed with the key of the other machine by now.
        openrek(other, "reembed", name, "--to", second_model.face_model_version)
        _assert_alike(before, _answers(elsewhere, name, people, group), second_model.face_model_version)
        openrek(other, "keep-crops", name, "off")
        assert "keeps crops" not in openrek(other, "list")
        moved = tmp_path / "moved"
        openrek(other, "export", name, str(moved))
    base_alone = {name: value for name, value in stack.environment.items() if name != "OPENREK_FACE_PACKS"}
    command = [sys.executable, "-m", "openrek", "collections", "import", str(moved), "--as", "other"]
    refused = subprocess.run(command, env=base_alone, capture_output=True, text=True)
    assert refused.returncode == 1 and "is of face model 7.99; served here: 7.1" in refused.stderr


def test_a_file_that_is_not_as_it_was_written_changes_nothing(
    stack: Stack, client: Any, name: str, people: dict[str, list[str]], tmp_path: Path
) -> None:
    file, bad = tmp_path / "staff.rekcoll", tmp_path / "bad.rekcoll"
    openrek(stack, "export", name, str(file))
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[:-1], whole[: len(whole) // 2], bytes(flipped), whole + b"x", b"", b"openrek collection 2\n"):
        bad.write_bytes(content)
        assert "bad.rekcoll" in openrek(stack, "import", str(bad), "--as", f"{name}-bad", code=1)
    assert f"{name}-bad" not in client.list_collections()["CollectionIds"]


def test_an_index_that_differs_from_the_rows_is_found_out(
    stack: Stack, client: Any, name: str, people: dict[str, list[str]]
) -> None:
    assert "agree on 5 faces" in openrek(stack, "verify", name)
    face = people["hopper"][0]
    with psycopg.connect(stack.database_url) as connection:
        behind_the_log = "UPDATE faces SET embedding[1] = -embedding[1] WHERE face_id = %s"
        connection.execute(behind_the_log, [face])
    assert f"faces: the index has another vector of {face}" in openrek(stack, "verify", name, code=1)
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("DELETE FROM faces WHERE face_id = %s", [face])
    said = openrek(stack, "verify", name, code=1)
    assert f"faces: the index has {face}, which is not stored" in said and "counts 5 faces and has 4" in said


@pytest.mark.parametrize("source", ["crops", "images"])
def test_a_collection_moves_to_another_face_model(
    stack: Stack,
    client: Any,
    pool: Pool,
    second_model: Any,
    name: str,
    source: str,
    collins: bytes,
    hopper: bytes,
    group: bytes,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    version, images = second_model.face_model_version, []
    if source == "crops":
        openrek(stack, "keep-crops", name, "on")
    else:
        for number, picture in enumerate((collins, hopper, group, b"no picture")):
            (tmp_path / "in").mkdir(exist_ok=True)
            (tmp_path / "in" / f"{number}.jpg").write_bytes(picture)
        command = [sys.executable, "-m", "openrek", "buckets", "add", name, str(tmp_path)]
        subprocess.run(command, env=dict(stack.environment), check=True, capture_output=True)
        images = ["--images", f"{name}/in"]
    people: dict[str, list[str]] = request.getfixturevalue("people")
    before = _answers(client, name, people, group)
    old = _embeddings(pool, name)
    with searching(client, name, group) as searches:
        openrek(stack, "reembed", name, "--to", version, *images)
    assert len(searches) > 1
    new = _embeddings(pool, name)
    assert new.keys() == old.keys() and {len(vector) for vector in new.values()} == {second_model.dimension}
    cosines = [[float(np.dot(a[one], a[two])) for one in a for two in a] for a in (old, new)]
    np.testing.assert_allclose(cosines[0], cosines[1], atol=2e-3)
    _assert_alike(before, _answers(client, name, people, group), version)
    assert "agree on 5 faces and 1 user vectors" in openrek(stack, "verify", name)
    assert "already" in openrek(stack, "reembed", name, "--to", version)
    _index(client, name, hopper, "later")
    assert "agree on 6 faces" in openrek(stack, "verify", name)


def test_a_face_without_a_source_keeps_the_collection_as_it_is_unless_it_is_given_up(
    stack: Stack, client: Any, name: str, second_model: Any, collins: bytes, hopper: bytes, group: bytes
) -> None:
    version = second_model.face_model_version
    (without,) = _index(client, name, collins, None)
    openrek(stack, "keep-crops", name, "on")
    (with_crop,) = _index(client, name, hopper, None)
    client.create_user(CollectionId=name, UserId="ann")
    client.associate_faces(CollectionId=name, UserId="ann", FaceIds=[without])
    said = openrek(stack, "reembed", name, "--to", version, code=1)
    assert f"no crop and no image of face {without}" in said and with_crop not in said
    assert client.describe_collection(CollectionId=name)["FaceModelVersion"] == "7.1"
    assert "has not loaded face model 9.9" in openrek(stack, "reembed", name, "--to", "9.9", code=1)
    openrek(stack, "reembed", name, "--to", version, "--drop-missing")
    assert [face["FaceId"] for face in client.list_faces(CollectionId=name)["Faces"]] == [with_crop]
    (user,) = client.list_users(CollectionId=name)["Users"]
    assert user == {"UserId": "ann", "UserStatus": "CREATED"}
    assert "agree on 1 faces and 0 user vectors" in openrek(stack, "verify", name)


def test_a_move_that_was_killed_is_taken_up_again(
    stack: Stack, client: Any, pool: Pool, name: str, second_model: Any, crowd: bytes
) -> None:
    openrek(stack, "keep-crops", name, "on")
    face_ids = _index(client, name, crowd, None)

    def done() -> int:
        with pool.connection() as connection:
            row = connection.execute("SELECT count(*) FROM new_embeddings").fetchone()
            assert row is not None
            return int(row[0])

    command = [sys.executable, "-m", "openrek", "collections", "reembed", name, "--to", second_model.face_model_version]
    first = subprocess.Popen(command, env=dict(stack.environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None and not done():
        time.sleep(0.002)
    first.kill()
    first.wait()
    before = done()
    assert 0 < before < len(face_ids)
    assert client.describe_collection(CollectionId=name)["FaceModelVersion"] == "7.1"
    assert len(client.search_faces(CollectionId=name, FaceId=face_ids[0], **ALL)["FaceMatches"]) == len(face_ids) - 1
    openrek(stack, "reembed", name, "--to", second_model.face_model_version)
    assert client.describe_collection(CollectionId=name)["FaceModelVersion"] == second_model.face_model_version
    assert f"agree on {len(face_ids)} faces" in openrek(stack, "verify", name)
    assert done() == 0


def test_faces_indexed_during_the_move_are_moved_too(
    stack: Stack, client: Any, name: str, second_model: Any, collins: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    openrek(stack, "keep-crops", name, "on")
    picture = Image.open(io.BytesIO(collins))
    indexed, gone = _index(client, name, collins, "0"), threading.Event()

    def index() -> None:
        number = 0
        while not gone.is_set():
            number += 1
            indexed.extend(_index(client, name, as_jpeg(picture.resize((300 + number, 300 + number))), None))

    writing = threading.Thread(target=index)
    writing.start()
    try:
        openrek(stack, "reembed", name, "--to", second_model.face_model_version)
    finally:
        gone.set()
        writing.join()
    assert {face["FaceId"] for face in client.list_faces(CollectionId=name)["Faces"]} == set(indexed)
    assert len(indexed) > 2
    assert f"agree on {len(indexed)} faces" in openrek(stack, "verify", name)
    found = client.search_faces(CollectionId=name, FaceId=indexed[0], **ALL)["FaceMatches"]
    assert len(found) == len(indexed) - 1 and min(match["Similarity"] for match in found) > 99


@pytest.mark.parametrize("way", ["DeleteFaces", "DeleteCollection"])
def test_what_is_deleted_leaves_nothing_behind(
    stack: Stack, client: Any, pool: Pool, name: str, way: str, request: pytest.FixtureRequest
) -> None:
    openrek(stack, "keep-crops", name, "on")
    people: dict[str, list[str]] = request.getfixturevalue("people")
    face_ids = [face_id for ids in people.values() for face_id in ids]
    client.search_users_by_image(CollectionId=name, Image={"Bytes": request.getfixturevalue("group")})
    with pool.connection() as connection:
        of_collection = "FROM {} JOIN collections USING (collection_id) WHERE name = %s"
        vectors = list(_embeddings(pool, name).values())
        users = connection.execute("SELECT embedding " + of_collection.format("users"), [name]).fetchall()
        crops = connection.execute("SELECT sealed " + of_collection.format("face_crops"), [name]).fetchall()
        row = connection.execute("SELECT collection_id FROM collections WHERE name = %s", [name]).fetchone()
    assert row is not None
    traces = _traces([*vectors, *(vector for (vector,) in users if vector is not None)])
    sealed = {f"crop {number}": bytes(crop)[:64] for number, (crop,) in enumerate(crops)}
    assert len(vectors) == len(sealed) == 5 and len(traces) == 3 * 6
    ids = {face_id: UUID(face_id) for face_id in face_ids}
    # The search for traces finds them while they are there.
    assert _found_in_tables(pool, traces | sealed) >= {"vector 0, hexadecimal", "crop 4"}

    if way == "DeleteFaces":
        client.disassociate_faces(CollectionId=name, UserId="ann", FaceIds=people["collins"])
        client.delete_faces(CollectionId=name, FaceIds=face_ids)
        client.delete_user(CollectionId=name, UserId="ann")
    else:
        client.delete_collection(CollectionId=name)
    for tidy in (maintenance.purge_deleted_collections, maintenance.vacuum):
        tidy(pool)

    assert _found_in_tables(pool, traces | sealed) == set()
    # Ids of faces, which are random numbers, stay in the log of a collection and in answers to requests with a token.
    of_ids = {"collection_changes", "idempotency_tokens"} if way == "DeleteFaces" else set()
    assert _tables_with(pool, ids.values()) == of_ids
    assert _tables_with_user(pool, row[0], "ann") == set()
    assert _found_in_files(stack.home / "vectorindex", traces) == set()
    words = {face_id: face_id.encode() for face_id in face_ids} | {"external id": b"one:a", "user": b'"ann"'}
    assert _found_in_files(stack.home / "logs", traces | sealed | words) == set()


def _traces(vectors: list[Vector]) -> dict[str, bytes]:
    """The first numbers of vectors, as files, PostgreSQL and its dumps show them."""
    found: dict[str, bytes] = {}
    for number, vector in enumerate(vectors):
        found[f"vector {number}, little endian"] = vector[:8].astype("<f4").tobytes()
        found[f"vector {number}, big endian"] = vector[:8].astype(">f4").tobytes()
        found[f"vector {number}, hexadecimal"] = vector[:8].astype("<f4").tobytes().hex().encode()
    return found


def _tables(connection: Any) -> list[str]:
    query = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    return [table for (table,) in connection.execute(query)]


def _found_in_tables(pool: Pool, traces: dict[str, bytes]) -> set[str]:
    """Which of some bytes are in a column of any row of any table: a bytea, or an array of numbers as text or bytes."""
    found: set[str] = set()
    with pool.connection() as connection:
        for table in _tables(connection):
            columns = connection.execute(
                "SELECT quote_ident(attname), atttypid::regtype::text FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [table],
            ).fetchall()
            for column, kind in columns:
                for (value,) in connection.execute(f"SELECT {column} FROM {table}".encode()):
                    if value is None:
                        continue
                    text = value.astype("<f4").tobytes() if kind == "real[]" else value
                    data = bytes(text) if isinstance(text, bytes | memoryview) else str(text).encode()
                    forms = (data, data.hex().encode())
                    found |= {trace for trace, needle in traces.items() if any(needle in form for form in forms)}
    return found


def _tables_with(pool: Pool, ids: Iterable[UUID]) -> set[str]:
    """The tables that have a row in which one of the ids stands."""
    wanted = [str(one) for one in ids]
    with pool.connection() as connection:
        return {
            table
            for table in _tables(connection)
            for (row,) in connection.execute(f"SELECT t::text FROM {table} AS t".encode())
            if any(one in row for one in wanted)
        }


def _tables_with_user(pool: Pool, collection_id: int, user_id: str) -> set[str]:
    with pool.connection() as connection:
        return {
            table
            for table in ("users", "faces")
            if connection.execute(
                f"SELECT FROM {table} WHERE collection_id = %s AND user_id = %s".encode(), [collection_id, user_id]
            ).fetchone()
        }


def _found_in_files(folder: Path, traces: dict[str, bytes]) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found |= {f"{trace} in {path.name}" for trace, needle in traces.items() if needle in content}
    return found


@contextmanager
def searching(client: Any, name: str, picture: bytes) -> Iterator[list[int]]:
    """Searches one after another, in a thread, inside the `with` block; each has to find all five faces."""
    stop, found = threading.Event(), list[int]()

    def search() -> None:
        while not stop.is_set():
            matches = client.search_faces_by_image(CollectionId=name, Image={"Bytes": picture}, **ALL)["FaceMatches"]
            found.append(len(matches))

    with ThreadPoolExecutor(1) as thread:
        searches = thread.submit(search)
        try:
            yield found
        finally:
            stop.set()
        searches.result()
    assert set(found) == {5}


def _embeddings(pool: Pool, name: str) -> dict[UUID, Vector]:
    with pool.connection() as connection:
        query = (
            "SELECT face_id, embedding FROM faces JOIN collections USING (collection_id) WHERE name = %s ORDER BY seq"
        )
        return dict(connection.execute(query, [name]).fetchall())


def _assert_alike(before: Any, after: Any, version: str) -> None:
    """Answers of two models agree but for the version, and for the last digits of similarities."""
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        for key, value in before.items():
            if key in ("FaceModelVersion", "IndexFacesModelVersion"):
                assert after[key] == version
            else:
                _assert_alike(value, after[key], version)
    elif isinstance(before, list):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            _assert_alike(one, other, version)
    elif isinstance(before, float):
        assert after == pytest.approx(before, abs=0.1)
    else:
        assert after == before
