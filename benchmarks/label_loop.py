"""What the model server does for the labels of a picture, in a plain loop with nothing around it."""

import os
from collections.abc import Callable
from pathlib import Path

from inference import face_geometry, sightings, similarity
from inference.crops import onto
from inference.images import decode
from inference.models import face_attributes, face_detector, face_mesh, image_classifier, iris, object_detector
from inference.packs.store import network_path
from inference.pipelines import faces, people
from inference.pipelines.face_attributes import AGE_ENLARGEMENT
from inference.types import Pixels


def plain_loop(models: Path) -> Callable[[bytes], object]:
    """Decode, objects, classes; where there are people, their faces; of large ones mesh, eyes, age and gender."""
    cores = os.cpu_count() or 1

    def path(network: str) -> Path:
        return network_path(models, "base", network)

    objects = object_detector.load(path("object_detector"), "cpu", cores)
    classes = image_classifier.load(path("image_classifier"), "cpu", cores)
    detector = face_detector.load(path("face_detector"), "cpu", cores)
    mesh, eyes = face_mesh.load(path("face_mesh"), "cpu", cores), iris.load(path("iris"), "cpu", cores)
    age = face_attributes.load(path("face_attributes"), "cpu", cores)
    scores = similarity.curve("base", "object_score")
    probabilities = similarity.curve("base", "class_probability")

    def look_at_faces(image: Pixels) -> None:
        (found,) = detector.predict([face_detector.fit(image, faces.first_side(image))])
        for box, points in zip(found.boxes, found.points, strict=True):
            if min(box[2:]) < people.LEAST_FACE_PIXELS:
                continue
            crop = face_geometry.mesh_crop(image, box, face_geometry.tilt(points))
            (seen,) = mesh.predict([crop.pixels])
            whole = onto(seen.points, crop.to_picture)
            pupils = [eye.pixels for eye in face_geometry.eye_crops(image, whole) if eye is not None]
            if pupils:
                eyes.predict(pupils)
            age.predict([face_geometry.face_crop(image, whole, AGE_ENLARGEMENT, face_attributes.SIDE).pixels])

    def detect(picture: bytes) -> object:
        image = decode(picture, min_side=80)
        (found,) = objects.predict([object_detector.fit(image)])
        (seen,) = classes.predict([image_classifier.fit(image)])
        things = sightings.of_objects(sightings.distinct(found), scores)
        if things.confidences.get("Person", 0.0) >= people.LEAST_PERSON_CONFIDENCE:
            look_at_faces(image)
        return sightings.to_labels([things, sightings.of_classes(seen, probabilities)], 55.0)

    return detect
