"""Protective equipment on the persons of one picture: boxes, poses and faces, then what covers each part.

Covers come from the detector that the server's owner brought, where there is one, else from the estimators of `covers`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from inference import covers, figures
from inference.batcher import Batcher
from inference.cores import Cores
from inference.covers import Cover
from inference.crops import Crop
from inference.figures import Figure, Part
from inference.models import protective_equipment_detector as detector
from inference.models.face_detector import Detections
from inference.models.image_classifier import Classes
from inference.models.protective_equipment_detector import Fitted, Item
from inference.pictures import Picture
from inference.pipelines import faces, scene
from inference.pipelines.faces import FaceNetworks
from inference.pipelines.scene import SceneNetworks
from inference.types import BodyPart, Box, Equipment, Judgement, Person, Pixels, ProtectiveEquipmentResult

MOST_PERSONS = 15
LEAST, SUREST = 0.5, 0.99
"""Of a confidence that is stated, as ratios; no set is large enough to tell more."""
KIND_ON = {"face": "face_cover", "left_hand": "hand_cover", "right_hand": "hand_cover", "head": "head_cover"}
REACH = 1.0
"""How far, in units, the middle of a detected item may lie from the middle of the part it is on or near."""


@dataclass(frozen=True)
class OwnDetector:
    """The queue of the owner's detector, and the side of its input in pixels."""

    queue: Batcher[Fitted, list[Item]]
    side: int


@dataclass(frozen=True)
class EquipmentNetworks:
    """The queues of the networks, shared with the tasks that have them already; `own` is None without such a pack."""

    pose: Batcher[Pixels, np.ndarray]
    own: OwnDetector | None
    faces: FaceNetworks
    scene: SceneNetworks
    chores: Cores


async def find_equipment(picture: Picture, networks: EquipmentNetworks) -> ProtectiveEquipmentResult:
    """The largest 15 persons, their parts and what covers them. Raises Overloaded."""
    return await picture.once("protective equipment", lambda: _find(picture, networks))


async def _find(picture: Picture, networks: EquipmentNetworks) -> ProtectiveEquipmentResult:
    height, width = picture.pixels.shape[:2]
    parts = figures.tiles(width, height)
    objects, seen = await asyncio.gather(
        scene.objects_by_parts(picture, parts, networks.scene), faces.detect(picture, networks.faces)
    )
    boxes, scores = figures.candidates(objects, width, height)
    people = await _figures(picture.pixels, boxes, scores, seen, networks)
    found = [(person, _parts(person, seen, width, height, networks)) for person in people]
    if networks.own is None:
        worn = await _estimated(picture.pixels, found, seen, networks)
    else:
        worn = detected(found, await _items(picture.pixels, networks.own, networks.chores))
    return ProtectiveEquipmentResult(
        tuple(_person(*one, equipment, width, height) for one, equipment in zip(found, worn, strict=True))
    )


async def _figures(
    image: Pixels, boxes: np.ndarray, scores: np.ndarray, seen: Detections, networks: EquipmentNetworks
) -> list[Figure]:
    """The largest persons: those of boxes, and those of whom only the face was found."""
    height, width = image.shape[:2]
    poses = await _poses(image, boxes, networks)
    people, nobodys = figures.figures(boxes, scores, poses, seen.boxes)
    alone = [n for n in nobodys if figures.is_alone(seen.boxes[n], people)][:MOST_PERSONS]
    bodies = [figures.body_of_face(seen.boxes[n], width, height) for n in alone]
    for n, body, points in zip(alone, bodies, await _poses(image, bodies, networks), strict=True):
        people.append(figures.of_face(body, points, seen.boxes[n], n, _face_confidence(n, seen, networks)))
    return sorted(people, key=lambda person: -float(person.box[2] * person.box[3]))[:MOST_PERSONS]


async def _poses(
    image: Pixels, boxes: Sequence[np.ndarray] | np.ndarray, networks: EquipmentNetworks
) -> list[np.ndarray]:
    crops = await networks.chores.run(lambda: [figures.pose_crop(image, box) for box in boxes])
    poses = await networks.pose.submit_all([crop.pixels for crop in crops])
    return [figures.in_picture(pose, crop) for pose, crop in zip(poses, crops, strict=True)]


def _parts(person: Figure, seen: Detections, width: int, height: int, networks: EquipmentNetworks) -> list[Part]:
    face = 0.0 if person.face is None else _face_confidence(person.face, seen, networks)
    return figures.parts(person, face, width, height)


def _face_confidence(number: int, seen: Detections, networks: EquipmentNetworks) -> float:
    return networks.faces.calibration.confidence(float(seen.scores[number])) / 100


async def _estimated(
    image: Pixels, found: Sequence[tuple[Figure, Sequence[Part]]], seen: Detections, networks: EquipmentNetworks
) -> list[list[list[Cover]]]:
    """What each part of each person looks to be covered with."""
    shown = [(person, part) for person, parts in found for part in parts]
    crops = await networks.chores.run(lambda: [_crop(image, *one, seen) for one in shown])
    named = [n for n, (_, part) in enumerate(shown) if part.name in ("head", "face")]
    classes = dict(
        zip(named, await networks.scene.classifier.submit_all([crops[n].pixels for n in named]), strict=True)
    )
    judged = await networks.chores.run(
        lambda: [_cover(crops[n], classes.get(n), *one, seen) for n, one in enumerate(shown)]
    )
    worn = iter([[cover] if cover.probability >= LEAST else [] for cover in judged])
    return [list(islice(worn, len(parts))) for _, parts in found]


def _crop(image: Pixels, person: Figure, part: Part, seen: Detections) -> Crop:
    if part.name == "head":
        return covers.head_crop(image, person)
    if part.name == "face":
        return covers.face_crop(image, seen.boxes[person.face])
    return covers.hand_crop(image, part, person)


def _cover(crop: Crop, classes: Classes | None, person: Figure, part: Part, seen: Detections) -> Cover:
    """`classes` are those of a head or a face, None for a hand."""
    if classes is None:
        return covers.hand_cover(crop, part)
    if part.name == "head":
        return covers.head_cover(crop, classes, person)
    return covers.face_cover(crop, classes, seen.points[person.face])


async def _items(image: Pixels, own: OwnDetector, chores: Cores) -> list[Item]:
    fitted = await chores.run(detector.fit, image, own.side)
    return await own.queue.submit(fitted)


def detected(found: Sequence[tuple[Figure, Sequence[Part]]], items: Sequence[Item]) -> list[list[list[Cover]]]:
    """The items on each part of each person: every item is at the nearest part of its kind within REACH, or nowhere."""
    worn: list[list[list[Cover]]] = [[[] for _ in parts] for _, parts in found]
    for item in items:
        middle = item.box[:2] + item.box[2:] / 2
        near = [
            (float(np.linalg.norm(part.box[:2] + part.box[2:] / 2 - middle)) / person.unit, n, m)
            for n, (person, parts) in enumerate(found)
            for m, part in enumerate(parts)
            if KIND_ON[part.name] == item.kind
        ]
        distance, n, m = min(near, default=(REACH, 0, 0))
        if distance < REACH:
            worn[n][m].append(Cover(item.probability, item.box, covered_share(found[n][1][m].box, item.box)))
    return worn


def covered_share(part: np.ndarray, item: np.ndarray) -> float:
    """How much of a part's box, left, top, width and height, lies in an item's: 0..1."""
    corner = np.minimum(part[:2] + part[2:], item[:2] + item[2:])
    inside = (corner - np.maximum(part[:2], item[:2])).clip(0)
    return float(inside.prod() / max(part[2] * part[3], 1e-6))


def _person(figure: Figure, parts: Sequence[Part], worn: Sequence[Sequence[Cover]], width: int, height: int) -> Person:
    return Person(
        _ratios(figure.box, width, height),
        _percent(figure.confidence),
        tuple(
            BodyPart(
                part.name,
                _percent(part.confidence),
                tuple(_equipment(KIND_ON[part.name], cover, width, height) for cover in on_part),
            )
            for part, on_part in zip(parts, worn, strict=True)
        ),
    )


def _equipment(kind: str, cover: Cover, width: int, height: int) -> Equipment:
    covering = Judgement(cover.covering >= 0.5, _percent(max(cover.covering, 1 - cover.covering)))
    return Equipment(kind, _ratios(cover.box, width, height), _percent(cover.probability), covering)


def _ratios(box: np.ndarray, width: int, height: int) -> Box:
    """What of a box lies in the picture."""
    size = np.array([width, height])
    corner = (box[:2] / size).clip(0, 1)
    extent = ((box[:2] + box[2:]) / size).clip(0, 1) - corner
    return Box(*corner.tolist(), *extent.tolist())


def _percent(probability: float) -> float:
    return 100 * min(max(probability, LEAST), SUREST)
