"""Labels from the base pack's networks, and from a second network that nobody told the pipeline about."""

import asyncio
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference import networks, wire
from inference.batcher import Batcher
from inference.engine import Session
from inference.images import decode
from inference.models.iris import Iris
from inference.networks import ModelServerSettings, Networks
from inference.pictures import Picture
from inference.pipelines.labels import find_labels
from inference.pipelines.people import told_by
from inference.pipelines.request import LabelsRequest
from inference.sightings import Sightings
from inference.types import AgeRange, Attributes, Box, Face, Gender, LabelsResult, Pixels, Pose, Quality

NAMES = ("Azure Sky", "Golden Retriever", "Graffiti")


def _find(picture: bytes, models_dir: Path, request: LabelsRequest, more: Path | None = None) -> LabelsResult:
    async def work() -> LabelsResult:
        loaded = networks.load(ModelServerSettings(url="unix:///unused", models_dir=models_dir, threads=1))
        asked = loaded.labels if more is None else _with(loaded, more).labels
        return await find_labels(Picture(decode(picture)), request, asked)

    return asyncio.run(work())


def _with(loaded: Networks, path: Path) -> Networks:
    """The networks and one more, behind its own batch queue, whose answers are scores over label names."""
    session = Session(path, "cpu", 1)

    def predict(batch: list[Pixels]) -> list[np.ndarray]:
        return list(session.run([np.stack(batch).astype(np.float32)])["scores"])

    queue: Batcher[Pixels, np.ndarray] = Batcher(predict, 4, 16)

    async def tagger(picture: Picture) -> Sightings:
        scores = await queue.submit(picture.pixels[:64, :64])
        return Sightings(dict(zip(NAMES, scores.tolist(), strict=True)))

    return replace(loaded, labels=replace(loaded.labels, taggers=(*loaded.labels.taggers, tagger)))


@pytest.fixture
def blue_tagger(tmp_path: Path) -> Path:
    """A network, float32 [N, 64, 64, 3] to [N, 3]: the share of blue light for each name, times 99, 60 and 0."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
    ]
    weights = np.zeros((3, 3), np.float32)
    weights[2] = np.array([99, 60, 0], np.float32) / 255
    graph = helper.make_graph(
        nodes,
        "blue",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64, 64, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [onnx.numpy_helper.from_array(weights, "weights"), onnx.numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    path = tmp_path / "blue.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_a_second_network_only_has_to_score_label_names(models_dir: Path, blue_tagger: Path, blue: bytes) -> None:
    plain = {label.name: label for label in _find(blue, models_dir, LabelsRequest()).labels}
    both = {label.name: label for label in _find(blue, models_dir, LabelsRequest(), blue_tagger).labels}
    assert "Azure Sky" not in plain and both["Azure Sky"].confidence == pytest.approx(99, abs=0.1)
    assert both["Azure Sky"].category == "Nature and Outdoors"
    assert "Graffiti" not in both
    for name in ("Golden Retriever", *both["Golden Retriever"].parents):
        assert both[name].confidence == max(plain[name].confidence if name in plain else 0, both[name].confidence)
        assert both[name].confidence >= 59
    assert {name: both[name] for name in plain.keys() - both["Golden Retriever"].parents} == {
        name: plain[name] for name in plain.keys() - both["Golden Retriever"].parents
    }


@pytest.fixture
def blue() -> bytes:
    """A plain blue picture."""
    return bytes(cv2.imencode(".png", np.full((200, 300, 3), (255, 0, 0), np.uint8))[1])


def test_people_have_boxes_under_each_name_that_fits_them(models_dir: Path, collins: bytes) -> None:
    result = _find(collins, models_dir, LabelsRequest(properties=True, max_colors=3))
    labels = {label.name: label for label in result.labels}
    (person,) = labels["Person"].instances
    assert labels["Woman"].parents == ("Adult", "Female", "Person")
    for name in ("Woman", "Adult", "Female"):
        (one,) = labels[name].instances
        assert one.box == person.box and one.confidence <= person.confidence
        assert one.colors == ()
    assert person.colors and labels["Face"].instances == () == labels["Head"].instances
    assert result.properties and result.properties.foreground and len(result.properties.image.colors) <= 3
    assert wire.decode_labels(wire.encode(result)) == result, "it travels unchanged"


def test_labels_do_without_the_eyes(models_dir: Path, collins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _find(collins, models_dir, LabelsRequest())
    monkeypatch.setattr(Iris, "predict", lambda *_: pytest.fail("the network for eyes ran"))
    assert _find(collins, models_dir, LabelsRequest()) == before
    assert "Woman" in {label.name for label in before.labels}


def test_only_what_is_asked_for(models_dir: Path, collins: bytes) -> None:
    only = _find(collins, models_dir, LabelsRequest(labels=False, properties=True))
    assert only.labels == () and only.properties and only.properties.foreground
    every = _find(collins, models_dir, LabelsRequest(min_confidence=0))
    assert len(every.labels) > 800 and every.properties is None
    few = _find(collins, models_dir, LabelsRequest(min_confidence=99))
    assert few.labels == tuple(label for label in _at_least(every, 99).labels)


def _at_least(result: LabelsResult, least: float) -> LabelsResult:
    """As a request for a higher confidence has it."""
    return LabelsResult(
        tuple(
            replace(label, instances=tuple(one for one in label.instances if one.confidence >= least))
            for label in result.labels
            if label.confidence >= least
        )
    )


@pytest.mark.parametrize(
    ("age", "gender", "told"),
    [
        ((25, 53), ("male", 90.0), {"Adult": 97.0, "Male": 90.0, "Man": 90.0}),
        ((25, 53), ("female", 98.0), {"Adult": 97.0, "Female": 98.0, "Woman": 97.0}),
        ((12, 35), ("female", 80.0), {"Female": 80.0}),
        ((1, 6), ("male", 99.0), {"Child": 97.0}),
    ],
)
def test_what_a_face_tells(age: tuple[int, int], gender: tuple[str, float], told: dict[str, float]) -> None:
    attributes = Attributes(age_range=AgeRange(*age), gender=Gender(*gender))
    face = Face(Box(0, 0, 1, 1), 99.0, (), Pose(0, 0, 0), Quality(50, 50), attributes)
    assert told_by(face) == told
    assert told_by(replace(face, attributes=Attributes())) == {}
