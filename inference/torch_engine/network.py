"""A network file, loaded on PyTorch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from inference.errors import EngineUnavailable
from inference.torch_engine import captured
from inference.torch_engine.captured import CapturedRuns
from inference.torch_engine.program import Program

PRECISION = {"cpu": torch.float32, "cuda": torch.float16}
"""What convolutions and matrix products are computed in, by hardware."""


class TorchNetwork:
    """One network on PyTorch; its names, shapes and metadata are the file's. `run` may be called from several
    threads."""

    def __init__(self, path: Path, hardware: str, threads: int, precision: torch.dtype | None = None) -> None:
        """`hardware`: cpu or cuda. `threads`: those of PyTorch in this process. Raises EngineUnavailable."""
        if hardware == "cuda" and not torch.cuda.is_available():
            raise EngineUnavailable(f"torch-cuda: PyTorch {torch.__version__} finds no CUDA device on this machine")
        torch.set_num_threads(threads)
        program = Program(path, torch.device(hardware), precision or PRECISION[hardware])
        self.input_names: list[str] = program.input_names
        self.input_shapes: list[list[int | str]] = program.input_shapes
        self.output_names: list[str] = program.output_names
        self.metadata: Mapping[str, str] = program.metadata
        self._runs = CapturedRuns(program, captured.on_cuda() if hardware == "cuda" else captured.on_cpu())

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One batch, in the order of the names."""
        return self._runs.run(inputs)
