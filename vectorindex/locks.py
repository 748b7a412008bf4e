"""A lock for many readers or one writer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Held by any number of readers, `with` the lock, or by one writer, who goes before readers that come later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._readers = 0
        self._writers = 0  # active or waiting
        self._writing = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            while self._writers:
                self._changed.wait()
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._writers:
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            self._writers += 1
        try:
            with self._writing:
                with self._changed:
                    self._changed.wait_for(lambda: not self._readers)
                yield
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()
