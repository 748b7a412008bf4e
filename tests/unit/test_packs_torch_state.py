import io
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.packs import catalogue, checks
from inference.packs.importers import efficientnet_lite, torch_state

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


@dataclass
class Saved:
    """A tensor in the way PyTorch pickles one: a view of a storage."""

    key: str
    values: NDArray[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0


def saved(key: str, array: NDArray[Any]) -> Saved:
    strides = tuple(step // array.itemsize for step in array.strides)
    return Saved(key, array.ravel(order="K"), array.shape, strides)


@pytest.fixture
def torch_names(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand-ins for the names that pickles of PyTorch refer to, so that such pickles can be written here."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None:
        raise AssertionError

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


class Pickler(pickle.Pickler):
    """Writes Saved tensors as PyTorch does."""

    def __init__(self, file: Any, torch: Any, legacy: bool) -> None:
        super().__init__(file, protocol=2)
        self.torch, self.legacy = torch, legacy

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, tuple) and thing and isinstance(thing[0], Saved):
            tensor = thing[0]
            storage = getattr(self.torch, STORAGES[tensor.values.dtype.name])
            entry = ("storage", storage, tensor.key, "cpu", tensor.values.size)
            return (*entry, None) if self.legacy else entry
        return None

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Saved):
            rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
            return rebuild, ((thing,), thing.offset, thing.shape, thing.strides, False, OrderedDict())
        return NotImplemented


def write(path: Path, state: Any, tensors: list[Saved], torch: Any, legacy: bool) -> Path:
    pickled = io.BytesIO()
    Pickler(pickled, torch, legacy).dump(state)
    if legacy:
        with path.open("wb") as file:
            for head in (MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}):
                pickle.dump(head, file, protocol=2)
            file.write(pickled.getvalue())
            pickle.dump([tensor.key for tensor in tensors], file, protocol=2)
            for tensor in tensors:
                file.write(tensor.values.size.to_bytes(8, "little") + tensor.values.tobytes())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl", pickled.getvalue())
            for tensor in tensors:
                archive.writestr(f"model/data/{tensor.key}", tensor.values.tobytes())
    return path


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_tensors_come_back(tmp_path: Path, torch_names: Any, legacy: bool) -> None:
    random = np.random.default_rng(1)
    arrays = {
        "weight": random.random((3, 4, 2), np.float32),
        "turned": random.random((5, 3), np.float32).T,
        "count": np.array(7, np.int64),
        "half": random.random(6).astype(np.float16),
    }
    state = OrderedDict((name, saved(str(number), array)) for number, (name, array) in enumerate(arrays.items()))
    path = write(tmp_path / "state.pth", state, list(state.values()), torch_names, legacy)
    found = torch_state.read(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
@pytest.mark.parametrize(("shape", "strides", "offset"), [((5,), (1,), 0), ((2, 2), (2, 2), 1), ((2,), (-1,), 1)])
def test_a_view_outside_its_storage_is_refused(
    tmp_path: Path, torch_names: Any, legacy: bool, shape: Any, strides: Any, offset: int
) -> None:
    tensor = Saved("0", np.zeros(4, np.float32), shape, strides, offset)
    path = write(tmp_path / "state.pth", {"a": tensor}, [tensor], torch_names, legacy)
    with pytest.raises(ValueError, match="does not fit its storage"):
        torch_state.read(path)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_code_is_not_run(tmp_path: Path, torch_names: Any, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "state.pth", {"a": Evil()}, [], torch_names, legacy)
    with pytest.raises(pickle.UnpicklingError, match="does not belong in a state dict"):
        torch_state.read(path)
    assert not (tmp_path / "evil").exists()


def lite2_state() -> dict[str, NDArray[Any]]:
    """Random weights for the architecture, a few channels wide; the widths differ where the shapes of stages do."""
    random = np.random.default_rng(0)
    state: dict[str, NDArray[Any]] = {}

    def convolution(name: str, norm: str, *shape: int) -> None:
        state[f"{name}.weight"] = random.normal(0, 0.5, shape).astype(np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = random.random(shape[0], np.float32)
        state[f"{norm}.num_batches_tracked"] = np.array(1)

    convolution("_conv_stem", "_bn0", 4, 3, 3, 3)
    width, number = 4, 0
    for stage, (blocks, kernel, _) in enumerate(efficientnet_lite.STAGES):
        for _ in range(blocks):
            name, wide = f"_blocks.{number}.", width if stage == 0 else 2 * width
            if stage:
                convolution(f"{name}_expand_conv", f"{name}_bn0", wide, width, 1, 1)
            convolution(f"{name}_depthwise_conv", f"{name}_bn1", wide, 1, kernel, kernel)
            width = 3 + stage
            convolution(f"{name}_project_conv", f"{name}_bn2", width, wide, 1, 1)
            number += 1
    convolution("_conv_head", "_bn1", 8, width, 1, 1)
    state["_fc.weight"], state["_fc.bias"] = random.random((10, 8), np.float32), random.random(10, np.float32)
    return state


@pytest.fixture
def classifier() -> catalogue.Network:
    (network,) = (each for each in catalogue.load("base").networks if each.name == "image_classifier")
    return network


def test_efficientnet_lite_takes_any_batch(
    classifier: catalogue.Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = lite2_state()
    monkeypatch.setattr(torch_state, "read", lambda path: dict(state))
    engine = checks.session(efficientnet_lite.from_state_dict(classifier, (tmp_path,)))
    pictures = np.random.default_rng(2).random((3, 3, 260, 260), np.float32)
    logits, features = engine.run(["logits", "features"], {"image": pictures})
    assert (logits.shape, features.shape) == ((3, 10), (3, 8))
    np.testing.assert_allclose(logits, features @ state["_fc.weight"].T + state["_fc.bias"], rtol=1e-4, atol=1e-4)
    (alone,) = engine.run(["logits"], {"image": pictures[1:2]})
    np.testing.assert_allclose(logits[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda state: state.pop("_blocks.4._bn1.bias"), KeyError),
        (lambda state: state.update({"_blocks.21._bn1.bias": np.zeros(3)}), ValueError),
        (lambda state: state.update({"_blocks.4._depthwise_conv.weight": np.zeros((10, 1, 7, 7))}), ValueError),
    ],
    ids=["missing", "unknown", "kernel"],
)
def test_another_architecture_is_refused(
    classifier: catalogue.Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Any, error: Any
) -> None:
    state = lite2_state()
    change(state)
    monkeypatch.setattr(torch_state, "read", lambda path: dict(state))
    with pytest.raises(error):
        efficientnet_lite.from_state_dict(classifier, (tmp_path,))
