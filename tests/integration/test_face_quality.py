"""Degraded versions of one face, through the real networks."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks import pipeline
from benchmarks.accuracy.quality import DEGRADATIONS
from inference import similarity
from inference.images import decode
from inference.pipelines.request import FacesRequest
from inference.types import Face, Pixels


def _faces(pictures: list[Pixels], models_dir: Path) -> list[Face]:
    models = pipeline.Models(models_dir, "base")
    results = pipeline.faces_in(iter(pictures), len(pictures), FacesRequest(embed="all"), models)
    return [face for result in results for face in result.faces[:1]]


def _likeness(one: Face, other: Face) -> float:
    assert one.embedding is not None and other.embedding is not None
    return similarity.of_pack("base").similarity(float(one.embedding @ other.embedding))


@pytest.mark.parametrize(
    ("kind", "strengths", "measure"),
    [
        ("shorter side, pixels", (60, 30, 20), "sharpness"),
        ("blur, pixels", (1, 2, 3, 4), "sharpness"),
        ("darkness, gain", (0.5, 0.25, 0.12), "brightness"),
    ],
)
def test_worse_versions_of_a_face_are_ranked_and_less_alike(
    models_dir: Path, collins: bytes, hopper: bytes, kind: str, strengths: tuple[float, ...], measure: str
) -> None:
    for picture in (decode(collins), decode(hopper)):
        (face,) = _faces([picture], models_dir)
        side = min(face.box.width * picture.shape[1], face.box.height * picture.shape[0])
        worse = [DEGRADATIONS[kind].apply(picture, strength, side) for strength in strengths]
        seen = [face, *_faces(worse, models_dir)]
        assert len(seen) == len(strengths) + 1
        values = [getattr(one.quality, measure) for one in seen]
        assert values == sorted(values, reverse=True) and values[-1] < values[0] / 2
        assert _likeness(face, seen[0]) > 99.999 > _likeness(face, seen[-1])


def test_a_picture_encoded_again_is_as_good_as_the_same(models_dir: Path, collins: bytes) -> None:
    image = decode(collins)
    again = io.BytesIO()
    Image.fromarray(image).save(again, "JPEG", quality=60)
    smaller = np.asarray(cv2.resize(image, (400, 400), interpolation=cv2.INTER_AREA), np.uint8)
    one, encoded, shrunk = _faces([image, decode(again.getvalue()), smaller], models_dir)
    assert _likeness(one, encoded) > 99.9 and _likeness(one, shrunk) > 99.9
