"""Where a network runs, chosen by name: ONNX Runtime on the CPU, on CUDA or through TensorRT, or PyTorch.

Which device is used is configuration; the networks in `models/` see only `Session.run`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from inference import cores
from inference.errors import EngineUnavailable

DEVICES: dict[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}

TORCH_DEVICES = {"torch-cpu": "cpu", "torch-cuda": "cuda"}
"""The devices on which PyTorch runs the networks, and the hardware that they stand for."""

MOST_THREADS = 4
"""Of one run on the CPU: these networks are small."""

PARALLEL_BATCHES = {"cuda": 1, "tensorrt": 1, "torch-cpu": 1, "torch-cuda": 2}
"""Batches of one network under way at once: a device stream runs one at a time, but PyTorch's second one is being
prepared meanwhile. On the CPU there are as many, of whatever networks, as cores."""


class Engine(Protocol):
    """A loaded network as an engine holds it. Shapes have text where a size is free."""

    input_names: list[str]
    input_shapes: list[list[int | str]]
    output_names: list[str]
    metadata: Mapping[str, str]

    def run(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]: ...


class Session:
    """One loaded network. `run` may be called from several threads at once.

    `device`: the hardware by which a network chooses its batches: cpu, cuda or tensorrt.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int = 1) -> None:
        """Loads an ONNX file on a device of DEVICES or TORCH_DEVICES with `threads` CPU threads.

        Raises EngineUnavailable when this machine or build lacks the device; it never falls back silently.
        """
        open_engine = _on_torch if device in TORCH_DEVICES else OnnxRuntime
        self._engine: Engine = open_engine(path, device, threads)
        self.device = TORCH_DEVICES.get(device, device)
        self.input_shapes = self._engine.input_shapes
        self.input_names = self._engine.input_names
        self.output_names = self._engine.output_names

    def metadata(self, name: str) -> str:
        """An entry that the file's maker put in. Raises KeyError."""
        return str(self._engine.metadata[name])

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one batch; `inputs` in the order of the network's inputs, outputs by name."""
        return dict(zip(self.output_names, self._engine.run(inputs), strict=True))


class OnnxRuntime:
    """A network in an ONNX Runtime session.

    On the CPU a network with several `threads` is there twice: a run takes them all when nothing else is at work, and
    one otherwise, for cores that share a run get less done than cores with a run each.
    """

    def __init__(self, path: Path, device: str, threads: int) -> None:
        self._session = _session(path, device, 1 if device == "cpu" else threads)
        threads = min(threads, MOST_THREADS)
        self._wide = _session(path, device, threads) if device == "cpu" and threads > 1 else self._session
        self.input_shapes = [node.shape for node in self._session.get_inputs()]
        self.input_names = [node.name for node in self._session.get_inputs()]
        self.output_names = [node.name for node in self._session.get_outputs()]
        self.metadata = self._session.get_modelmeta().custom_metadata_map

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        session = self._session if cores.others_at_work() else self._wide
        outputs: list[np.ndarray] = session.run(None, dict(zip(self.input_names, inputs, strict=True)))
        return outputs


def _session(path: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    """Raises EngineUnavailable."""
    providers = DEVICES[device]
    missing = set(providers) - set(onnxruntime.get_available_providers())
    if missing:
        raise EngineUnavailable(f"{device}: this ONNX Runtime build has no {', '.join(sorted(missing))}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # The arena keeps what the largest picture needed, per network, for ever; the allocator is as fast.
    options.enable_cpu_mem_arena = False
    if device == "cpu":
        # Threads spin between the operators of a run, each of which would wait for them to wake up, but not behind it:
        # there they would take the cores from decoding and from the other networks.
        options.add_session_config_entry("session.force_spinning_stop", "1")
    else:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    if session.get_providers()[0] != providers[0]:
        raise EngineUnavailable(f"{device}: {providers[0]} did not start for {path.name}")
    return session


def _on_torch(path: Path, device: str, threads: int) -> Engine:
    """PyTorch is loaded only here: it is large, and comes with the extra `cuda`."""
    try:
        network = import_module("inference.torch_engine.network")
    except ModuleNotFoundError as error:
        raise EngineUnavailable(f"{device}: {error}; the extra `cuda` brings PyTorch") from error
    engine: Engine = network.TorchNetwork(path, TORCH_DEVICES[device], threads)
    return engine
