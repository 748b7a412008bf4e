"""How much of a part of a video has been read."""

import os
from typing import Any, BinaryIO


class Watched:
    """A file of which one part in `parts` of about the same size is read; `progress` is the share of it, 0..1."""

    def __init__(self, file: BinaryIO, parts: int) -> None:
        self._file, self._read = file, 0
        self._expected = max(1, file.seek(0, os.SEEK_END) // max(1, parts))
        file.seek(0)

    @property
    def progress(self) -> float:
        return min(1.0, self._read / self._expected)

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._read += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
