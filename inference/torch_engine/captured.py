"""Runs of a program that are captured once for each shape of inputs and replayed: on CUDA as CUDA graphs.

Launching hundreds of small kernels one by one takes the host longer than the device; a graph is launched as one
(developer.nvidia.com/blog/cuda-graphs). It reads and writes at fixed places, so inputs are copied to where it reads.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.torch_engine.program import Moved, Program

MOST_SHAPES = 64
"""Shapes of inputs that are remembered for one network, the latest. Only where pictures have many shapes, as lines of
text have, it is more than a dozen."""
WARM_UP_RUNS = 2
"""Before a capture, for the libraries to choose their algorithms and make their workspaces."""

Work = Callable[[], None]
Shapes = tuple[tuple[int, ...], ...]
_PREPARING = threading.Lock()
"""Memory is allocated for one network of the process at a time: a capture may not be disturbed."""


@dataclass(frozen=True)
class Way:
    """How a kind of device is driven. `capture` makes of a piece of work, whose effects lie in fixed places, something
    that does it again. `pinned`: transfers go through memory that the device reads and writes itself."""

    capture: Callable[[Work], Work]
    stream: "torch.cuda.Stream | None" = None
    pinned: bool = False

    def entered(self) -> "AbstractContextManager[object]":
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def finish(self) -> None:
        if self.stream is not None:
            self.stream.synchronize()


@dataclass(frozen=True)
class Replay:
    """`again` computes `outputs` from what lies in `inputs`; both stay where they are."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    again: Work


def on_cuda() -> Way:
    """On a stream of its own, with one pool of memory for all graphs: none runs beside another, and what it gives is
    copied to the host before the next begins."""
    stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]

    def capture(work: Work) -> Work:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for _ in range(WARM_UP_RUNS):
                work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            work()
        return graph.replay

    return Way(capture, stream, pinned=True)


def on_cpu() -> Way:
    """Work is done again by doing it again."""

    def capture(work: Work) -> Work:
        work()
        return work

    return Way(capture)


class CapturedRuns:
    """A program with the replays of the shapes that it was given lately."""

    def __init__(self, program: Program, way: Way, most_shapes: int = MOST_SHAPES) -> None:
        self._program, self._way, self._most = program, way, most_shapes
        self._replays: OrderedDict[Shapes, Replay | None] = OrderedDict()
        self._free_batch = all(isinstance(shape[0], str) for shape in program.input_shapes)
        self._staging: dict[str, Tensor] = {}
        self._lock = threading.Lock()

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, float32, for float32 inputs. One call at a time; others wait.

        Batches are filled up to a power of two, so that few shapes occur; what the filling gives is cut off.
        """
        count = len(inputs[0])
        rows = 1 << (count - 1).bit_length() if self._free_batch else count
        shapes: Shapes = tuple((rows, *value.shape[1:]) for value in inputs)
        with self._lock, torch.inference_mode(), self._way.entered():
            outputs = self._outputs(shapes, inputs)
            return self._to_host([output[:count] if self._free_batch else output for output in outputs])

    def _outputs(self, shapes: Shapes, inputs: Sequence[np.ndarray]) -> list[Tensor]:
        """A shape that comes for the first time is run as it is: one that never comes again is not worth a capture."""
        if (replay := self._replays.get(shapes)) is not None:
            self._replays.move_to_end(shapes)
            self._fill(replay.inputs, inputs)
            replay.again()
            return replay.outputs
        with _PREPARING:
            fixed = [torch.zeros(shape, device=self._program.device) for shape in shapes]
            self._fill(fixed, inputs)
            if shapes not in self._replays:
                self._remember(shapes, None)
                return self._program.run(fixed)
            replay = self._captured(fixed)
            self._remember(shapes, replay)
            replay.again()
            return replay.outputs

    def _captured(self, inputs: list[Tensor]) -> Replay:
        outputs: list[Tensor] = []
        moved: Moved = {}

        def work() -> None:
            outputs[:] = self._program.run(inputs, moved)

        return Replay(inputs, outputs, self._way.capture(work))

    def _remember(self, shapes: Shapes, replay: Replay | None) -> None:
        self._replays[shapes] = replay
        self._replays.move_to_end(shapes)
        while len(self._replays) > self._most:
            self._replays.popitem(last=False)

    def _fill(self, fixed: Sequence[Tensor], inputs: Sequence[np.ndarray]) -> None:
        """Copies inputs to the first rows of where they are read."""
        sizes = [value.size for value in inputs]
        for place, value, staged in zip(fixed, inputs, self._staged("in", sizes), strict=True):
            host = staged.view(value.shape)
            host.copy_(torch.from_numpy(np.require(value, np.float32, ["C", "W"])))
            place[: len(value)].copy_(host, non_blocking=True)

    def _to_host(self, outputs: Sequence[Tensor]) -> list[np.ndarray]:
        parts = self._staged("out", [output.numel() for output in outputs])
        for part, output in zip(parts, outputs, strict=True):
            part.view(output.shape).copy_(output, non_blocking=True)
        self._way.finish()
        return [part.view(output.shape).numpy().copy() for part, output in zip(parts, outputs, strict=True)]

    def _staged(self, direction: str, sizes: Sequence[int]) -> list[Tensor]:
        """Room on the host for so many values each, in memory that is kept for the next time."""
        total = sum(sizes)
        if direction not in self._staging or len(self._staging[direction]) < total:
            self._staging[direction] = torch.empty(total, pin_memory=self._way.pinned)
        return list(torch.split(self._staging[direction][:total], list(sizes)))
