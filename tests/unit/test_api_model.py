"""The service model, and that our tables agree with it."""

from __future__ import annotations

import pytest
from botocore import xform_name

from api import errors
from api.model import OPERATIONS, SERVICE, targeted
from api.operations import HANDLERS


def test_the_model_has_75_operations_with_input_and_output() -> None:
    assert len(OPERATIONS) == 75
    for operation in OPERATIONS.values():
        assert operation.input_shape.type_name == operation.output_shape.type_name == "structure"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("RekognitionService.DetectFaces", "DetectFaces"),
        ("RekognitionService.NoSuch", None),
        ("DetectFaces", None),
        ("rekognitionservice.DetectFaces", None),
        ("RekognitionService.", None),
        ("", None),
    ],
)
def test_targeted(target: str, name: str | None) -> None:
    operation = targeted(target)
    assert (operation.name if operation else None) == name


def test_every_modelled_error_has_its_class_and_status() -> None:
    modelled = {cls.__name__: cls for cls in errors.ModelledError.__subclasses__()}
    assert set(modelled) == {shape.name for shape in SERVICE.error_shapes}
    assert len(modelled) == 23
    faults = {name for name, cls in modelled.items() if cls.status == 500}
    assert faults == {"InternalServerError", "ThrottlingException"}


def test_handlers_are_named_after_their_operations() -> None:
    for name, handler in HANDLERS.items():
        assert name in OPERATIONS
        assert handler.__name__ == xform_name(name)
