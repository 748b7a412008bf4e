"""Writes small TensorFlow.js graph models, converts and runs them."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.packs import checks
from inference.packs.catalogue import Input, Output
from inference.packs.importers.tensorflow_js import convert

Array = NDArray[Any]


def attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"b": value}
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, list):
        items = [attribute(item) for item in value]
        return {"list": {next(iter(items[0])): [next(iter(item.values())) for item in items]} if items else {}}
    return {"type": value} if value.startswith("DT_") else {"s": base64.b64encode(value.encode()).decode()}


class Graph:
    """Writes a graph model: constants and nodes are added, each gives back its name."""

    def __init__(self, shape: tuple[int, ...], declared_batch: int = -1) -> None:
        self.shape = shape
        dims = [{"size": str(size)} for size in (declared_batch, *shape)]
        self.nodes: list[dict[str, Any]] = [
            {"name": "in", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": dims}}}}
        ]
        self.weights: list[tuple[dict[str, Any], bytes]] = []

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        array = np.array(value, dtype)
        return self.stored({"shape": list(array.shape), "dtype": array.dtype.name}, array.tobytes())

    def stored(self, entry: dict[str, Any], data: bytes) -> str:
        name = f"const{len(self.weights)}"
        self.weights.append(({"name": name, **entry}, data))
        self.nodes.append({"name": name, "op": "Const", "attr": {}})
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"node{len(self.nodes)}"
        attr = {key: attribute(value) for key, value in attributes.items()}
        self.nodes.append({"name": name, "op": operator, "input": list(inputs), "attr": attr})
        return name

    def model(self) -> tuple[dict[str, Any], bytes]:
        manifest = [{"paths": ["weights.bin"], "weights": [entry for entry, _ in self.weights]}]
        model = {"format": "graph-model", "modelTopology": {"node": self.nodes[::-1]}, "weightsManifest": manifest}
        return model, b"".join(data for _, data in self.weights)

    def converted(self, *outputs: str) -> bytes:
        given_input = Input("x", ("batch", *self.shape), "NHWC", "RGB", (0, 1))
        wanted = tuple(Output(f"y{number}", "", tensor) for number, tensor in enumerate(outputs))
        model, data = self.model()
        return convert.converted(model, {"weights.bin": data}, given_input, wanted)

    def run(self, pictures: Array, *outputs: str) -> list[Array]:
        results: list[Array] = checks.session(self.converted(*outputs)).run(None, {"x": pictures})
        return results


def pictures(shape: tuple[int, ...], count: int = 2, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)
