"""The networks that look at whole pictures, on real ones."""

from pathlib import Path

import numpy as np

from inference import figures
from inference.images import decode
from inference.models import body_pose, image_classifier, object_detector
from inference.models.object_detector import CLASSES
from inference.packs.store import network_path


def test_the_detector_finds_the_person_where_she_is(models_dir: Path, collins: bytes) -> None:
    detector = object_detector.load(network_path(models_dir, "base", "object_detector"), "cpu", 1)
    image = decode(collins)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    found, turned = detector.predict([object_detector.fit(image), object_detector.fit(mirrored)])
    assert CLASSES[found.classes[0]] == "person" and found.scores[0] > 0.5
    assert (np.diff(found.scores) <= 0).all() and (found.boxes >= 0).all()
    left, _, width, _ = found.boxes[0]
    assert abs(turned.boxes[0][0] - (1 - left - width)) < 0.05


def test_the_points_of_a_body_follow_the_person(models_dir: Path, hopper: bytes) -> None:
    network = body_pose.load(network_path(models_dir, "base", "body_pose"), "cpu", 1)
    image = decode(hopper)
    height, width = image.shape[:2]
    whole, right = np.array([0.0, 0, width, height]), np.array([60.0, 0, width, height])
    crops = [figures.pose_crop(image, box) for box in (whole, right)]
    poses = [
        figures.in_picture(points, crop)
        for points, crop in zip(network.predict([c.pixels for c in crops]), crops, strict=True)
    ]
    for pose in poses:
        at = dict(zip(body_pose.POINTS, pose[:, :2].tolist(), strict=True))
        assert 226 < at["nose"][0] < 306 and 200 < at["nose"][1] < 265, "where the face detector sees it"
        assert at["right eye"][0] < at["nose"][0] < at["left eye"][0], "her own left and right"
        assert at["right shoulder"][0] < at["left shoulder"][0] and at["left shoulder"][1] > at["nose"][1]
    assert np.abs(poses[0][:7, :2] - poses[1][:7, :2]).max() < 40


def test_the_classifier_sees_the_suit_of_an_astronaut_and_a_uniform(
    models_dir: Path, collins: bytes, hopper: bytes
) -> None:
    """Classes by their number in ILSVRC 2012: space shuttle 812, military uniform 652."""
    classifier = image_classifier.load(network_path(models_dir, "base", "image_classifier"), "cpu", 1)
    ranks = [
        np.argsort(-one.logits).tolist()
        for one in classifier.predict([image_classifier.fit(decode(data)) for data in (collins, hopper)])
    ]
    assert ranks[1].index(652) < 5
    assert ranks[0].index(652) > ranks[1].index(652)
