"""The file that a collection travels in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrek import collection_file
from openrek.collection_file import Crop, FileUnusable, Header
from storage.transfer import MovedFace, MovedUser

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(max_size=8)
RATIOS = st.floats(-1, 2, width=32)


def vectors(dimension: int) -> Any:
    numbers = st.lists(st.floats(-1, 1, width=32), min_size=dimension, max_size=dimension)
    return numbers.map(lambda row: np.array(row, np.float32))


def faces(dimension: int) -> Any:
    box = [RATIOS] * 5
    return st.builds(MovedFace, st.uuids(), st.uuids(), st.none() | TEXTS, *box, st.none() | TEXTS, vectors(dimension))


def users(dimension: int) -> Any:
    return st.builds(MovedUser, st.uuids(), TEXTS, TIMES, st.none() | vectors(dimension))


def plain(row: Any) -> dict[str, Any]:
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in vars(row).items()}


HEADER = Header("staff", "7.1", 4, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=7), 1, 1, 1, {"a": "b"})
USER = MovedUser(UUID(int=1), "ann", HEADER.created_at, np.ones(4, np.float32))
FACE = MovedFace(UUID(int=2), UUID(int=3), None, 0.0, 0.1, 0.2, 0.3, 99.0, "ann", np.ones(4, np.float32))


@settings(max_examples=30, deadline=None)
@given(st.lists(users(4), max_size=4), st.lists(faces(4), max_size=7), st.lists(st.binary(max_size=9), max_size=3))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, people: list[MovedUser], rows: list[MovedFace], pictures: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("file") / "c"
    crops = [Crop(UUID(int=number), png) for number, png in enumerate(pictures)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection_file, "_BLOCK_ROWS", dict.fromkeys((b"u", b"f", b"c"), 2))
        collection_file.write(path, HEADER, iter(people), iter(rows), iter(crops))
    assert collection_file.check(path) == HEADER
    blocks = list(collection_file.blocks(path))
    assert all(len(block.users) + len(block.faces) + len(block.crops) in (1, 2) for block in blocks)
    for written, member in ((people, "users"), (rows, "faces"), (crops, "crops")):
        assert [plain(row) for block in blocks for row in getattr(block, member)] == [plain(row) for row in written]


def test_a_file_of_which_a_byte_is_missing_changed_or_added_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    collection_file.write(path, HEADER, [USER], [FACE], [Crop(FACE.face_id, b"png")])
    whole = path.read_bytes()
    assert collection_file.check(path) == HEADER
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(FileUnusable):
            collection_file.check(path)
        path.write_bytes(whole[:place])
        with pytest.raises(FileUnusable):
            collection_file.check(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(FileUnusable):
        collection_file.check(path)


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Any:
        yield FACE
        raise RuntimeError

    with pytest.raises(RuntimeError):
        collection_file.write(tmp_path / "c", HEADER, [USER], broken(), [])
    with pytest.raises(FileUnusable):
        collection_file.write(tmp_path / "nowhere" / "c", HEADER, [], [], [])
    assert list(tmp_path.iterdir()) == []
