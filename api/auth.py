"""Signature Version 4: whose request is it?

`sigv4(...)` makes the authenticate step of the pipeline: a function from a request to its caller that raises an
AuthenticationError. The checks and their texts follow the server framework of the real service, in its order.
Source of the method: "Signing AWS API requests" in AWS's IAM user guide.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from urllib.parse import quote, unquote_to_bytes

from api.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from api.model import SIGNING_NAME

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
WINDOW = timedelta(minutes=15)
LONGEST_PRESIGNED_SECONDS = 7 * 24 * 3600
DATE_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class HttpRequest:
    """A `POST /`: the raw query string, headers by lower-case name (repeated ones joined by commas), the body."""

    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query's parameters; the first of repeated ones."""
        pairs = reversed(_query_pairs(self.query))
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in pairs}


@dataclass(frozen=True)
class Credential:
    """What is known of an access key id.

    A temporary credential has a session token and a time of expiry. `operations` limits what the key may call;
    None is no limit.
    """

    secret: str = field(repr=False)
    account: str
    caller_arn: str
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    operations: frozenset[str] | None = None


@dataclass(frozen=True)
class Caller:
    """Who sent a request, to which region; `operations` is what they may call, None for everything."""

    account: str
    region: str
    arn: str
    operations: frozenset[str] | None = None


@dataclass(frozen=True)
class _Claim:
    """What a request says about its signature, not verified."""

    algorithm: str
    credential: str
    signed_headers: tuple[str, ...]
    signature: str
    date: str
    session_token: str | None
    expires: str | None


@dataclass(frozen=True)
class _Scope:
    access_key_id: str
    date: str
    region: str


Lookup = Callable[[str], Credential | None]
Authenticate = Callable[[HttpRequest], Caller]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def sigv4(
    lookup: Lookup, regions: Collection[str] | None = None, now: Callable[[], datetime] = _utc_now
) -> Authenticate:
    """The authenticate step for signed requests.

    `lookup` gives the credential of an access key id or None; `regions` are the regions that the endpoint answers
    for, None for every well-formed name.
    """

    def authenticate(request: HttpRequest) -> Caller:
        claim = _read_claim(request)
        signed_at = _read_date(claim.date)
        _check_age(claim, signed_at, now())
        _check_signed_headers(claim, request)
        if claim.algorithm != ALGORITHM:
            raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{claim.algorithm}'.")
        scope = _read_scope(claim.credential, signed_at, regions)
        # Ids of another form are not worth a look-up, and a database may refuse their characters.
        known = re.fullmatch("[A-Za-z0-9_]{1,128}", scope.access_key_id)
        credential = lookup(scope.access_key_id) if known else None
        if credential is None or not _same(claim.session_token or "", credential.session_token or ""):
            raise UnrecognizedClientException
        if not _same(claim.signature, _expected_signature(request, claim, signed_at, scope, credential.secret)):
            raise InvalidSignatureException
        if credential.expires_at is not None and credential.expires_at <= now():
            raise ExpiredTokenException
        return Caller(credential.account, scope.region, credential.caller_arn, credential.operations)

    return authenticate


def anyone(account: str, region: str) -> Authenticate:
    """The authenticate step that believes everybody, for tests: all are one account, in the region they sign for or,
    unsigned, in `region`."""

    def authenticate(request: HttpRequest) -> Caller:
        scope = f"{request.headers.get('authorization', '')} {request.parameters.get('X-Amz-Credential', '')}"
        named = re.search(rf"/[0-9]{{8}}/([a-z0-9-]{{1,64}})/{SIGNING_NAME}/{TERMINATOR}\b", scope)
        return Caller(account, named[1] if named else region, f"arn:aws:iam::{account}:root")

    return authenticate


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed_headers: Collection[str], body: bytes
) -> str:
    """The text whose hash is signed; `path` is already encoded and normal."""
    names = sorted(signed_headers)
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names]
    return "\n".join(
        [method, path, _canonical_query(query), *lines, "", ";".join(names), hashlib.sha256(body).hexdigest()]
    )


def signature(secret: str, signed_at: datetime, region: str, service: str, canonical: str) -> str:
    """The hexadecimal signature of a canonical request."""
    date = f"{signed_at:%Y%m%d}"
    key = _signing_key(secret, date, region, service)
    scope = f"{date}/{region}/{service}/{TERMINATOR}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{signed_at.strftime(DATE_FORMAT)}\n{scope}\n{digest}"
    return hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The same for a day's requests of an access key to a region."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _expected_signature(request: HttpRequest, claim: _Claim, signed_at: datetime, scope: _Scope, secret: str) -> str:
    canonical = canonical_request("POST", "/", request.query, request.headers, claim.signed_headers, request.body)
    return signature(secret, signed_at, scope.region, SIGNING_NAME, canonical)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _query_pairs(query: str) -> list[tuple[bytes, bytes]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parts]


def _canonical_query(query: str) -> str:
    """The query in canonical order and encoding, without the signature that a presigned request carries in it."""
    pairs = (pair for pair in _query_pairs(query) if pair[0] != b"X-Amz-Signature")
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _read_claim(request: HttpRequest) -> _Claim:
    authorization = request.headers.get("authorization")
    presigned = "X-Amz-Algorithm" in request.parameters
    if presigned and authorization is not None:
        raise InvalidSignatureException(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if presigned:
        return _query_claim(request)
    if authorization is None or not authorization.startswith("AWS4-"):
        raise MissingAuthenticationTokenException
    return _header_claim(authorization, request.headers)


def _header_claim(authorization: str, headers: Mapping[str, str]) -> _Claim:
    algorithm, _, rest = authorization.partition(" ")
    fields = (part.strip().partition("=") for part in rest.split(","))
    parts = {name: value for name, _, value in fields}
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    date = headers.get("x-amz-date") or headers.get("date")
    if not date:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing or not date:
        raise IncompleteSignatureException(" ".join([*missing, f"Authorization={authorization}"]))
    return _Claim(
        algorithm,
        parts["Credential"],
        _header_names(parts["SignedHeaders"]),
        parts["Signature"],
        date,
        headers.get("x-amz-security-token"),
        expires=None,
    )


def _query_claim(request: HttpRequest) -> _Claim:
    given = request.parameters
    missing = [
        f"AWS query-string parameters must include 'X-Amz-{part}'."
        for part in ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date")
        if not given.get(f"X-Amz-{part}")
    ]
    if missing:
        raise IncompleteSignatureException(" ".join([*missing, "Re-examine the query-string parameters."]))
    return _Claim(
        given["X-Amz-Algorithm"],
        given["X-Amz-Credential"],
        _header_names(given["X-Amz-SignedHeaders"]),
        given["X-Amz-Signature"],
        given["X-Amz-Date"],
        given.get("X-Amz-Security-Token", request.headers.get("x-amz-security-token")),
        given.get("X-Amz-Expires"),
    )


def _header_names(joined: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in joined.split(";"))


def _read_date(text: str) -> datetime:
    """Basic ISO 8601, or the form of an HTTP `Date` header, which stands in for `X-Amz-Date`."""
    try:
        if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text):
            return datetime.fromisoformat(text)
        if re.fullmatch(r"[A-Z][a-z]{2}, .+ (GMT|[+-]0000)", text):
            return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise IncompleteSignatureException(
        f"Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def _check_age(claim: _Claim, signed_at: datetime, now: datetime) -> None:
    """Within 15 minutes of now; a presigned request may name its own, longer or shorter, time to live."""
    lifetime = WINDOW
    if claim.expires is not None:
        if not re.fullmatch("[0-9]{1,6}", claim.expires) or not 1 <= int(claim.expires) <= LONGEST_PRESIGNED_SECONDS:
            raise IncompleteSignatureException(
                f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_PRESIGNED_SECONDS}. "
                f"Got '{claim.expires}'."
            )
        lifetime = timedelta(seconds=int(claim.expires))
    if now - lifetime <= signed_at <= now + WINDOW:
        return
    signed, current = signed_at.strftime(DATE_FORMAT), now.strftime(DATE_FORMAT)
    if signed_at < now - lifetime:
        bound, minutes = (now - lifetime).strftime(DATE_FORMAT), lifetime.total_seconds() / 60
        raise InvalidSignatureException(
            f"Signature expired: {signed} is now earlier than {bound} ({current} - {minutes:g} min.)"
        )
    bound, minutes = (now + WINDOW).strftime(DATE_FORMAT), WINDOW.total_seconds() / 60
    raise InvalidSignatureException(
        f"Signature not yet current: {signed} is still later than {bound} ({current} + {minutes:g} min.)"
    )


def _check_signed_headers(claim: _Claim, request: HttpRequest) -> None:
    for name, printed in (("host", "Host"), ("x-amz-security-token", "X-Amz-Security-Token")):
        if name not in claim.signed_headers and (name == "host" or name in request.headers):
            raise InvalidSignatureException(f"'{printed}' must be a 'SignedHeader' in the AWS Authorization.")


def _read_scope(credential: str, signed_at: datetime, regions: Collection[str] | None) -> _Scope:
    parts = credential.split("/")
    if len(parts) != 5:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got '{credential}'"
        )
    access_key_id, date, region, service, terminator = parts
    wrong = []
    if not re.fullmatch("[a-z0-9-]{1,64}", region) or (regions is not None and region not in regions):
        wrong.append(f"Credential should be scoped to a valid region, not '{region}'.")
    if service != SIGNING_NAME:
        wrong.append(f"Credential should be scoped to correct service: '{SIGNING_NAME}'.")
    if terminator != TERMINATOR:
        wrong.append(f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'.")
    day = f"{signed_at:%Y%m%d}"
    if date != day:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{day}', from '{signed_at.strftime(DATE_FORMAT)}'."
        )
    if wrong:
        raise InvalidSignatureException(" ".join(wrong))
    return _Scope(access_key_id, date, region)
