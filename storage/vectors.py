"""Embeddings across psycopg: one-dimensional float32 arrays to and from PostgreSQL's `real[]`, in binary."""

from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection, postgres
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format

Vector = npt.NDArray[np.float32]

_FLOAT4 = postgres.types["float4"]
# array_send: dimensions, has nulls, element type, then length and lower bound of each dimension, then the elements.
_HEADER = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">u4"), ("length", ">i4"), ("lower", ">i4")])
_ELEMENT = np.dtype([("size", ">i4"), ("value", ">f4")])


class _VectorDumper(Dumper):
    format = Format.BINARY
    oid = _FLOAT4.array_oid

    def dump(self, obj: Vector) -> bytes:
        if obj.ndim != 1 or obj.dtype != np.float32:
            raise TypeError(f"an embedding is a 1-d float32 array, not {obj.ndim}-d {obj.dtype}")
        header = np.array((1, 0, _FLOAT4.oid, len(obj), 1), _HEADER)
        elements = np.empty(len(obj), _ELEMENT)
        elements["size"] = 4
        elements["value"] = obj
        return header.tobytes() + elements.tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> Vector:
        if len(data) < _HEADER.itemsize:  # an empty array has no dimensions
            return np.empty(0, np.float32)
        return np.frombuffer(data, _ELEMENT, offset=_HEADER.itemsize)["value"].astype(np.float32)


def register(connection: Connection[Any]) -> None:
    """Teach one connection to pass embeddings; its cursors must be binary for results to arrive as arrays."""
    connection.adapters.register_dumper(np.ndarray, _VectorDumper)
    connection.adapters.register_loader(_FLOAT4.array_oid, _VectorLoader)
