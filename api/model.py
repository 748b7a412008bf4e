"""The service model that botocore ships: operations, shapes and declared errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

API_VERSION = "2016-06-27"
SIGNING_NAME = "rekognition"


@dataclass(frozen=True)
class Operation:
    """One operation of the API: its shapes, botocore `StructureShape`s, and the names of the errors it declares."""

    name: str
    input_shape: Any
    output_shape: Any
    errors: frozenset[str]


def _load() -> Any:
    # Only the model inside the package: a model in the user's ~/.aws must not change what the server speaks.
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model(SIGNING_NAME, "service-2", API_VERSION), SIGNING_NAME)


def _operation(name: str) -> Operation:
    described = SERVICE.operation_model(name)
    errors = frozenset(shape.name for shape in described.error_shapes)
    return Operation(name, described.input_shape, described.output_shape, errors)


SERVICE = _load()
TARGET_PREFIX = SERVICE.metadata["targetPrefix"] + "."
OPERATIONS: dict[str, Operation] = {name: _operation(name) for name in SERVICE.operation_names}


def targeted(target: str) -> Operation | None:
    """The operation that an `X-Amz-Target` header names, or None."""
    return OPERATIONS.get(target.removeprefix(TARGET_PREFIX)) if target.startswith(TARGET_PREFIX) else None
