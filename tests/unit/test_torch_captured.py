"""Which shapes are captured, kept and forgotten. The capture itself needs a CUDA device and is not tested here: what
stands in its place notes the call and does the work again."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from inference.torch_engine.captured import CapturedRuns, Way, Work
from inference.torch_engine.program import Program


class FakeCapture:
    """Counts what is captured and what is done again."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, work: Work) -> Work:
        self.captures += 1
        work()

        def again() -> None:
            self.replays += 1
            work()

        return again


@pytest.fixture
def capture() -> FakeCapture:
    return FakeCapture()


def runs(folder: Path, capture: FakeCapture, most_shapes: int = 8, batch: str | int = "batch") -> CapturedRuns:
    """x -> -x, of [batch, width]."""
    sizes = [batch, "width"]
    graph = helper.make_graph(
        [helper.make_node("Sub", ["zero", "x"], ["z"])],
        "turned",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, sizes)],
        [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])],
    )
    path = folder / "turned.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return CapturedRuns(Program(path, torch.device("cpu"), torch.float32), Way(capture), most_shapes)


def given(rows: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)


def check(turned: CapturedRuns, inputs: np.ndarray) -> None:
    (found,) = turned.run([inputs])
    np.testing.assert_array_equal(found, -inputs)


def test_a_shape_is_captured_when_it_comes_again(tmp_path: Path, capture: FakeCapture) -> None:
    turned, counts = runs(tmp_path, capture), []
    for number in range(4):
        check(turned, given(4) + number)
        counts.append((capture.captures, capture.replays))
    assert counts == [(0, 0), (1, 1), (1, 2), (1, 3)]


def test_batches_are_filled_up_to_a_power_of_two(tmp_path: Path, capture: FakeCapture) -> None:
    """So 3 and 4 rows are one shape, 5 to 8 another; what is left from before shows in no answer."""
    turned = runs(tmp_path, capture)
    for rows in (4, 3, 8, 5, 6, 7, 4, 1, 1):
        check(turned, given(rows))
    assert capture.captures == 3


def test_a_batch_of_fixed_size_is_left_as_it_is(tmp_path: Path, capture: FakeCapture) -> None:
    turned = runs(tmp_path, capture, batch=3)
    check(turned, given(3))
    check(turned, given(3))
    assert capture.captures == 1


def test_the_shape_unused_for_longest_is_forgotten(tmp_path: Path, capture: FakeCapture) -> None:
    turned = runs(tmp_path, capture, most_shapes=2)
    for width in (3, 3, 5, 5, 3, 7, 3):  # 7 takes the place of 5
        check(turned, given(1, width))
    assert capture.captures == 2
    check(turned, given(1, 5))
    assert capture.captures == 2, "a forgotten shape begins anew"
    check(turned, given(1, 5))
    assert capture.captures == 3


def test_answers_do_not_change_when_the_next_ones_come(tmp_path: Path, capture: FakeCapture) -> None:
    turned = runs(tmp_path, capture)
    batches = [given(2) + number for number in range(5)]
    answers = [turned.run([batch])[0] for batch in batches]
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer, -batch)


def test_inputs_may_be_read_only_and_lie_in_any_order(tmp_path: Path, capture: FakeCapture) -> None:
    inputs = np.arange(12, dtype=np.uint8).reshape(3, 4).T
    inputs.flags.writeable = False
    check(runs(tmp_path, capture), inputs.astype(np.float32))
    (found,) = runs(tmp_path, capture).run([inputs])
    np.testing.assert_array_equal(found, -inputs.astype(np.float32))
