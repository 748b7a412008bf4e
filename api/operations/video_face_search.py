"""People of collections in stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.rendering import percent, stored_face
from api.operations.search import DEFAULT_THRESHOLD
from api.operations.video_persons import person_detail
from inference import wire
from inference.video.types import FaceMatch, SeenPerson
from storage import collections
from storage.jobs import Row

KIND = "face_search"


def start_face_search(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that looks for the faces of a collection in a video, person by person.

    Networks: object_detector, face_detector, face_mesh, iris, face_embedder.
    """
    collection = ctx.services.pool.read(collections.get, ctx.tenant, request["CollectionId"])
    params = {
        "collection": collection.name,
        "collection_id": collection.id,
        "threshold": request.get("FaceMatchThreshold", DEFAULT_THRESHOLD),
    }
    return video_jobs.start(ctx, request, "StartFaceSearch", KIND, params)


def get_face_search(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives the persons of a video, by time or by person, with the stored faces that are theirs."""
    page = video_jobs.sorted_page(ctx, request, "GetFaceSearch", KIND, other_order="INDEX")
    return page.members | {"Persons": [_moment(row) for row in page.rows]}


def _moment(row: Row) -> dict[str, Any]:
    person = wire.decode(row.payload, SeenPerson)
    members = {"Timestamp": row.at_ms, "Person": person_detail(person)}
    return members | ({"FaceMatches": [_match(match) for match in person.matches]} if person.matches else {})


def _match(match: FaceMatch) -> dict[str, Any]:
    return {"Similarity": percent(match.similarity), "Face": stored_face(match)}
