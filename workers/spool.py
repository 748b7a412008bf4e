"""Keeps results outside of memory until they are all there."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile

from inference import wire
from storage.jobs import Result

IN_MEMORY_BYTES = 16 * 1024 * 1024
_LENGTH_BYTES = 4


@contextmanager
def spooled(results: Iterable[Result]) -> Iterator[Callable[[], Iterator[Result]]]:
    """Takes all of `results`; gives a function that iterates over them anew each time.

    The file behind it has no name, and goes with the `with` block.
    """
    with SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
        for result in results:
            data = wire.encode(result)
            file.write(len(data).to_bytes(_LENGTH_BYTES))
            file.write(data)

        def again() -> Iterator[Result]:
            file.seek(0)
            while length := file.read(_LENGTH_BYTES):
                yield wire.decode(file.read(int.from_bytes(length)), Result)

        yield again
