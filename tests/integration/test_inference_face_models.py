"""A model server with two face models, and embeddings of crops that it gave out before."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from inference import networks, similarity
from inference.client import InferenceClient
from inference.errors import InvalidImage, Overloaded, UnknownFaceModel
from inference.networks import ModelServerSettings
from inference.packs import catalogue
from inference.server import create_app


@pytest.fixture(scope="module")
def models(second_model: Any, service_folder: Path) -> Iterator[InferenceClient]:
    path = service_folder / "two-models.sock"
    settings = ModelServerSettings(
        url=f"unix://{path}", models_dir=second_model.models_dir, face_packs=(str(second_model.catalogue),)
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings), uds=str(path), log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    client = InferenceClient(settings.url, patience_seconds=30.0)
    yield client
    client.close()
    server.should_exit = True
    thread.join(30)


def embedding(models: InferenceClient, data: bytes, version: str | None) -> Any:
    return models.faces(data, embed="all", face_model_version=version).faces[0].embedding


def test_both_models_embed_the_same_faces(
    models: InferenceClient, second_model: Any, collins: bytes, hopper: bytes
) -> None:
    cosines = []
    for version, dimension in (("7.1", 128), (second_model.face_model_version, second_model.dimension)):
        found = [embedding(models, picture, version) for picture in (collins, hopper)]
        assert all(one.shape == (dimension,) for one in found)
        cosines.append(float(np.dot(*found)))
    assert cosines[0] == pytest.approx(cosines[1], abs=1e-4)
    assert len(embedding(models, collins, None)) == 128
    assert models.status()["face_model_versions"] == ["7.1", second_model.face_model_version]
    with pytest.raises(UnknownFaceModel, match=r"7\.1, 7\.99 is"):
        embedding(models, collins, "7.5")


def test_a_crop_embeds_as_its_face_did(models: InferenceClient, second_model: Any, collins: bytes) -> None:
    for version in ("7.1", second_model.face_model_version):
        (face,) = models.faces(collins, embed="all", face_model_version=version, crops=True).faces
        assert face.crop is not None and face.crop.startswith(b"\x89PNG")
        for again in models.embed_crops([face.crop] * 3, version):
            np.testing.assert_allclose(again, face.embedding, atol=1e-5)
    (face,) = models.faces(collins, embed="all").faces
    assert face.embedding is not None and face.crop is None, "crops come only when asked for"
    (face,) = models.faces(collins, embed="none", crops=True).faces
    assert face.crop is None, "and only of faces that are embedded"


def test_what_is_no_crop_is_refused(models: InferenceClient, collins: bytes) -> None:
    for content, error in (([collins], InvalidImage), ([b"x"], InvalidImage), ([b"x"] * 65, Overloaded)):
        with pytest.raises(error):
            models.embed_crops(content, "7.1")
    with pytest.raises(UnknownFaceModel):
        models.embed_crops([], "7.5")
    assert models.embed_crops([], "7.1") == []


def test_packs_of_one_version_do_not_go_together(second_model: Any) -> None:
    twice = (str(second_model.catalogue), str(second_model.catalogue))
    settings = ModelServerSettings(url="unix:///nowhere", models_dir=second_model.models_dir, face_packs=twice)
    with pytest.raises(ValueError, match="two have one face-model version"):
        networks.load(settings)


def test_the_calibration_of_a_pack_in_use_is_known(second_model: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    text = second_model.catalogue.read_text().replace(second_model.face_model_version, "7.98")
    own.write_text(text)
    assert catalogue.load(str(own)).face_model_version == "7.98"
    with pytest.raises(KeyError):
        similarity.of_version("7.98")
    similarity.use_packs([str(own)])
    assert similarity.of_version("7.98").similarity(1.0) == 100
    assert similarity.of_version("7.1").face_model_version == "7.1"
