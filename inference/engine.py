"""Where a network runs: an ONNX Runtime session on the CPU, on CUDA or through TensorRT, chosen by name.

Which device is used is configuration; the networks in `models/` see only `Session.run`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from inference.errors import EngineUnavailable

DEVICES: dict[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}

PARALLEL_BATCHES = {"cpu": 2, "cuda": 1, "tensorrt": 1}
"""Batches of one network under way at once. On the CPU a second caller fills the gaps between a session's parallel
loops; one device stream runs one batch at a time."""


class Session:
    """One loaded network. `run` may be called from several threads at once."""

    def __init__(self, path: Path, device: str = "cpu", threads: int = 1) -> None:
        """Loads an ONNX file on a device of DEVICES with `threads` CPU threads.

        Raises EngineUnavailable when this machine or build lacks the device; it never falls back silently.
        """
        providers = DEVICES[device]
        missing = set(providers) - set(onnxruntime.get_available_providers())
        if missing:
            raise EngineUnavailable(f"{device}: this ONNX Runtime build has no {', '.join(sorted(missing))}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # The arena keeps what the largest picture needed, per network, for ever; the allocator is as fast.
        options.enable_cpu_mem_arena = False
        # Idle threads that spin take the cores from decoding and from the other networks.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
        if self._session.get_providers()[0] != providers[0]:
            raise EngineUnavailable(f"{device}: {providers[0]} did not start for {path.name}")
        self.device = device
        self.input_shapes = [node.shape for node in self._session.get_inputs()]
        self.input_names = [node.name for node in self._session.get_inputs()]
        self.output_names = [node.name for node in self._session.get_outputs()]

    def metadata(self, name: str) -> str:
        """An entry that the file's maker put in. Raises KeyError."""
        return str(self._session.get_modelmeta().custom_metadata_map[name])

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one batch; `inputs` in the order of the network's inputs, outputs by name."""
        feed = dict(zip(self.input_names, inputs, strict=True))
        return dict(zip(self.output_names, self._session.run(None, feed), strict=True))
