"""The detector's further looks, through the real networks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import pipeline
from inference.images import decode
from inference.pipelines.request import FacesRequest
from inference.types import Face, Pixels


def _face(picture: Pixels, models_dir: Path) -> Face:
    request = FacesRequest(embed="all", attributes=("default",))
    (result,) = pipeline.faces_in(iter([picture]), 1, request, pipeline.Models(models_dir, "base"))
    (face,) = result.faces
    return face


@pytest.mark.parametrize(("quarter_turns", "roll"), [(1, -90), (2, 180), (3, 90)])
def test_a_picture_on_its_side_or_head_shows_the_same_face(
    models_dir: Path, collins: bytes, hopper: bytes, quarter_turns: int, roll: float
) -> None:
    for data in (collins, hopper):
        picture = decode(data)
        upright, turned = (_face(image, models_dir) for image in (picture, np.rot90(picture, quarter_turns).copy()))
        difference = (turned.pose.roll - upright.pose.roll - roll + 180) % 360 - 180
        assert abs(difference) < 8 and abs(turned.pose.yaw - upright.pose.yaw) < 8
        assert turned.box.area == pytest.approx(upright.box.area, rel=0.3)
        assert upright.embedding is not None and turned.embedding is not None
        assert float(upright.embedding @ turned.embedding) > 0.8


def test_a_face_in_the_dark_is_found(models_dir: Path, collins: bytes) -> None:
    rng = np.random.default_rng(0)
    picture = decode(collins)
    dark = (picture * 0.05 + rng.normal(0, 1, picture.shape)).round().clip(0, 255).astype(np.uint8)
    face = _face(dark, models_dir)
    assert face.quality.brightness < 5
    seen = _face(picture, models_dir).box
    assert face.box.left == pytest.approx(seen.left, abs=0.05) and face.box.area == pytest.approx(seen.area, rel=0.3)
