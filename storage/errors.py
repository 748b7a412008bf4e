"""What can go wrong below the API, in words that know no AWS name. A class's docstring is its message."""

from functools import partial
from typing import ClassVar


class StorageError(Exception):
    """The storage layer failed."""

    message: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.message = cls.__doc__ or ""

    def __init__(self, **values: object) -> None:
        super().__init__(self.message.format(**values))
        self.values = values

    def __reduce__(self) -> tuple[object, ...]:
        # Errors of tasks travel between processes.
        return partial(type(self), **self.values), ()


class DatabaseUnavailable(StorageError):
    """The database cannot serve: {reason}"""


class CollectionNotFound(StorageError):
    """The collection {name} does not exist."""


class CollectionExists(StorageError):
    """The collection {name} exists already."""


class TooManyCollections(StorageError):
    """The account has {limit} collections, the most allowed."""


class FaceModelChanged(StorageError):
    """The collection {name} is of the face model {face_model_version} by now."""


class CropSealedWithAnotherKey(StorageError):
    """The crop of the face {face_id} was encrypted with another key."""


class BeingReembedded(StorageError):
    """The collection {name} is being re-embedded by another command."""


class GalleryFull(StorageError):
    """The collection {name} would hold more than {limit} faces."""


class FaceNotFound(StorageError):
    """The face {face_id} is not in the collection."""


class UserNotFound(StorageError):
    """The user {user_id} is not in the collection."""


class UserExists(StorageError):
    """The user {user_id} exists already."""


class TooManyUsers(StorageError):
    """The collection {name} has {limit} users, the most allowed."""


class TooManyFacesOfUser(StorageError):
    """The user {user_id} would have more than {limit} faces."""


class CelebrityNotFound(StorageError):
    """The celebrity {name} is not in the gallery."""


class SeveralOfTheName(StorageError):
    """Several celebrities have the name {name}: their ids are {ids}."""


class OtherFaceModel(StorageError):
    """The gallery holds faces of face model {there}, not {given}: remove it and import it again."""


class JobNotFound(StorageError):
    """The job {job_id} does not exist."""


class TooManyJobs(StorageError):
    """The account has {limit} unfinished jobs, the most allowed."""


class LeaseLost(StorageError):
    """The task of the job {job_id} is another worker's by now, or the job is over."""


class TooManyTags(StorageError):
    """The resource {resource} would have more than {limit} tags."""


class TokenReused(StorageError):
    """The token {token} was used before with other parameters."""


class BucketNotFound(StorageError):
    """The bucket {bucket} does not exist."""


class BucketExists(StorageError):
    """The bucket {bucket} exists already."""


class ObjectNotFound(StorageError):
    """The object {name} in the bucket {bucket} does not exist or may not be read."""


class ObjectTooLarge(StorageError):
    """The object {name} in the bucket {bucket} has {size} bytes, more than {max_bytes}."""


class ObjectChanged(StorageError):
    """The object {name} in the bucket {bucket} changed while it was read."""


class ObjectStoreUnavailable(StorageError):
    """The object store cannot be used: {reason}"""


class AccessKeyNotFound(StorageError):
    """The access key {access_key_id} does not exist or is revoked."""


class SealedWithAnotherKey(StorageError):
    """The secret of {access_key_id} was encrypted with another key."""


class MigrationHistoryChanged(StorageError):
    """The database has migration {name}, which these files lack or hold with other content."""
