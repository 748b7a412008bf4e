"""Protective equipment on the persons of one picture: boxes, poses and faces, then what covers each part.

Covers come from the detector that the server's owner brought, where there is one, else from the estimators of `covers`.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from inference import covers, figures
from inference.batcher import Batcher
from inference.covers import Cover
from inference.figures import Figure, Part
from inference.models import protective_equipment_detector as detector
from inference.models.face_detector import Detections
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
    chores: Executor


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
        worn = await asyncio.gather(*(_estimated(picture.pixels, *one, seen, networks) for one in found))
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
    async def look(box: np.ndarray) -> np.ndarray:
        crop = await asyncio.get_running_loop().run_in_executor(networks.chores, figures.pose_crop, image, box)
        return figures.in_picture(await networks.pose.submit(crop.pixels), crop)

    return await asyncio.gather(*map(look, boxes))


def _parts(person: Figure, seen: Detections, width: int, height: int, networks: EquipmentNetworks) -> list[Part]:
    face = 0.0 if person.face is None else _face_confidence(person.face, seen, networks)
    return figures.parts(person, face, width, height)


def _face_confidence(number: int, seen: Detections, networks: EquipmentNetworks) -> float:
    return networks.faces.calibration.confidence(float(seen.scores[number])) / 100


async def _estimated(
    image: Pixels, person: Figure, parts: Sequence[Part], seen: Detections, networks: EquipmentNetworks
) -> list[list[Cover]]:
    judged = await asyncio.gather(*(_estimate(image, person, part, seen, networks) for part in parts))
    return [[cover] if cover.probability >= LEAST else [] for cover in judged]


async def _estimate(image: Pixels, person: Figure, part: Part, seen: Detections, networks: EquipmentNetworks) -> Cover:
    run, classifier = asyncio.get_running_loop().run_in_executor, networks.scene.classifier
    if part.name == "head":
        crop = await run(networks.chores, covers.head_crop, image, person)
        classes = await classifier.submit(crop.pixels)
        return await run(networks.chores, covers.head_cover, crop, classes, person)
    if part.name == "face":
        crop = await run(networks.chores, covers.face_crop, image, seen.boxes[person.face])
        classes = await classifier.submit(crop.pixels)
        return await run(networks.chores, covers.face_cover, crop, classes, seen.points[person.face])
    crop = await run(networks.chores, covers.hand_crop, image, part, person)
    return await run(networks.chores, covers.hand_cover, crop, part)


async def _items(image: Pixels, own: OwnDetector, chores: Executor) -> list[Item]:
    fitted = await asyncio.get_running_loop().run_in_executor(chores, detector.fit, image, own.side)
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
