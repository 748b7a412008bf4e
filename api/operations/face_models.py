"""Requests that meet the moment in which their collection goes over to another face model.

Embeddings of two models are never compared: such a request is done again, with the new model.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from psycopg import Connection

from api.context import Context
from storage import collections
from storage.collections import Collection
from storage.errors import FaceModelChanged
from storage.tenant import Tenant

Handle = Callable[[Context, dict[str, Any]], dict[str, Any]]


def again_if_the_model_changed(handle: Handle) -> Handle:
    """Handles a request a second time if FaceModelChanged was raised the first time."""

    @wraps(handle)
    def handle_again(ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return handle(ctx, request)
        except FaceModelChanged:
            return handle(ctx, request)

    return handle_again


def require_the_model(connection: Connection[Any], tenant: Tenant, collection: Collection) -> None:
    """Raises FaceModelChanged when a collection is not of the face model any more that it was of when it was read.

    To be called after the index was asked: it never is ahead of the rows.
    """
    present = collections.get(connection, tenant, collection.name)
    if present.face_model_version != collection.face_model_version:
        raise FaceModelChanged(name=collection.name, face_model_version=present.face_model_version)
