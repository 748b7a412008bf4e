"""The paths of people through stored videos."""

from typing import Any

from api.context import Context
from api.operations import video_jobs
from api.operations.rendering import bounding_box, face_detail
from inference import wire
from inference.video.types import SeenPerson
from storage.jobs import Row

KIND = "persons"


def start_person_tracking(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Starts a job that follows the people in a video, each under a number of its own.

    Networks: object_detector, face_detector, face_mesh, iris, face_embedder.
    """
    return video_jobs.start(ctx, request, "StartPersonTracking", KIND, {})


def get_person_tracking(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Gives where each person of a video is, by time or by person."""
    page = video_jobs.sorted_page(ctx, request, "GetPersonTracking", KIND, other_order="INDEX")
    return page.members | {"Persons": [_moment(row) for row in page.rows]}


def person_detail(person: SeenPerson) -> dict[str, Any]:
    """A PersonDetail."""
    members: dict[str, Any] = {"Index": person.index, "BoundingBox": bounding_box(person.box)}
    return members if person.face is None else members | {"Face": face_detail(person.face)}


def _moment(row: Row) -> dict[str, Any]:
    return {"Timestamp": row.at_ms, "Person": person_detail(wire.decode(row.payload, SeenPerson))}
