"""The attributes of the faces of one picture: mesh and eyes first, then only the networks that were asked for."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from inference import attributes, face_geometry
from inference.attribute_scores import UprightFace, upright_face
from inference.attributes import Observed
from inference.batcher import Batcher
from inference.cores import Cores
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
class _Look:
    """What the mesh network found in a crop."""

    crop: Crop
    found: Mesh

    @cached_property
    def mesh(self) -> np.ndarray:
        """In picture pixels."""
        return onto(self.found.points, self.crop.to_picture)

    def is_upright(self) -> bool:
        return face_geometry.is_upright(self.mesh, self.crop)


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
    chores: Cores,
) -> list[Face]:
    """The faces with the mesh's landmarks and pose, and the asked attributes (names of attributes.ASKABLE, or "all").

    `boxes` float [N, 4] and `points` float [N, 5, 2] are the detector's, in picture pixels. Raises Overloaded.
    """
    wanted = attributes.wanted(asked)
    observed = await observe(image, boxes, points, wanted, networks, chores)
    height, width = image.shape[:2]
    kinds = face_geometry.ALL if "all" in asked else face_geometry.FIVE

    def described() -> list[Face]:
        return [
            replace(
                face,
                landmarks=face_geometry.landmarks(seen.geometry, width, height, kinds),
                pose=mesh_pose(seen.geometry.mesh),
                attributes=attributes.judge(wanted, seen),
            )
            for face, seen in zip(faces, observed, strict=True)
        ]

    return await chores.run(described)


async def observe(
    image: Pixels,
    boxes: np.ndarray,
    points: np.ndarray,
    wanted: frozenset[str],
    networks: AttributeNetworks,
    chores: Cores,
    with_eyes: bool = True,
) -> list[Observed]:
    """What the attributes `wanted` need of each face; `boxes` and `points` as in `describe`.

    Age and gender do without the eyes, whose network then does not run.
    """
    geometries = await _geometries(image, boxes, points, networks, chores, with_eyes)
    people_asked, emotions_asked = wanted & attributes.FROM_FACERES, wanted & attributes.FROM_EMOTION
    upright, people, emotions = await asyncio.gather(
        _upright(image, geometries, chores) if wanted & attributes.FROM_CROP else _nothing(geometries),
        _age_and_gender(image, geometries, networks, chores) if people_asked else _nothing(geometries),
        _emotions(image, geometries, networks, chores) if emotions_asked else _nothing(geometries),
    )
    return [Observed(*seen) for seen in zip(geometries, upright, people, emotions, strict=True)]


async def _nothing(geometries: Sequence[FaceGeometry]) -> Sequence[None]:
    return [None] * len(geometries)


async def _geometries(
    image: Pixels,
    boxes: np.ndarray,
    points: np.ndarray,
    networks: AttributeNetworks,
    chores: Cores,
    with_eyes: bool,
) -> list[FaceGeometry]:
    looks = await _looks(image, boxes, points, networks, chores)
    if not with_eyes:
        return [FaceGeometry(seen.mesh, (None, None), seen.found.presence) for seen in looks]
    crops = await chores.run(lambda: [face_geometry.eye_crops(image, seen.mesh) for seen in looks])
    shown = [crop for pair in crops for crop in pair if crop is not None]
    found = iter(await networks.iris.submit_all([crop.pixels for crop in shown]))

    def eye(crop: Crop | None) -> np.ndarray | None:
        return None if crop is None else onto(next(found), crop.to_picture)

    return [
        FaceGeometry(seen.mesh, (eye(left), eye(right)), seen.found.presence)
        for seen, (left, right) in zip(looks, crops, strict=True)
    ]


async def _looks(
    image: Pixels, boxes: np.ndarray, points: np.ndarray, networks: AttributeNetworks, chores: Cores
) -> list[_Look]:
    """The last look at each face: again where the crop was not upright. Each look is at all faces at once."""

    async def look(crops: Callable[[], list[Crop]]) -> list[_Look]:
        cut = await chores.run(crops)
        found = await networks.mesh.submit_all([crop.pixels for crop in cut])
        return [_Look(crop, mesh) for crop, mesh in zip(cut, found, strict=True)]

    looks = await look(
        lambda: [
            face_geometry.mesh_crop(image, box, face_geometry.tilt(five))
            for box, five in zip(boxes, points, strict=True)
        ]
    )
    unsure = {n for n, seen in enumerate(looks) if _is_unsure(boxes[n], seen.found)}
    turned = [(n, degrees) for n in sorted(unsure) for degrees in face_geometry.TURNS]
    if turned:
        again = await look(lambda: [face_geometry.mesh_crop(image, boxes[n], degrees) for n, degrees in turned])
        for (n, _), seen in zip(turned, again, strict=True):
            if seen.found.presence >= face_geometry.LEAST_PRESENCE:
                looks[n] = max(looks[n], seen, key=lambda one: one.found.presence)
    for look_again in range(1, face_geometry.MOST_LOOKS):
        # the box of a face on its side fits worse than its mesh does
        slanted = [n for n, seen in enumerate(looks) if not seen.is_upright() or (look_again == 1 and n in unsure)]
        if not slanted:
            break
        again = await look(partial(_upright_crops, image, [looks[n].mesh for n in slanted]))
        for n, seen in zip(slanted, again, strict=True):
            looks[n] = seen
    return looks


def _upright_crops(image: Pixels, meshes: Sequence[np.ndarray]) -> list[Crop]:
    return [face_geometry.upright_crop(image, mesh) for mesh in meshes]


def _is_unsure(box: np.ndarray, found: Mesh) -> bool:
    large = min(box[2:]) >= face_geometry.LEAST_TURNED_PIXELS
    return bool(large and found.presence < face_geometry.SURE_PRESENCE)


async def _upright(image: Pixels, geometries: Sequence[FaceGeometry], chores: Cores) -> Sequence[UprightFace | None]:
    return await chores.run(
        lambda: [
            upright_face(face_geometry.face_crop(image, geometry.mesh, 1.0, UPRIGHT_SIDE), geometry)
            for geometry in geometries
        ]
    )


async def _age_and_gender(
    image: Pixels, geometries: Sequence[FaceGeometry], networks: AttributeNetworks, chores: Cores
) -> Sequence[AgeAndGender | None]:
    crops = await chores.run(_crops, image, geometries, AGE_ENLARGEMENT, face_attributes.SIDE)
    return await networks.age_and_gender.submit_all([crop.pixels for crop in crops])


async def _emotions(
    image: Pixels, geometries: Sequence[FaceGeometry], networks: AttributeNetworks, chores: Cores
) -> Sequence[np.ndarray | None]:
    crops = await chores.run(_crops, image, geometries, 1.0, emotion.SIDE)
    return await networks.emotion.submit_all([crop.pixels for crop in crops])


def _crops(image: Pixels, geometries: Sequence[FaceGeometry], enlargement: float, side: int) -> list[Crop]:
    return [face_geometry.face_crop(image, geometry.mesh, enlargement, side) for geometry in geometries]
