"""Amazon resource names of the service's own resources: written here, read here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from api.errors import InvalidParameterException
from storage.tenant import Tenant

Kind = Literal["collection", "streamprocessor", "project", "version", "dataset"]


@dataclass(frozen=True)
class Arn:
    """A parsed resource name.

    `name` is the collection id, stream processor name or project name; `part` the version name of a version and
    "train" or "test" of a dataset; `created_ms` the creation time in epoch milliseconds that ends the names of
    projects, versions and datasets.
    """

    tenant: Tenant
    kind: Kind
    name: str
    part: str | None = None
    created_ms: int | None = None


def _prefix(tenant: Tenant) -> str:
    return f"arn:aws:rekognition:{tenant.region}:{tenant.account}"


def collection(tenant: Tenant, name: str) -> str:
    return f"{_prefix(tenant)}:collection/{name}"


def created_collection(tenant: Tenant, name: str) -> str:
    """The form that CreateCollection answers, without the leading `arn:`, as the real service does."""
    return collection(tenant, name).removeprefix("arn:")


def stream_processor(tenant: Tenant, name: str) -> str:
    return f"{_prefix(tenant)}:streamprocessor/{name}"


def project(tenant: Tenant, name: str, created_ms: int) -> str:
    return f"{_prefix(tenant)}:project/{name}/{created_ms}"


def version(tenant: Tenant, project_name: str, version_name: str, created_ms: int) -> str:
    return f"{_prefix(tenant)}:project/{project_name}/version/{version_name}/{created_ms}"


def dataset(tenant: Tenant, project_name: str, part: Literal["train", "test"], created_ms: int) -> str:
    return f"{_prefix(tenant)}:project/{project_name}/dataset/{part}/{created_ms}"


def everything(tenant: Tenant) -> str:
    """The name that stands for all resources of a tenant."""
    return f"{_prefix(tenant)}:*"


_NAME = r"(?P<name>[a-zA-Z0-9_.\-]+)"
_CREATED = r"(?P<created_ms>[0-9]+)"
_RESOURCES: dict[Kind, str] = {
    "collection": f"collection/{_NAME}",
    "streamprocessor": f"streamprocessor/{_NAME}",
    "project": f"project/{_NAME}/{_CREATED}",
    "version": rf"project/{_NAME}/version/(?P<part>[a-zA-Z0-9_.\-]+)/{_CREATED}",
    "dataset": f"project/{_NAME}/dataset/(?P<part>train|test)/{_CREATED}",
}
# The `arn:` is optional because CreateCollection's answer lacks it and callers tag with what they were given.
_PREFIX = re.compile(r"(?:arn:)?[a-z0-9-]+:rekognition:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):")


def parse(text: str) -> Arn:
    """Reads the name of one of the service's resources; raises InvalidParameterException for any other text."""
    prefix = _PREFIX.match(text)
    if prefix is not None:
        tenant = Tenant(account=prefix["account"], region=prefix["region"])
        for kind, pattern in _RESOURCES.items():
            resource = re.fullmatch(pattern, text[prefix.end() :])
            if resource is not None:
                found = resource.groupdict()
                created = found.get("created_ms")
                return Arn(tenant, kind, found["name"], found.get("part"), int(created) if created else None)
    raise InvalidParameterException(f"'{text}' is not the name of a resource of this service.")
