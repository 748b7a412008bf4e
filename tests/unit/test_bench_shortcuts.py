"""The programs that measure what eight bits, decoding otherwise and threads that spin save."""

import io
import random
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.speed import decoding, spinning
from benchmarks.speed.eight_bits import CALIBRATED_ON, Sample, compare, quantised
from benchmarks.speed.half_size_decoding import halved
from inference.engine import OnnxRuntime


def test_a_network_in_eight_bits_is_smaller_and_says_nearly_the_same(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    weights = draw.normal(size=(32, 16, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["seen", "weights"], ["told"])],
        "one convolution",
        [helper.make_tensor_value_info("seen", TensorProto.FLOAT, [1, 16, 12, 12])],
        [helper.make_tensor_value_info("told", TensorProto.FLOAT, [1, 32, 10, 10])],
        [numpy_helper.from_array(weights, "weights")],
    )
    whole, eight = tmp_path / "whole.onnx", tmp_path / "eight.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), whole)
    seen = [[draw.uniform(size=(1, 16, 12, 12)).astype(np.float32)] for _ in range(8)]
    eight.write_bytes(quantised(whole, seen))
    assert eight.stat().st_size < whole.stat().st_size
    (exact,), (near,) = (OnnxRuntime(path, "cpu", 1).run(seen[0]) for path in (whole, eight))
    assert 0 < np.abs(exact - near).max() < 0.05 * np.abs(exact).max()
    assert set(compare(whole, eight, seen)) == {"ms", "eight_bits_ms", "speedup"}
    taken = spinning.compare(whole, seen[0])
    assert len(taken) == 6 and all(milliseconds > 0 for milliseconds in taken.values())


def test_a_sample_holds_early_and_late_inputs_alike() -> None:
    sample = Sample(random.Random(1))
    for number in range(20 * CALIBRATED_ON):
        sample.take([np.array([number])])
    kept = sorted(int(given[0][0]) for given in sample.kept)
    assert len(kept) == len(set(kept)) == CALIBRATED_ON
    assert 0.35 < np.mean(np.array(kept) < 10 * CALIBRATED_ON) < 0.65


def test_a_picture_is_decoded_at_half_its_size() -> None:
    file = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(file, "JPEG")
    pixels = halved(file.getvalue())
    assert pixels.shape == (240, 320, 3) and np.abs(pixels.astype(int) - (0, 128, 128)).max() <= 3


def test_decoding_is_measured_against_pillow() -> None:
    row = decoding.compare(320)
    assert row["side"] == 320 and row["ms"] > 0 and row["pillow_ms"] > 0
