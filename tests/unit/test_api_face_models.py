"""Requests that meet a change of their collection's face model are done once more."""

from typing import Any, cast

import pytest

from api.context import Context
from api.operations import HANDLERS
from api.operations.face_models import again_if_the_model_changed
from storage.errors import FaceModelChanged

CTX = cast(Context, None)


def test_a_request_is_done_again_and_only_once() -> None:
    answers: list[Exception | dict[str, Any]] = []

    @again_if_the_model_changed
    def handle(_: Context, request: dict[str, Any]) -> dict[str, Any]:
        """What it does."""
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer | request

    changed = FaceModelChanged(name="c", face_model_version="7.2")
    assert handle.__doc__ == "What it does."
    answers[:] = [changed, {"A": 1}]
    assert handle(CTX, {"B": 2}) == {"A": 1, "B": 2}
    answers[:] = [changed, changed, {"A": 1}]
    with pytest.raises(FaceModelChanged):
        handle(CTX, {})
    answers[:] = [KeyError("other"), {}]
    with pytest.raises(KeyError):
        handle(CTX, {})


def test_all_that_compare_or_store_embeddings_are_done_again() -> None:
    again = {name for name, handler in HANDLERS.items() if hasattr(handler, "__wrapped__")}
    assert again == {"IndexFaces", "SearchFaces", "SearchFacesByImage", "SearchUsers", "SearchUsersByImage"}
