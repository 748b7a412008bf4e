"""The attributes of the faces of one picture: mesh and eyes first, then only the networks that were asked for."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np

from inference import attributes, face_geometry
from inference.attribute_scores import UprightFace, upright_face
from inference.attributes import Observed
from inference.batcher import Batcher
from inference.crops import Crop, onto
from inference.face_geometry import FaceGeometry
from inference.models import emotion, face_attributes
from inference.models.face_attributes import AgeAndGender
from inference.models.face_mesh import Mesh
from inference.pose import mesh_pose
from inference.types import Face, Pixels

AGE_ENLARGEMENT = 1.25
"""Of the mesh's rectangle, for the age and gender network; tighter crops are worse, looser ones no better."""
UPRIGHT_SIDE = 224


@dataclass(frozen=True)
class AttributeNetworks:
    """The queues of the networks behind a face's landmarks and attributes."""

    mesh: Batcher[Pixels, Mesh]
    iris: Batcher[Pixels, np.ndarray]
    age_and_gender: Batcher[Pixels, AgeAndGender]
    emotion: Batcher[Pixels, np.ndarray]


async def describe(
    image: Pixels,
    faces: Sequence[Face],
    boxes: np.ndarray,
    points: np.ndarray,
    asked: tuple[str, ...],
    networks: AttributeNetworks,
    chores: Executor,
) -> list[Face]:
    """The faces with the mesh's landmarks and pose, and the asked attributes (names of attributes.ASKABLE, or "all").

    `boxes` float [N, 4] and `points` float [N, 5, 2] are the detector's, in picture pixels. Raises Overloaded.
    """
    async with asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(_describe(image, face, box, five, asked, networks, chores))
            for face, box, five in zip(faces, boxes, points, strict=True)
        ]
    return [task.result() for task in waiting]


async def _describe(
    image: Pixels,
    face: Face,
    box: np.ndarray,
    points: np.ndarray,
    asked: tuple[str, ...],
    networks: AttributeNetworks,
    chores: Executor,
) -> Face:
    height, width = image.shape[:2]
    kinds = face_geometry.ALL if "all" in asked else face_geometry.FIVE
    wanted = attributes.wanted(asked)
    seen = await observe(image, box, points, wanted, networks, chores)
    return replace(
        face,
        landmarks=face_geometry.landmarks(seen.geometry, width, height, kinds),
        pose=mesh_pose(seen.geometry.mesh),
        attributes=attributes.judge(wanted, seen),
    )


async def observe(
    image: Pixels,
    box: np.ndarray,
    points: np.ndarray,
    wanted: frozenset[str],
    networks: AttributeNetworks,
    chores: Executor,
) -> Observed:
    """What the attributes `wanted` need of a face; `box` float [4] and `points` float [5, 2] are the detector's."""
    geometry = await _geometry(image, box, points, networks, chores)
    upright, people, emotions = await asyncio.gather(
        _upright(image, geometry, chores) if wanted & attributes.FROM_CROP else _nothing(),
        _age_and_gender(image, geometry, networks, chores) if wanted & attributes.FROM_FACERES else _nothing(),
        _emotions(image, geometry, networks, chores) if wanted & attributes.FROM_EMOTION else _nothing(),
    )
    return Observed(geometry, upright, people, emotions)


async def _nothing() -> None:
    return None


async def _geometry(
    image: Pixels, box: np.ndarray, points: np.ndarray, networks: AttributeNetworks, chores: Executor
) -> FaceGeometry:
    loop = asyncio.get_running_loop()
    mesh, presence = await _mesh(image, box, points, networks, chores)
    crops = await loop.run_in_executor(chores, face_geometry.eye_crops, image, mesh)
    left, right = await asyncio.gather(*(_eye(crop, networks) for crop in crops))
    return FaceGeometry(mesh, (left, right), presence)


async def _mesh(
    image: Pixels, box: np.ndarray, points: np.ndarray, networks: AttributeNetworks, chores: Executor
) -> tuple[np.ndarray, float]:
    """In picture pixels, and its presence; looked at again where the crop was not upright."""
    loop = asyncio.get_running_loop()

    async def look(degrees: float) -> tuple[Crop, Mesh]:
        crop = await loop.run_in_executor(chores, face_geometry.mesh_crop, image, box, degrees)
        return crop, await networks.mesh.submit(crop.pixels)

    seen, found = await look(face_geometry.tilt(points))
    large = min(box[2:]) >= face_geometry.LEAST_TURNED_PIXELS
    unsure = large and found.presence < face_geometry.SURE_PRESENCE
    if unsure:
        turned = await asyncio.gather(*(look(degrees) for degrees in face_geometry.TURNS))
        sure = [one for one in turned if one[1].presence >= face_geometry.LEAST_PRESENCE]
        seen, found = max([(seen, found), *sure], key=lambda one: one[1].presence)
    mesh = onto(found.points, seen.to_picture)
    for look_again in range(1, face_geometry.MOST_LOOKS):
        # the box of a face on its side fits worse than its mesh does
        if face_geometry.is_upright(mesh, seen) and not (unsure and look_again == 1):
            break
        seen = await loop.run_in_executor(chores, face_geometry.upright_crop, image, mesh)
        found = await networks.mesh.submit(seen.pixels)
        mesh = onto(found.points, seen.to_picture)
    return mesh, found.presence


async def _eye(crop: Crop | None, networks: AttributeNetworks) -> np.ndarray | None:
    return None if crop is None else onto(await networks.iris.submit(crop.pixels), crop.to_picture)


async def _crop(image: Pixels, geometry: FaceGeometry, enlargement: float, side: int, chores: Executor) -> Crop:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(chores, face_geometry.face_crop, image, geometry.mesh, enlargement, side)


async def _upright(image: Pixels, geometry: FaceGeometry, chores: Executor) -> UprightFace:
    return upright_face(await _crop(image, geometry, 1.0, UPRIGHT_SIDE, chores), geometry)


async def _age_and_gender(
    image: Pixels, geometry: FaceGeometry, networks: AttributeNetworks, chores: Executor
) -> AgeAndGender:
    crop = await _crop(image, geometry, AGE_ENLARGEMENT, face_attributes.SIDE, chores)
    return await networks.age_and_gender.submit(crop.pixels)


async def _emotions(image: Pixels, geometry: FaceGeometry, networks: AttributeNetworks, chores: Executor) -> np.ndarray:
    return await networks.emotion.submit((await _crop(image, geometry, 1.0, emotion.SIDE, chores)).pixels)
