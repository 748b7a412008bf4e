"""Celebrities: the people of the gallery that the owner of this installation has loaded, none at first."""

from typing import Any
from uuid import UUID

from api.context import Context
from api.operations.images import LEAST_SIDE_PIXELS, image_bytes
from api.operations.rendering import asked_attributes, face_detail, percent
from inference import similarity
from inference.types import Face
from inference.video.types import SeenCelebrity
from storage import celebrities
from storage.celebrities import Celebrity
from storage.collections import Collection
from vectorindex.client import UnknownCollection

MOST_FACES = 64
LEAST_CONFIDENCE = similarity.LEAST_IDENTIFICATION


def recognize_celebrities(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Tells which of the 64 largest faces are of the owner's gallery of celebrities; it is empty at first.

    Networks: face_detector, face_mesh, iris, emotion, face_embedder.
    """
    gallery = ctx.services.pool.read(celebrities.gallery, ctx.tenant)
    has_people = gallery is not None and gallery.user_count > 0
    result = ctx.services.inference.faces(
        image_bytes(ctx, request["Image"]),
        embed="all" if has_people else "none",
        max_faces=MOST_FACES,
        min_side=LEAST_SIDE_PIXELS,
        face_model_version=gallery.face_model_version if gallery else None,
        attributes=asked_attributes(["EMOTIONS", "SMILE"]),
        request_id=ctx.request_id,
    )
    faces = result.faces[:MOST_FACES]
    known = _recognised(ctx, gallery, faces) if gallery and has_people else {}
    return {
        "CelebrityFaces": [
            {"Id": celebrity.id, "MatchConfidence": confidence, "Face": face_detail(faces[place])}
            | celebrity_info(celebrity)
            for place, (celebrity, confidence) in known.items()
        ],
        "UnrecognizedFaces": [face_detail(face) for place, face in enumerate(faces) if place not in known],
    }


def get_celebrity_info(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Tells the name, the links and the known gender of a celebrity of the owner's gallery."""
    return celebrity_info(ctx.services.pool.read(celebrities.get, ctx.tenant, request["Id"]))


def _recognised(ctx: Context, gallery: Collection, faces: tuple[Face, ...]) -> dict[int, tuple[Celebrity, float]]:
    """By place in `faces`: who it is, and with which confidence. Each face on its own."""
    identification = similarity.of_version(gallery.face_model_version).identification
    least = identification.cosine_at(LEAST_CONFIDENCE, gallery.user_count) - similarity.COSINE_ERROR
    nearest: dict[int, tuple[UUID, float]] = {}
    try:
        for place, face in enumerate(faces):
            assert face.embedding is not None
            for match in ctx.services.index.search(gallery.id, "users", gallery.version, face.embedding, 1, least):
                nearest[place] = (match.id, percent(identification.confidence(match.score, gallery.user_count)))
    except UnknownCollection:
        # The gallery was removed since it was looked at.
        return {}
    people = ctx.services.pool.read(celebrities.by_keys, gallery.id, {key for key, _ in nearest.values()})
    return {
        place: (people[key], confidence)
        for place, (key, confidence) in nearest.items()
        # A celebrity removed since the index was read is no match.
        if confidence >= LEAST_CONFIDENCE and key in people
    }


def celebrity_info(celebrity: Celebrity | SeenCelebrity) -> dict[str, Any]:
    return {
        "Name": celebrity.name,
        "Urls": list(celebrity.urls),
        "KnownGender": {"Type": celebrity.gender.capitalize()},
    }
