"""Who the people of a picture are, as labels: faces, groups, and what a person's face tells of age and gender."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from inference import attributes
from inference.models.face_detector import Detections
from inference.pictures import Picture
from inference.pipelines import face_attributes, faces
from inference.pipelines.faces import FaceNetworks
from inference.sightings import Sightings
from inference.types import Box, Face, Instance

LEAST_PERSON_CONFIDENCE = 17.0
"""Of the surest person, for faces to be looked for. Pictures under it have no sure face either (docs/accuracy.md)."""
LEAST_FACE_PIXELS = 32
MOST_FACES = 16
"""Whose age and gender are judged: the largest, if they are large enough."""
LEAST_ADULT_YEARS, MOST_CHILD_YEARS = 18, 20
"""Whose age range begins at the first is called an adult, whose range ends by the other a child."""
AGE_CONFIDENCE = 97.0
"""How often both are right (docs/accuracy.md). The gender of children is told too badly to be said."""
PEOPLE, CROWD = 2, 10


async def find_people(picture: Picture, found: Sightings, networks: FaceNetworks) -> Sightings:
    """Labels beside Person, whose boxes were `found` before: each repeats those it fits. Raises Overloaded."""
    persons = found.instances.get("Person", ())
    if not persons or persons[0].confidence < LEAST_PERSON_CONFIDENCE:
        return Sightings()
    confidences = {
        name: persons[n - 1].confidence for name, n in (("People", PEOPLE), ("Crowd", CROWD)) if n <= len(persons)
    }
    detections = await faces.detect(picture, networks)
    if len(detections.scores):
        confidences["Face"] = networks.calibration.confidence(float(detections.scores.max()))
    instances: dict[str, list[Instance]] = {}
    for person, face in _paired(persons, await _described(picture, detections, networks)):
        for name, confidence in told_by(face).items():
            instances.setdefault(name, []).append(Instance(person.box, min(person.confidence, confidence)))
    ranked = {name: tuple(sorted(some, key=lambda one: -one.confidence)) for name, some in instances.items()}
    return Sightings(confidences | {name: some[0].confidence for name, some in ranked.items()}, ranked)


def told_by(face: Face) -> dict[str, float]:
    """The labels that a face's age range and gender give its owner, with confidences 0..100."""
    age, gender = face.attributes.age_range, face.attributes.gender
    if age is not None and age.high <= MOST_CHILD_YEARS:
        return {"Child": AGE_CONFIDENCE}
    told: dict[str, float] = {}
    if age is not None and age.low >= LEAST_ADULT_YEARS:
        told["Adult"] = AGE_CONFIDENCE
    if gender is not None:
        told[gender.value.capitalize()] = gender.confidence
        if "Adult" in told:
            told["Man" if gender.value == "male" else "Woman"] = min(gender.confidence, AGE_CONFIDENCE)
    return told


async def _described(picture: Picture, detections: Detections, networks: FaceNetworks) -> list[Face]:
    """The largest of the detected faces, with age and gender."""
    large = detections.boxes[:, 2:].min(axis=1) >= LEAST_FACE_PIXELS
    boxes, points, scores = (
        part[large][:MOST_FACES] for part in (detections.boxes, detections.points, detections.scores)
    )
    if not len(scores):
        return []
    kept, image = Detections(boxes, points, scores), picture.pixels
    plain, _ = await networks.chores.run(faces.describe, image, kept, networks.calibration)
    wanted = attributes.wanted(("age_range", "gender"))
    observed = await face_attributes.observe(
        image, boxes, points, wanted, networks.attributes, networks.chores, with_eyes=False
    )
    return [
        replace(face, attributes=attributes.judge(wanted, seen)) for face, seen in zip(plain, observed, strict=True)
    ]


def _paired(persons: Sequence[Instance], seen: Sequence[Face]) -> Iterator[tuple[Instance, Face]]:
    """Each face with the surest person around its middle who has no larger face."""
    free = list(persons)
    for face in seen:
        x, y = face.box.left + face.box.width / 2, face.box.top + face.box.height / 2
        owner = next((one for one in free if _holds(one.box, x, y)), None)
        if owner is not None:
            free.remove(owner)
            yield owner, face


def _holds(box: Box, x: float, y: float) -> bool:
    return box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height
