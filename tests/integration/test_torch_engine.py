"""The networks of the base pack on PyTorch, against ONNX Runtime. What is particular to CUDA has no test here: the
device `meta` and the CPU stand for it."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from test_inference_server import RunningServer

from inference.engine import Session
from inference.errors import EngineUnavailable
from inference.images import decode
from inference.models import (
    body_pose,
    emotion,
    explicit_classifier,
    face_attributes,
    face_detector,
    face_mesh,
    image_classifier,
    iris,
    object_detector,
    text_detector,
    text_orientation,
    text_recognizer,
)
from inference.packs import catalogue
from inference.packs.store import network_path
from inference.torch_engine import network
from inference.torch_engine.network import TorchNetwork
from inference.torch_engine.program import Program
from inference.types import Face, Pixels

PICTURES_FOLDER = Path(__file__).parents[2] / "openrek" / "pictures"
PICTURES = sorted(PICTURES_FOLDER.glob("*.jpg"))
PORTRAIT, PLAIN = (PICTURES_FOLDER / name for name in ("eileen_collins.jpg", "coffee.jpg"))
TEXT = "OPEN 24 hours"
SCALED = 1e-4
"""Largest difference in float32, see `difference`."""


def pictures() -> list[Pixels]:
    return [decode(path.read_bytes()) for path in PICTURES]


def faces(side: int) -> list[Pixels]:
    """Pictures that show a face large, or none."""
    return [
        cv2.resize(one[: one.shape[0] // 2, one.shape[1] // 4 : -one.shape[1] // 4], (side, side)) for one in pictures()
    ]


def sign() -> Pixels:
    """uint8 [128, 384, 3] with TEXT."""
    image = Image.new("RGB", (384, 128), "white")
    ImageDraw.Draw(image).text((30, 40), TEXT, "black", ImageFont.load_default(44))
    return np.asarray(image)


def line() -> Pixels:
    return sign()[38:96, 20:364]


def plain(side: int) -> np.ndarray:
    return np.stack(faces(side)).astype(np.float32) / 255


INPUTS: dict[str, Callable[[], np.ndarray]] = {
    "antispoof": partial(plain, 128),
    "body_pose": lambda: body_pose.preprocess([cv2.resize(one, (192, 192)) for one in pictures()]),
    "emotion": lambda: emotion.preprocess(faces(64)),
    "explicit_classifier": lambda: explicit_classifier.preprocess(
        [explicit_classifier.views(one)[0] for one in pictures()]
    ),
    "face_attributes": lambda: face_attributes.preprocess(faces(224)),
    "face_detector": lambda: face_detector.preprocess([face_detector.fit(one, 320, True).pixels for one in pictures()]),
    "face_embedder": lambda: np.stack(faces(112)).astype(np.float32).transpose(0, 3, 1, 2),
    "face_mesh": lambda: face_mesh.preprocess(faces(192)),
    "hand_landmarks": partial(plain, 224),
    "image_classifier": lambda: image_classifier.preprocess([cv2.resize(one, (260, 260)) for one in pictures()]),
    "iris": lambda: iris.preprocess(faces(64)),
    "liveness": partial(plain, 32),
    "object_detector": lambda: object_detector.preprocess([object_detector.fit(one) for one in pictures()[:2]]),
    "text_detector": lambda: text_detector.preprocess([sign(), sign()[:, ::-1]]),
    "text_orientation": lambda: text_orientation.preprocess(
        [text_orientation.glimpse(one) for one in (line(), line()[::-1, ::-1])]
    ),
    "text_recognizer": lambda: text_recognizer.preprocess(
        [text_recognizer.strip(one) for one in (line(), line()[:, ::-1])]
    ),
}
"""Batches of what the networks see."""

HALF: dict[str, float] = {"body_pose": 0.05, "object_detector": 0.03}
"""Largest difference in half precision; of the others it is below 0.01. Points that are not there and boxes that two
cells claim are what moves most."""


def test_every_network_of_the_base_pack_is_compared() -> None:
    assert set(INPUTS) == {one.name for one in catalogue.load("base").networks}


def difference(found: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> float:
    """The largest, as a share of the largest value of its output, or of 0.1 where all are small. Of detections those
    that are likely count, in any order; what is beyond them is a choice among zeros."""
    assert found.keys() == right.keys()
    if "detections" in right:
        found, right = ({"detections": _likely(one["detections"])} for one in (found, right))
    assert all(found[name].shape == right[name].shape and found[name].dtype == np.float32 for name in right)
    return max(float(np.abs(found[name] - right[name]).max() / max(np.abs(right[name]).max(), 0.1)) for name in right)


def _likely(detections: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [rows[np.lexsort((-rows[:, 4], rows[:, 5]))] for one in detections for rows in [one[one[:, 4] > 0.3]]]
    )


@pytest.mark.parametrize("name", INPUTS)
def test_in_single_precision_a_network_gives_what_it_gives_on_onnx_runtime(models_dir: Path, name: str) -> None:
    """Whole batches, and parts of them, which are filled up; each shape as it is, captured, and replayed."""
    path, inputs = network_path(models_dir, "base", name), INPUTS[name]()
    sessions = {device: Session(path, device, 1) for device in ("cpu", "torch-cpu")}
    assert sessions["torch-cpu"].input_names == sessions["cpu"].input_names
    assert sessions["torch-cpu"].output_names == sessions["cpu"].output_names
    for some in (inputs, inputs[::-1], inputs[:-1], inputs[:1]):
        right, found = (session.run([some]) for session in sessions.values())
        assert difference(found, right) < SCALED


@pytest.mark.parametrize("name", INPUTS)
def test_in_half_precision_a_network_stays_near(models_dir: Path, name: str) -> None:
    path, inputs = network_path(models_dir, "base", name), INPUTS[name]()
    right = Session(path, "cpu", 1).run([inputs])
    half = TorchNetwork(path, "cpu", 1, torch.float16)
    assert difference(dict(zip(half.output_names, half.run([inputs]), strict=True)), right) < HALF.get(name, 0.01)


@pytest.mark.parametrize("name", INPUTS)
def test_a_run_reads_nothing_back_from_its_device(models_dir: Path, name: str) -> None:
    """The device `meta` has shapes and no contents, and refuses to give a value back, as a CUDA graph does. Nor is
    anything taken from the host the second time."""
    program = Program(network_path(models_dir, "base", name), torch.device("meta"), torch.float16)
    inputs = torch.from_numpy(INPUTS[name]()).to("meta")
    with torch.inference_mode():
        first = program.run([inputs], moved := {})
        known = dict(moved)
        again = program.run([inputs], moved)
    assert all(one is known[key] for key, one in moved.items())
    assert [one.shape for one in first] == [one.shape for one in again]
    assert all(one.device.type == "meta" and one.dtype == torch.float32 for one in first)


def test_names_shapes_and_metadata_are_those_of_the_file(models_dir: Path) -> None:
    path = network_path(models_dir, "base", "text_recognizer")
    plain, ours = Session(path, "cpu", 1), Session(path, "torch-cpu", 1)
    assert ours.input_shapes == plain.input_shapes and isinstance(ours.input_shapes[0][3], str)
    assert ours.metadata("character") == plain.metadata("character")
    with pytest.raises(KeyError):
        ours.metadata("author")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_it_says_so(models_dir: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"torch-cuda: PyTorch .* finds no CUDA device"):
        Session(network_path(models_dir, "base", "iris"), "torch-cuda", 1)


def test_without_pytorch_it_says_what_is_missing(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("inference.torch_engine")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineUnavailable, match=r"torch-cpu: .*torch.*; the extra `cuda` brings PyTorch"):
        Session(network_path(models_dir, "base", "iris"), "torch-cpu", 1)


@dataclass(frozen=True)
class Answers:
    """Of PORTRAIT, of PLAIN and of a sign."""

    faces: tuple[Face, ...]
    labels: dict[str, float]
    text: list[str]


def answers(server: RunningServer) -> Answers:
    found = server.client.faces(PORTRAIT.read_bytes(), embed="all", attributes=("age_range", "gender")).faces
    labels = server.client.labels(PLAIN.read_bytes()).labels
    lines = server.client.text(_encoded(sign())).lines
    return Answers(found, {one.name: one.confidence for one in labels}, [one.text for one in lines])


@pytest.fixture(scope="module")
def right(models_dir: Path, service_folder: Path) -> Answers:
    with RunningServer(service_folder, models_dir) as server:
        return answers(server)


@pytest.mark.parametrize(("precision", "near"), [(torch.float32, 0.1), (torch.float16, 2.0)], ids=["single", "half"])
def test_the_model_server_answers_as_on_onnx_runtime(
    models_dir: Path,
    service_folder: Path,
    right: Answers,
    monkeypatch: pytest.MonkeyPatch,
    precision: torch.dtype,
    near: float,
) -> None:
    """`near`: of confidences, 0..100."""
    monkeypatch.setitem(network.PRECISION, "cpu", precision)
    with RunningServer(service_folder, models_dir, device="torch-cpu") as server:
        assert server.client.status()["device"] == "torch-cpu"
        found = answers(server)
    assert len(right.faces) == len(found.faces) == 1
    for one, other in zip(right.faces, found.faces, strict=True):
        assert other.confidence == pytest.approx(one.confidence, abs=near)
        assert float(np.dot(one.embedding, other.embedding)) > 0.999
        assert abs(one.attributes.age_range.low - other.attributes.age_range.low) <= 1
        assert one.attributes.gender.value == other.attributes.gender.value
    sure = {name: confidence for name, confidence in right.labels.items() if confidence > 60}
    assert "Coffee" in sure or "Cup" in sure
    assert {name: found.labels.get(name) for name in sure} == pytest.approx(sure, abs=near)
    assert right.text == found.text == [TEXT]


def _encoded(image: Pixels) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "PNG")
    return data.getvalue()
