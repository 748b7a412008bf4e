"""The bytes of a request's `Image`."""

import hashlib
from typing import Any
from uuid import UUID

from api.context import Context
from api.errors import InvalidParameterException, InvalidS3ObjectException

MOST_OBJECT_BYTES = 15 * 1024 * 1024
"""Of an image in a bucket (limits.md section 1); inline bytes are bounded by the service model."""

LEAST_SIDE_PIXELS = 80
"""Of an image for face analysis (limits.md section 1)."""


def image_bytes(ctx: Context, image: dict[str, Any]) -> bytes:
    """The encoded picture, inline or from its bucket.

    Raises InvalidParameterException unless exactly one of the two is given; the errors of ObjectStore.read.
    """
    if ("Bytes" in image) == ("S3Object" in image):
        raise InvalidParameterException
    if "Bytes" in image:
        inline: bytes = image["Bytes"]
        return inline
    place = image["S3Object"]
    if not place.get("Bucket") or not place.get("Name"):
        raise InvalidS3ObjectException("Request has invalid S3 object.")
    return ctx.services.objects.read(
        ctx.tenant, place["Bucket"], place["Name"], place.get("Version"), MOST_OBJECT_BYTES
    )


def image_id(data: bytes) -> UUID:
    """A picture's id: a function of its bytes alone, in the form of a name-based UUID (faces.md section 5)."""
    return UUID(bytes=hashlib.sha256(data).digest()[:16], version=5)
