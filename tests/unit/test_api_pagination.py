"""Page tokens open where they were sealed and nowhere else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import InvalidPaginationTokenException, InvalidParameterException
from api.model import OPERATIONS
from api.pagination import LONGEST_POSITION_BYTES, TokenSealer
from storage.tenant import Tenant

KEY = bytes(range(32))
TENANT = Tenant("111122223333", "us-east-1")
REQUEST = {"CollectionId": "staff", "FaceIds": ["a", "b"], "MaxResults": 5}
URL_SAFE = set(string.ascii_letters + string.digits + "-_")


class Clock:
    """A fake clock."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: len(t.encode()) <= LONGEST_POSITION_BYTES))
def test_round_trip(position: str) -> None:
    sealer = TokenSealer(KEY)
    token = sealer.seal("ListFaces", TENANT, REQUEST, position)
    assert len(token) <= 255 and set(token) <= URL_SAFE
    assert sealer.open("ListFaces", TENANT, REQUEST, token) == position


def test_the_longest_position() -> None:
    sealer = TokenSealer(KEY)
    assert len(sealer.seal("ListFaces", TENANT, REQUEST, "x" * LONGEST_POSITION_BYTES)) <= 255
    with pytest.raises(ValueError):
        sealer.seal("ListFaces", TENANT, REQUEST, "x" * (LONGEST_POSITION_BYTES + 1))


def test_page_size_and_member_order_may_change_between_pages() -> None:
    sealer = TokenSealer(KEY)
    token = sealer.seal("ListFaces", TENANT, REQUEST, "7")
    again = {"NextToken": token, "MaxResults": 100, "FaceIds": ["a", "b"], "CollectionId": "staff"}
    assert sealer.open("ListFaces", TENANT, again, token) == "7"


def test_a_token_belongs_to_one_listing_of_one_tenant_under_one_key() -> None:
    sealer = TokenSealer(KEY)
    token = sealer.seal("ListFaces", TENANT, REQUEST, "7")
    for operation, tenant, request, other in (
        ("ListUsers", TENANT, REQUEST, sealer),
        ("ListFaces", Tenant("999999999999", "us-east-1"), REQUEST, sealer),
        ("ListFaces", Tenant("111122223333", "eu-west-1"), REQUEST, sealer),
        ("ListFaces", TENANT, REQUEST | {"CollectionId": "guests"}, sealer),
        ("ListFaces", TENANT, REQUEST, TokenSealer(KEY[::-1])),
    ):
        with pytest.raises(InvalidPaginationTokenException):
            other.open(operation, tenant, request, token)


@given(st.text(max_size=255))
def test_forged_tokens(token: str) -> None:
    with pytest.raises(InvalidPaginationTokenException):
        TokenSealer(KEY).open("ListFaces", TENANT, REQUEST, token)


@given(st.integers(0, 1000), st.sampled_from(sorted(URL_SAFE)))
def test_a_changed_character(where: int, character: str) -> None:
    sealer = TokenSealer(KEY)
    token = sealer.seal("ListFaces", TENANT, REQUEST, "some position")
    index = where % (len(token) - 1)  # the last character has bits that mean nothing
    changed = token[:index] + character + token[index + 1 :]
    if changed != token:
        with pytest.raises(InvalidPaginationTokenException):
            sealer.open("ListFaces", TENANT, REQUEST, changed)


def test_expiry() -> None:
    clock = Clock()
    sealer = TokenSealer(KEY, clock)
    token = sealer.seal("ListFaces", TENANT, REQUEST, "7")
    clock.seconds += 24 * 3600
    assert sealer.open("ListFaces", TENANT, REQUEST, token) == "7"
    clock.seconds += 1
    with pytest.raises(InvalidPaginationTokenException):
        sealer.open("ListFaces", TENANT, REQUEST, token)


def test_the_error_is_one_that_the_operation_declares() -> None:
    declared = {"InvalidPaginationTokenException", "InvalidParameterException"}
    for operation in OPERATIONS.values():
        with pytest.raises((InvalidPaginationTokenException, InvalidParameterException)) as raised:
            TokenSealer(KEY).open(operation.name, TENANT, {}, "forged")
        assert raised.value.code in operation.errors & declared
        assert raised.value.message == "Invalid Pagination Token"


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError):
        TokenSealer(b"short")
