"""The numeric check of a network right after its import, before it is installed."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.packs.catalogue import Network, Pack
from inference.packs.errors import CheckFailed

_HASH_MULTIPLIER = 2654435761
SAMPLES = 24


def pattern(shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float64]:
    """A picture that any language can make again: a slow wave plus hashed noise from the flat index, `low` to `high`.

    noise(i) = (i * 2654435761 mod 2^32) >> 25 and wave(i) = |(i // 31 mod 256) - 128|, their sum scaled by 1/255.
    """
    index = np.arange(np.prod(shape), dtype=np.uint64)
    noise = (index * np.uint64(_HASH_MULTIPLIER) % np.uint64(2**32)) >> np.uint64(25)
    wave = np.abs((index // np.uint64(31) % np.uint64(256)).astype(np.int64) - 128)
    values: NDArray[np.float64] = low + (high - low) * (noise.astype(np.int64) + wave).reshape(shape) / 255
    return values


def check(pack: Pack, network: Network, model: bytes, files: tuple[Path, ...]) -> dict[str, Any]:
    """Runs the network on the pattern and holds its outputs against what the catalogue says; returns the record.

    Raises CheckFailed.
    """
    try:
        outputs = run(model, network)
        expected = _EXPECTED[network.check.against](pack, network, files)
    except Exception as error:  # ONNX Runtime and OpenCV raise a dozen unrelated classes here
        raise CheckFailed(network=network.name, reason=f"{type(error).__name__}: {error}") from error
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise CheckFailed(network=network.name, reason=f"output {name} is not finite")
    record = {"against": network.check.against}
    if not expected:
        return record
    differences = {name: _difference(outputs[name], wanted) for name, wanted in expected.items()}
    name, largest = max(differences.items(), key=lambda item: item[1])
    if not largest <= network.check.tolerance:
        reason = f"output {name} differs by {largest:.2g} of its largest magnitude, allowed {network.check.tolerance}"
        raise CheckFailed(network=network.name, reason=reason)
    return record | {"largest_difference": float(f"{largest:.3g}"), "tolerance": network.check.tolerance}


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: bytes, network: Network) -> dict[str, NDArray[Any]]:
    """The outputs on the pattern, by name."""
    engine = session(model)
    names = [output.name for output in network.outputs]
    return dict(zip(names, engine.run(names, {network.input.name: _picture(network)}), strict=True))


def _picture(network: Network) -> NDArray[Any]:
    return pattern(network.check.shape, *network.input.range).astype(network.input.dtype)


def summary(output: NDArray[Any]) -> dict[str, Any]:
    """What is kept of a reference output: its shape, mean, largest magnitude and evenly spaced samples."""
    flat = output.astype(np.float64).ravel()
    indices = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).round().astype(int)
    return {
        "shape": list(output.shape),
        "mean": _short(flat.mean()),
        "magnitude": _short(np.abs(flat).max()),
        "samples": [[int(index), _short(flat[index])] for index in indices],
    }


def _short(value: float) -> float:
    return float(f"{value:.8g}")


def _original(pack: Pack, network: Network, files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """The source file run as it came by OpenCV, which reads block-quantised weights by itself."""
    engine = cv2.dnn.readNetFromONNX(str(files[0]))
    engine.setInput(_picture(network).astype(np.float32))
    names = [output.name for output in network.outputs]
    return {name: summary(value) for name, value in zip(names, engine.forward(names), strict=True)}


def _reference(pack: Pack, network: Network, files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    path = pack.folder / f"{pack.name}.reference.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[network.name]
    return found


def _difference(output: NDArray[Any], wanted: dict[str, Any]) -> float:
    """The largest deviation of mean and samples, as a share of the largest expected magnitude (of 0.01 below that)."""
    if list(output.shape) != wanted["shape"]:
        return float("inf")
    flat = output.astype(np.float64).ravel()
    deviations = [abs(flat[index] - value) for index, value in wanted["samples"]]
    return float(max(abs(flat.mean() - wanted["mean"]), *deviations) / max(wanted["magnitude"], 0.01))


def _nothing(pack: Pack, network: Network, files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    return {}


_EXPECTED = {"original": _original, "reference": _reference, "runs": _nothing}
