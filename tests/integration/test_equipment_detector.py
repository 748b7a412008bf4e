"""The detector of protective equipment that an owner brings, pulled from a catalogue and used in place of ours."""

import asyncio
import hashlib
import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from inference import networks
from inference.errors import EngineUnavailable
from inference.images import decode
from inference.models import protective_equipment_detector
from inference.networks import ModelServerSettings, Networks
from inference.packs import catalogue
from inference.packs.pull import pull
from inference.pictures import Picture
from inference.pipelines.protective_equipment import find_equipment
from inference.types import Equipment

SIDE = 320
MAGENTA = (255, 0, 255)
CATALOGUE = """
name = "protective_equipment"
description = "a fake detector"
face_model_version = "7.0"

[[source]]
name = "fake"
kind = "file"
path = "fake.onnx"

[[source.files]]
name = "fake.onnx"
sha256 = "{digest}"

[[network]]
name = "protective_equipment_detector"
task = "magenta areas, for masks"
importer = "onnx"
source = "fake"
files = ["fake.onnx"]
licence = {{ spdx = "MIT", stated = "here", carrier = "MIT" }}
input = {{ name = "image", shape = ["batch", {side}, {side}, 3], layout = "NHWC", colour = "RGB", range = [0, 255] }}
outputs = [{{ name = "detections", meaning = "corners, probability, class" }}]
check = {{ against = "runs", shape = [1, {side}, {side}, 3] }}
"""


def fake_detector(side: int | str) -> bytes:
    """A fake: finds the one box around all magenta pixels and calls it a mask (class 1), 90 % sure; nothing without."""
    far = 1e4
    columns = np.arange(SIDE, dtype=np.float32)
    constants = {
        "magenta": np.array([255, 0, 255], np.float32),
        "near": np.array(60, np.float32),
        "xs": columns[None, None, :],
        "ys": columns[None, :, None],
        "far": np.array(far, np.float32),
        "before": np.array(-1, np.float32),
        "one": np.array(1, np.float32),
        "sure": np.array(0.9, np.float32),
        "zero": np.array(0, np.float32),
        "colour": np.array([3]),
        "plane": np.array([1, 2]),
        "row": np.array([1]),
    }
    node = helper.make_node
    nodes = [
        node("Sub", ["image", "magenta"], ["off"]),
        node("Abs", ["off"], ["distance"]),
        node("ReduceMax", ["distance", "colour"], ["worst"], keepdims=0),
        node("Less", ["worst", "near"], ["is"]),
        node("Where", ["is", "xs", "far"], ["left_of"]),
        node("Where", ["is", "ys", "far"], ["top_of"]),
        node("Where", ["is", "xs", "before"], ["right_of"]),
        node("Where", ["is", "ys", "before"], ["bottom_of"]),
        node("ReduceMin", ["left_of", "plane"], ["left"], keepdims=0),
        node("ReduceMin", ["top_of", "plane"], ["top"], keepdims=0),
        node("ReduceMax", ["right_of", "plane"], ["last_column"], keepdims=0),
        node("ReduceMax", ["bottom_of", "plane"], ["last_row"], keepdims=0),
        node("Add", ["last_column", "one"], ["right"]),
        node("Add", ["last_row", "one"], ["bottom"]),
        node("Greater", ["right", "left"], ["any"]),
        node("Where", ["any", "sure", "zero"], ["probability"]),
        node("Where", ["any", "one", "one"], ["class"]),
    ]
    names = ["left", "top", "right", "bottom", "probability", "class"]
    nodes += [node("Unsqueeze", [name, "row"], [f"{name}_"]) for name in names]
    nodes += [
        node("Concat", [f"{name}_" for name in names], ["rows"], axis=1),
        node("Unsqueeze", ["rows", "row"], ["detections"]),
    ]
    graph = helper.make_graph(
        nodes,
        "fake",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", side, side, 3])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["batch", 1, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def with_detector(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """The networks of the `base` pack and of one with the fake detector, pulled from its catalogue."""
    source, folder = tmp_path_factory.mktemp("owner"), tmp_path_factory.mktemp("models")
    (folder / "base").symlink_to(models_dir / "base")
    model = fake_detector(SIDE)
    (source / "fake.onnx").write_bytes(model)
    text = CATALOGUE.format(digest=hashlib.sha256(model).hexdigest(), side=SIDE)
    assert pull(folder, catalogue.parse(text, source)) == ["protective_equipment_detector"]
    return _load(folder)


@pytest.fixture(scope="module")
def without(models_dir: Path) -> Networks:
    return _load(models_dir)


def _load(folder: Path) -> Networks:
    return networks.load(ModelServerSettings(url="unix:///none", models_dir=folder, threads=1))


def _on_the_face(data: bytes, loaded: Networks) -> tuple[Equipment, ...]:
    (person,) = asyncio.run(find_equipment(Picture(decode(data)), loaded.equipment)).persons
    (face,) = (part for part in person.parts if part.name == "face")
    return face.equipment


def _painted(data: bytes, corners: tuple[int, int, int, int], colour: tuple[int, int, int] = MAGENTA) -> bytes:
    picture, encoded = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
    ImageDraw.Draw(picture).rectangle(corners, fill=colour)
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def test_its_items_are_answered_on_the_part_they_are_at(with_detector: Networks, collins: bytes) -> None:
    (item,) = _on_the_face(_painted(collins, (180, 112, 268, 176)), with_detector)
    assert (item.kind, item.confidence) == ("face_cover", pytest.approx(90))
    box = item.box
    assert (box.left * 512, box.top * 512) == pytest.approx((180, 112), abs=3)
    assert (box.width * 512, box.height * 512) == pytest.approx((89, 65), abs=5)
    assert item.covers.value and item.covers.confidence > 90


def test_an_item_beside_what_it_should_cover_does_not_cover_it(with_detector: Networks, collins: bytes) -> None:
    (item,) = _on_the_face(_painted(collins, (185, 152, 262, 185)), with_detector)
    assert not item.covers.value and item.covers.confidence >= 50


def test_an_item_elsewhere_is_on_nobody(with_detector: Networks, collins: bytes) -> None:
    assert _on_the_face(_painted(collins, (440, 440, 480, 480)), with_detector) == ()


def test_the_estimators_judge_only_without_it(with_detector: Networks, without: Networks, collins: bytes) -> None:
    mask = _painted(collins, (180, 112, 268, 176), colour=(150, 195, 225))
    assert [item.kind for item in _on_the_face(mask, without)] == ["face_cover"]
    assert _on_the_face(mask, with_detector) == ()


def test_a_graph_that_does_not_state_its_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "any.onnx").write_bytes(fake_detector("side"))
    with pytest.raises(EngineUnavailable, match=r"any\.onnx"):
        protective_equipment_detector.load(tmp_path / "any.onnx", "cpu", 1)
