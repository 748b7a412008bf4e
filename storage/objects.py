"""Reads the objects of buckets: files of registered folders, or objects behind an S3 endpoint."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from storage import buckets
from storage.database import Pool
from storage.errors import BucketNotFound, ObjectChanged, ObjectNotFound, ObjectStoreUnavailable, ObjectTooLarge
from storage.ranged import RangedReader
from storage.tenant import Tenant

_CONNECT_TIMEOUT_SECONDS = 5
_READ_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3
# The version of an object that was stored while its bucket kept no versions.
_UNVERSIONED = "null"


class ObjectStore:
    """The buckets of all tenants: registered folders first, then the S3 endpoint if there is one.

    Credentials for the endpoint come from where boto3 looks for them.
    """

    def __init__(self, pool: Pool, s3_endpoint_url: str | None) -> None:
        self._pool = pool
        self._s3_endpoint_url = s3_endpoint_url

    def read(self, tenant: Tenant, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
        """The content of an object of at most `max_bytes`.

        Names are S3 keys, but `.`, `..` and empty parts between slashes name nothing.
        Raises BucketNotFound, ObjectNotFound, ObjectTooLarge, ObjectStoreUnavailable, DatabaseUnavailable.
        """
        if not _is_name(name):
            raise ObjectNotFound(bucket=bucket, name=name)
        folder = self._pool.read(buckets.find, tenant, bucket)
        if folder is not None:
            return _read_file(Path(folder.directory), bucket, name, version, max_bytes)
        if self._s3_endpoint_url is not None:
            return _read_s3(self._s3_endpoint_url, tenant.region, bucket, name, version, max_bytes)
        raise BucketNotFound(bucket=bucket)

    def open(self, tenant: Tenant, bucket: str, name: str, version: str | None, max_bytes: int) -> RangedReader:
        """An object of at most `max_bytes`, as a file of which only what is read is fetched. It is to be closed.

        Raises what `read` does, though S3 tells a missing bucket like a missing object. Reading raises ObjectChanged
        once the object is another one, and ObjectStoreUnavailable.
        """
        if not _is_name(name):
            raise ObjectNotFound(bucket=bucket, name=name)
        folder = self._pool.read(buckets.find, tenant, bucket)
        if folder is not None:
            return _open_file(Path(folder.directory), bucket, name, version, max_bytes)
        if self._s3_endpoint_url is not None:
            return _open_s3(self._s3_endpoint_url, tenant.region, bucket, name, version, max_bytes)
        raise BucketNotFound(bucket=bucket)

    def names(self, tenant: Tenant, bucket: str, prefix: str = "") -> Iterator[str]:
        """The names of a bucket's objects that begin with `prefix`, in any order.

        Raises BucketNotFound, ObjectStoreUnavailable, DatabaseUnavailable.
        """
        folder = self._pool.read(buckets.find, tenant, bucket)
        if folder is not None:
            return _names_of_files(Path(folder.directory), prefix)
        if self._s3_endpoint_url is not None:
            return _names_in_s3(self._s3_endpoint_url, tenant.region, bucket, prefix)
        raise BucketNotFound(bucket=bucket)


def _is_name(name: str) -> bool:
    return all(part not in ("", ".", "..") for part in name.split("/"))


def _names_of_files(folder: Path, prefix: str) -> Iterator[str]:
    for inside, _, files in os.walk(folder):
        for file in files:
            name = (Path(inside) / file).relative_to(folder).as_posix()
            if name.startswith(prefix):
                yield name


def _names_in_s3(endpoint_url: str, region: str, bucket: str, prefix: str) -> Iterator[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    pages = _s3_client(endpoint_url, region).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", []))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchBucket":
            raise BucketNotFound(bucket=bucket) from error
        raise ObjectStoreUnavailable(reason=str(error)) from error
    except BotoCoreError as error:
        raise ObjectStoreUnavailable(reason=str(error)) from error


def _read_file(folder: Path, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
    with open(_descriptor(folder, bucket, name, version), "rb") as file:
        content = file.read(max_bytes + 1)
        size = os.fstat(file.fileno()).st_size
    if len(content) > max_bytes:
        raise ObjectTooLarge(bucket=bucket, name=name, size=size, max_bytes=max_bytes)
    return content


def _open_file(folder: Path, bucket: str, name: str, version: str | None, max_bytes: int) -> RangedReader:
    descriptor = _descriptor(folder, bucket, name, version)
    found = os.fstat(descriptor)
    if found.st_size > max_bytes:
        os.close(descriptor)
        raise ObjectTooLarge(bucket=bucket, name=name, size=found.st_size, max_bytes=max_bytes)

    def fetch(start: int, end: int) -> bytes:
        content = os.pread(descriptor, end - start, start)
        now = os.fstat(descriptor)
        if len(content) < end - start or (now.st_size, now.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            raise ObjectChanged(bucket=bucket, name=name)
        return content

    return RangedReader(found.st_size, fetch, release=lambda: os.close(descriptor))


def _descriptor(folder: Path, bucket: str, name: str, version: str | None) -> int:
    if version not in (None, _UNVERSIONED):
        raise ObjectNotFound(bucket=bucket, name=name)
    try:
        return _open_beneath(folder, name)
    except (OSError, ValueError) as error:  # ValueError: a NUL or a character that no file name can have
        raise ObjectNotFound(bucket=bucket, name=name) from error


def _open_beneath(folder: Path, name: str) -> int:
    """Open the regular file that `name` leads to, if that lies in the folder; OSError or ValueError otherwise.

    Links are resolved before, and the result is walked without following any, so no later change leads out.
    """
    root = Path(os.path.realpath(folder, strict=True))
    *folders, file = Path(os.path.realpath(root / name, strict=True)).relative_to(root).parts
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    inside = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            outside, inside = inside, os.open(part, flags | os.O_DIRECTORY, dir_fd=inside)
            os.close(outside)
        descriptor = os.open(file, flags, dir_fd=inside)
    finally:
        os.close(inside)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{name} is not a regular file")
    return descriptor


def _read_s3(endpoint_url: str, region: str, bucket: str, name: str, version: str | None, max_bytes: int) -> bytes:
    request = {"Bucket": bucket, "Key": name} | ({} if version is None else {"VersionId": version})
    with _errors_of_s3(bucket, name):
        answer = _s3_client(endpoint_url, region).get_object(**request)
        with closing(answer["Body"]) as body:
            content: bytes = body.read(max_bytes + 1) if answer["ContentLength"] <= max_bytes else b""
    if answer["ContentLength"] > max_bytes:
        raise ObjectTooLarge(bucket=bucket, name=name, size=answer["ContentLength"], max_bytes=max_bytes)
    return content


def _open_s3(
    endpoint_url: str, region: str, bucket: str, name: str, version: str | None, max_bytes: int
) -> RangedReader:
    client = _s3_client(endpoint_url, region)
    wanted = {"Bucket": bucket, "Key": name} | ({} if version is None else {"VersionId": version})
    with _errors_of_s3(bucket, name):
        found = client.head_object(**wanted)
    size = found["ContentLength"]
    if size > max_bytes:
        raise ObjectTooLarge(bucket=bucket, name=name, size=size, max_bytes=max_bytes)
    if "VersionId" in found:
        wanted["VersionId"] = found["VersionId"]
    wanted["IfMatch"] = found["ETag"]

    def fetch(start: int, end: int) -> bytes:
        with _errors_of_s3(bucket, name):
            return _range(client, wanted, start, end)

    return RangedReader(size, fetch)


def _range(client: Any, wanted: dict[str, Any], start: int, end: int) -> bytes:
    """The bytes of an object from `start` up to `end`. boto3 repeats requests, but not what breaks off in an answer."""
    from botocore.exceptions import BotoCoreError

    span = f"bytes={start}-{end - 1}"
    for _ in range(_ATTEMPTS - 1):
        answer = client.get_object(**wanted, Range=span)
        with suppress(BotoCoreError):
            return _content(answer, end - start)
    return _content(client.get_object(**wanted, Range=span), end - start)


def _content(answer: dict[str, Any], size: int) -> bytes:
    from botocore.exceptions import IncompleteReadError

    with closing(answer["Body"]) as body:
        content: bytes = body.read(size + 1)
    if len(content) != size:
        raise IncompleteReadError(actual_bytes=len(content), expected_bytes=size)
    return content


@contextmanager
def _errors_of_s3(bucket: str, name: str) -> Iterator[None]:
    """Turns botocore's errors about an object into ours."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        code, status = error.response.get("Error", {}).get("Code"), error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "NoSuchBucket":
            raise BucketNotFound(bucket=bucket) from error
        if status == HTTPStatus.PRECONDITION_FAILED:
            raise ObjectChanged(bucket=bucket, name=name) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ObjectStoreUnavailable(reason=str(error)) from error
        raise ObjectNotFound(bucket=bucket, name=name) from error
    except ParamValidationError as error:
        raise ObjectNotFound(bucket=bucket, name=name) from error
    except BotoCoreError as error:
        raise ObjectStoreUnavailable(reason=str(error)) from error


@cache
def _s3_client(endpoint_url: str, region: str) -> Any:
    # Imported here because an installation with folder buckets only never needs it.
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        config=Config(
            # Most stores other than AWS know no host name per bucket.
            s3={"addressing_style": "path"},
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        ),
    )
