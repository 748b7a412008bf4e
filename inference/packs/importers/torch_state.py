"""Reads a PyTorch state dict without PyTorch, in both of its file formats.

The files are pickles. Only the handful of names that a state dict needs can be loaded from them; anything else, which
might run code, is refused.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


@dataclass
class _Storage:
    dtype: np.dtype[Any]
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class _View:
    """A tensor as it is pickled: a strided view of a storage whose numbers may come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        negative = min((self.offset, *self.shape, *self.strides)) < 0
        if 0 in self.shape or negative or last >= self.storage.values.size:
            raise ValueError(f"a tensor of shape {self.shape} does not fit its storage")
        steps = [stride * self.storage.dtype.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(self.storage.values[self.offset :], self.shape, steps, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *hooks: Any) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): np.dtype(dtype).newbyteorder("<") for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Loads the allowed names only; `find_storage` gives the storage of a key and a data type."""

    def __init__(self, file: IO[bytes], find_storage: Callable[[str, np.dtype[Any], int], _Storage]) -> None:
        super().__init__(file)
        self.find_storage = find_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in a state dict")
        return _ALLOWED[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        kind, dtype, key, _, count, *view = saved
        if kind != "storage" or any(part is not None for part in view):
            raise pickle.UnpicklingError(f"unknown kind of storage {saved!r}")
        return self.find_storage(key, dtype, count)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Every tensor of the state dict by name. Raises ValueError, pickle.UnpicklingError for what is no state dict."""
    with path.open("rb") as file:
        state = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(file)
    if not isinstance(state, dict) or not all(isinstance(value, _View) for value in state.values()):
        raise ValueError(f"{path.name} holds no state dict")
    return {name: view.array() for name, view in state.items()}


def _read_zip(path: Path) -> Any:
    """The format since PyTorch 1.6: <folder>/data.pkl and one file per storage."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")

        def storage(key: str, dtype: np.dtype[Any], count: int) -> _Storage:
            return _Storage(dtype, np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count))

        return _Unpickler(io.BytesIO(archive.read(name)), storage).load()


def _read_legacy(file: IO[bytes]) -> Any:
    """The format before: five pickles in a row, then per storage its count (8 bytes) and its numbers."""
    storages: dict[str, _Storage] = {}

    def storage(key: str, dtype: np.dtype[Any], count: int) -> _Storage:
        return storages.setdefault(key, _Storage(dtype))

    magic, _, system, state, keys = (_Unpickler(file, storage).load() for _ in range(5))
    if magic != _LEGACY_MAGIC or not system["little_endian"]:
        raise ValueError("not a PyTorch file written by a little-endian machine")
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        dtype = storages[key].dtype
        storages[key].values = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return state
