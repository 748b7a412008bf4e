"""What all tests share: a mark by folder, and where the models and the pictures are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import onnx
import pytest
from moto.server import ThreadedMotoServer

from inference.packs import catalogue, pull, store

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "openrek" / "pictures"

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("openrek", deadline=None)
hypothesis.settings.load_profile("openrek")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by the folder it is in: unit, integration or acceptance."""
    for item in items:
        item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of the `base` pack that scripts/test pulls."""
    folder = Path(os.environ.get("OPENREK_MODELS_DIR", ROOT / ".cache" / "models"))
    problems = store.verify(folder, catalogue.load("base"))
    if problems:
        pytest.fail(f"no usable model pack in {folder}; scripts/test pulls it: {problems[0]}")
    return folder


@pytest.fixture(scope="session")
def collins() -> bytes:
    """A portrait, 512 x 512, with one face."""
    return (PICTURES / "eileen_collins.jpg").read_bytes()


@pytest.fixture(scope="session")
def hopper() -> bytes:
    """A portrait of somebody else, 512 x 600, with one face."""
    return (PICTURES / "grace_hopper.jpg").read_bytes()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a local server that speaks S3, SNS and SQS, and accepts any credentials."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass(frozen=True)
class SecondModel:
    """A pack with a face model of its own: the real network of `base`, its embeddings turned into 192 dimensions.

    All cosines between embeddings stay what they were, and no embedding does.
    """

    catalogue: Path
    models_dir: Path  # has `base` too
    face_model_version: str = "7.99"
    dimension: int = 192


@pytest.fixture(scope="session")
def second_model(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> SecondModel:
    """The pack, installed beside `base`."""
    folder = tmp_path_factory.mktemp("second")
    model = SecondModel(folder / "second.toml", folder / "models")
    network = folder / "face_embedder.onnx"
    network.write_bytes(_turned(models_dir / "base" / "face_embedder.onnx", model.dimension))
    base = catalogue.load("base")
    curves = "".join(
        "[[calibration]]\n" + "".join(f"{name} = {value!r}\n" for name, value in entry.items())
        for entry in base.calibration
    )
    model.catalogue.write_text(
        f"""
name = "second"
description = "Another face model"
face_model_version = "{model.face_model_version}"
{curves}
[[source]]
name = "here"
kind = "file"
path = "{network.name}"
[[source.files]]
name = "{network.name}"
sha256 = "{store.sha256(network)}"
[[network]]
name = "face_embedder"
task = "face embedding"
importer = "onnx"
source = "here"
files = ["{network.name}"]
licence = {{ spdx = "Apache-2.0", stated = "as that of base", carrier = "none" }}
input = {{ name = "data", shape = ["batch", 3, 112, 112], layout = "NCHW", colour = "RGB", range = [0, 255] }}
outputs = [{{ name = "turned", meaning = "{model.dimension} numbers, not normalised" }}]
check = {{ against = "runs", shape = [1, 3, 112, 112] }}
"""
    )
    model.models_dir.mkdir()
    (model.models_dir / "base").symlink_to(models_dir / "base")
    pull.pull(model.models_dir, catalogue.load(str(model.catalogue)))
    return model


def _turned(path: Path, dimension: int) -> bytes:
    """An embedding network followed by a rotation into a space of more dimensions."""
    network = onnx.load(path)
    (output,) = network.graph.output
    size = output.type.tensor_type.shape.dim[-1].dim_value
    rotation = np.linalg.qr(np.random.default_rng(7).standard_normal((dimension, size)))[0].T.astype(np.float32)
    network.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(rotation), "rotation"))
    network.graph.node.append(onnx.helper.make_node("MatMul", [output.name, "rotation"], ["turned"]))
    network.graph.output.remove(output)
    turned = onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, ["batch", dimension])
    network.graph.output.append(turned)
    return bytes(network.SerializeToString())
