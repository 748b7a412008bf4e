"""Page tokens: a sealed position in one listing of one caller."""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from api.errors import InvalidPaginationTokenException, InvalidParameterException
from api.model import OPERATIONS
from storage.tenant import Tenant

LIFETIME_SECONDS = 24 * 3600
LONGEST_TOKEN = 255
PAGING_MEMBERS = frozenset({"NextToken", "MaxResults"})

_ISSUED = struct.Struct(">I")
_TAG_BYTES = 16
LONGEST_POSITION_BYTES = LONGEST_TOKEN * 6 // 8 - _ISSUED.size - _TAG_BYTES


class TokenSealer:
    """Seals positions into opaque url-safe tokens of at most 255 characters, and opens them for 24 hours.

    A token opens only for the operation, tenant and request members (except NextToken and MaxResults) that it was
    sealed for. AES-SIV, because its tokens need no nonce and so leave the most room for the position; equal
    positions sealed in the same second give equal tokens, which tells nobody anything.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        """`key` is the installation's secret of at least 16 bytes; `clock` gives epoch seconds."""
        if len(key) < 16:
            raise ValueError("the key needs at least 16 bytes")
        self._cipher = AESSIV(hashlib.sha512(b"openrek page tokens" + key).digest())
        self._clock = clock

    def seal(self, operation: str, tenant: Tenant, request: Mapping[str, Any], position: str) -> str:
        """The token of a position of at most LONGEST_POSITION_BYTES (UTF-8); raises ValueError for a longer one."""
        where = position.encode()
        if len(where) > LONGEST_POSITION_BYTES:
            raise ValueError(f"a position has at most {LONGEST_POSITION_BYTES} bytes, not {len(where)}")
        content = _ISSUED.pack(int(self._clock())) + where
        sealed = self._cipher.encrypt(content, _binding(operation, tenant, request))
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, operation: str, tenant: Tenant, request: Mapping[str, Any], token: str) -> str:
        """The position in `token`.

        Raises InvalidPaginationTokenException, or InvalidParameterException where the operation does not declare
        that one, for a token that is forged, expired or of another listing.
        """
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars="-_", validate=True)
            content = self._cipher.decrypt(sealed, _binding(operation, tenant, request))
        except (ValueError, InvalidTag):
            raise _invalid(operation) from None
        (issued,) = _ISSUED.unpack_from(content)
        if self._clock() - issued > LIFETIME_SECONDS:
            raise _invalid(operation)
        return content[_ISSUED.size :].decode()


def _binding(operation: str, tenant: Tenant, request: Mapping[str, Any]) -> list[bytes]:
    kept = {name: value for name, value in request.items() if name not in PAGING_MEMBERS}
    digest = hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).digest()
    return [operation.encode(), tenant.account.encode(), tenant.region.encode(), digest]


def _invalid(operation: str) -> InvalidPaginationTokenException | InvalidParameterException:
    if InvalidPaginationTokenException.__name__ in OPERATIONS[operation].errors:
        return InvalidPaginationTokenException()
    return InvalidParameterException(InvalidPaginationTokenException.__doc__)
