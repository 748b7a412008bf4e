"""Errors as clients see them. A class's name is the AWS code, its docstring the default message."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import inference.errors
import storage.errors
import vectorindex.client


class AwsError(Exception):
    """An error with a code, a message and an HTTP status; raised with no message it says its docstring."""

    status: ClassVar[int] = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str | None = None) -> None:
        self.message = type(self).__doc__ or "" if message is None else message
        super().__init__(self.message)

    @property
    def code(self) -> str:
        return type(self).__name__

    def body(self, request_id: str) -> dict[str, str]:
        """The members of the JSON answer."""
        return {"__type": self.code, "message": self.message}


def to_response(error: AwsError, request_id: str) -> tuple[int, bytes]:
    """HTTP status and JSON body of an error answer."""
    return error.status, json.dumps(error.body(request_id), separators=(",", ":")).encode()


# Errors that the service model declares.


class ModelledError(AwsError):
    """An error that the service itself raises; its body has the service's style."""

    def body(self, request_id: str) -> dict[str, str]:
        return {"__type": self.code, "Code": self.code, "Logref": request_id, "Message": self.message}


class AccessDeniedException(ModelledError):
    """You are not authorized to perform this action."""


class ConflictException(ModelledError):
    """Another request is changing the same resource. Try again."""


class HumanLoopQuotaExceededException(ModelledError):
    """The number of human reviews in progress has reached its limit."""

    def __init__(self, message: str | None = None, **quota: str) -> None:
        """`quota` may hold ResourceType, QuotaCode and ServiceCode."""
        super().__init__(message)
        self.quota = quota

    def body(self, request_id: str) -> dict[str, str]:
        return super().body(request_id) | self.quota


class IdempotentParameterMismatchException(ModelledError):
    """The ClientRequestToken you have supplied is already in use."""


class ImageTooLargeException(ModelledError):
    """Image size is too large."""


class InternalServerError(ModelledError):
    """Internal server error"""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class InvalidImageFormatException(ModelledError):
    """Request has invalid image format"""


class InvalidManifestException(ModelledError):
    """Request has invalid manifest"""


class InvalidPaginationTokenException(ModelledError):
    """Invalid Pagination Token"""


class InvalidParameterException(ModelledError):
    """Request has invalid parameters"""


class InvalidPolicyRevisionIdException(ModelledError):
    """The policy revision id does not match the current revision."""


class InvalidS3ObjectException(ModelledError):
    """Unable to get object metadata from S3. Check object key, region and/or access permissions."""


class LimitExceededException(ModelledError):
    """A limit of this account is reached."""


class MalformedPolicyDocumentException(ModelledError):
    """The policy document is not a valid policy."""


class ProvisionedThroughputExceededException(ModelledError):
    """Provisioned Rate exceeded."""


class ResourceAlreadyExistsException(ModelledError):
    """The resource already exists"""


class ResourceInUseException(ModelledError):
    """Specified resource is in use."""


class ResourceNotFoundException(ModelledError):
    """The resource does not exist"""


class ResourceNotReadyException(ModelledError):
    """The resource is not ready."""


class ServiceQuotaExceededException(ModelledError):
    """A quota of this resource is reached."""


class SessionNotFoundException(ModelledError):
    """The session does not exist"""


class ThrottlingException(ModelledError):
    """Slow down; the service has more requests than it can take."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class VideoTooLargeException(ModelledError):
    """The video is too large."""


# Errors of the framework around the service.


class AuthenticationError(AwsError):
    """The caller could not be authenticated."""


class ExpiredTokenException(AuthenticationError):
    """The security token included in the request is expired"""


class IncompleteSignatureException(AuthenticationError):
    """The request signature is incomplete."""


class InvalidSignatureException(AuthenticationError):
    """The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
and signing method. Consult the service documentation for details."""


class MissingAuthenticationTokenException(AuthenticationError):
    """Request is missing Authentication Token"""


class UnrecognizedClientException(AuthenticationError):
    """The security token included in the request is invalid."""


class ClientClosedRequest(AwsError):
    """The client closed the connection. Nobody reads this answer; the log says 499, as web servers do."""

    status = 499


class RequestEntityTooLargeException(AwsError):
    """The request body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestTimeoutException(AwsError):
    """The request body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class SerializationException(AwsError):
    """The request body is not a JSON object."""

    def body(self, request_id: str) -> dict[str, str]:
        return {"__type": self.code, "Message": self.message}


class UnknownOperationException(AwsError):
    """The X-Amz-Target header names no operation of this service."""

    def body(self, request_id: str) -> dict[str, str]:
        return {"__type": self.code}


class UnsupportedOperationException(AwsError):
    """An operation of the service that this version of OpenRek does not have. Status 400, so clients do not retry."""


class ValidationException(AwsError):
    """The input fails to satisfy the constraints of the service model."""


# Errors of the parts below, by class; a subclass has the entry of its nearest base.
DOMAIN_ERRORS: Mapping[type[Exception], Callable[[Any], AwsError]] = {
    storage.errors.CollectionNotFound: lambda error: ResourceNotFoundException(
        f"The collection id: {error.values['name']} does not exist"
    ),
    storage.errors.CollectionExists: lambda error: ResourceAlreadyExistsException(
        f"The collection id: {error.values['name']} already exists"
    ),
    storage.errors.TooManyCollections: lambda error: ServiceQuotaExceededException(str(error)),
    storage.errors.GalleryFull: lambda error: ServiceQuotaExceededException(str(error)),
    storage.errors.UserNotFound: lambda error: ResourceNotFoundException(
        f"The user id: {error.values['user_id']} does not exist"
    ),
    storage.errors.UserExists: lambda error: ConflictException(
        f"The user id: {error.values['user_id']} already exists"
    ),
    storage.errors.TooManyUsers: lambda error: ServiceQuotaExceededException(str(error)),
    storage.errors.TooManyFacesOfUser: lambda error: ServiceQuotaExceededException(str(error)),
    storage.errors.CelebrityNotFound: lambda error: ResourceNotFoundException(
        f"The celebrity id: {error.values['name']} does not exist"
    ),
    storage.errors.JobNotFound: lambda error: ResourceNotFoundException("Could not find JobId"),
    storage.errors.TooManyJobs: lambda error: LimitExceededException(str(error)),
    storage.errors.TooManyTags: lambda error: ServiceQuotaExceededException(str(error)),
    storage.errors.FaceNotFound: lambda error: InvalidParameterException("faceId was not found in the collection."),
    storage.errors.TokenReused: lambda error: IdempotentParameterMismatchException(
        f"The ClientRequestToken: {error.values['token']} you have supplied is already in use."
    ),
    storage.errors.BucketNotFound: lambda error: InvalidS3ObjectException(),
    storage.errors.ObjectNotFound: lambda error: InvalidS3ObjectException(),
    storage.errors.ObjectTooLarge: lambda error: ImageTooLargeException(),
    inference.errors.InvalidImage: lambda error: InvalidImageFormatException(),
    inference.errors.ImageTooSmall: lambda error: InvalidParameterException(),
    inference.errors.ImageDimensionsTooLarge: lambda error: ImageTooLargeException(
        f"Input image dimensions {error.width} x {error.height} exceed maximum dimension size of {error.limit} pixels"
    ),
    inference.errors.UnknownFaceModel: lambda error: InvalidParameterException(str(error)),
    inference.errors.CallerGone: lambda error: ClientClosedRequest(),
    inference.errors.Overloaded: lambda error: ThrottlingException(),
    # Deleted between the handler's look at it and the search.
    vectorindex.client.UnknownCollection: lambda error: ResourceNotFoundException("The collection does not exist"),
}


UNAVAILABLE = (
    storage.errors.DatabaseUnavailable,
    inference.errors.InferenceUnavailable,
    vectorindex.client.IndexUnavailable,
)
"""A part does not answer for now. Callers get an InternalServerError, on which SDKs try again."""


def from_domain(error: Exception) -> AwsError | None:
    """The AWS error for an error of the parts below; None when the caller is not meant to know what it is."""
    for cls in type(error).__mro__:
        if cls in DOMAIN_ERRORS:
            return DOMAIN_ERRORS[cls](error)
    return None
