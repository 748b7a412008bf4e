"""A file over ranged reads gives what a file in memory does."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ranged import FIRST_BYTES, MOST_BYTES, RangedReader

CONTENT = os.urandom(10 << 20)
STEPS = st.lists(
    st.tuples(st.just("read"), st.integers(0, 3 << 20))
    | st.tuples(st.just("seek"), st.integers(0, len(CONTENT) + 10))
    | st.tuples(st.just("skip"), st.integers(0, 1 << 20)),
    max_size=30,
)


@given(STEPS)
def test_it_reads_as_a_file_does(steps: list[tuple[str, int]]) -> None:
    spans: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(CONTENT)
        spans.append((start, end))
        return CONTENT[start:end]

    file, plain = io.BufferedReader(RangedReader(len(CONTENT), fetch)), io.BytesIO(CONTENT)
    for step, value in steps:
        if step == "read":
            assert file.read(value) == plain.read(value)
        else:
            whence = os.SEEK_SET if step == "seek" else os.SEEK_CUR
            assert file.seek(value, whence) == plain.seek(value, whence)


def test_it_fetches_ever_more_while_reading_goes_on_and_little_after_a_jump() -> None:
    sizes: list[int] = []

    def fetch(start: int, end: int) -> bytes:
        sizes.append(end - start)
        return CONTENT[start:end]

    file = RangedReader(len(CONTENT), fetch)
    while file.read(32 << 10):
        continue
    assert sizes[0] == FIRST_BYTES and max(sizes) == MOST_BYTES and sizes[:-1] == sorted(sizes[:-1])
    assert sum(sizes) == len(CONTENT)
    file.seek(0)
    file.read(1)
    assert sizes[-1] == FIRST_BYTES


def test_it_is_released_once() -> None:
    released: list[bool] = []
    with RangedReader(3, lambda start, end: b"abc"[start:end], lambda: released.append(True)) as file:
        assert file.read() == b"abc"
    file.close()
    assert released == [True]
    with pytest.raises(ValueError):
        file.read()
