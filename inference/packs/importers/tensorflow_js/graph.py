"""The graph of a TensorFlow.js model: its nodes in order of computation and its decoded weights."""

import base64
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.packs.errors import UnsupportedOperator

_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}


@dataclass(frozen=True)
class Node:
    """`inputs` are (node name, output number); `attributes` are plain Python values."""

    name: str
    operator: str
    inputs: tuple[tuple[str, int], ...]
    attributes: dict[str, Any]

    def unsupported(self, reason: str) -> UnsupportedOperator:
        return UnsupportedOperator(node=self.name, operator=self.operator, reason=reason)


def nodes_for(topology: dict[str, Any], outputs: list[str]) -> list[Node]:
    """The nodes that the named outputs need, every node after its inputs. Raises KeyError for an unknown name."""
    every = {entry["name"]: _node(entry) for entry in topology["node"]}
    needed: dict[str, list[str]] = {}
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = [source for source, _ in every[name].inputs]
            waiting += needed[name]
    return [every[name] for name in TopologicalSorter(needed).static_order()]


def reference(text: str) -> tuple[str, int]:
    """`name` or `name:1` as (name, output number)."""
    name, _, number = text.partition(":")
    return name, int(number or 0)


def _node(entry: dict[str, Any]) -> Node:
    inputs = tuple(reference(text) for text in entry.get("input", []) if not text.startswith("^"))
    attributes = {key: _attribute(value) for key, value in entry.get("attr", {}).items()}
    return Node(entry["name"], entry["op"], inputs, attributes)


def _attribute(value: dict[str, Any]) -> Any:
    """A protocol buffer attribute in JSON form: numbers may be strings, strings are base64."""
    content: Any
    kind, content = next(iter(value.items()), ("list", {}))
    if kind == "list":
        return [_attribute({kind: item}) for kind, items in content.items() for item in items]
    if kind == "i":
        return int(content)
    if kind == "s":
        return base64.b64decode(content).decode()
    if kind == "shape":
        return [int(dimension["size"]) for dimension in content.get("dim", [])]
    return content


def weights_of(manifest: list[dict[str, Any]], read: dict[str, bytes]) -> dict[str, NDArray[Any]]:
    """Every weight by node name, quantised ones decoded to what they stand for; `read` holds the shards by path."""
    weights = {}
    for group in manifest:
        data = b"".join(read[path] for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = _stored_dtype(entry)
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
            weights[entry["name"]] = _decoded(values, entry)
            offset += count * stored.itemsize
        if offset != len(data):
            raise ValueError(f"the weights take {offset} bytes, the files hold {len(data)}")
    return weights


def _stored_dtype(entry: dict[str, Any]) -> np.dtype[Any]:
    name = entry["quantization"]["dtype"] if "quantization" in entry else entry["dtype"]
    stored: np.dtype[Any] = np.dtype(_DTYPES.get(name, name)).newbyteorder("<")
    return stored


def _decoded(values: NDArray[Any], entry: dict[str, Any]) -> NDArray[Any]:
    """float16 is widened; uint8 and uint16 stand for value * scale + min."""
    quantization = entry.get("quantization")
    dtype = _DTYPES[entry["dtype"]]
    if quantization is None or quantization["dtype"] == "float16":
        return values.astype(dtype)
    exact = values.astype(np.float32) * np.float32(quantization["scale"]) + np.float32(quantization["min"])
    return (np.rint(exact) if dtype is np.int32 else exact).astype(dtype)
