"""Signature Version 4: published vectors, botocore's signer, and every row of the table of errors."""

from __future__ import annotations

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from api import errors
from api.auth import Caller, Credential, HttpRequest, anyone, canonical_request, signature, sigv4

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
ARN = "arn:aws:iam::111122223333:user/someone"
KEYS = {
    "AKIDPLAIN": Credential("plain secret/+", "111122223333", ARN),
    "ASIATEMPORARY": Credential("temporary", "111122223333", ARN, "token/+=", NOW + timedelta(hours=1)),
    "ASIAEXPIRED": Credential("expired", "111122223333", ARN, "token/+=", NOW - timedelta(seconds=1)),
}
MISMATCH = errors.InvalidSignatureException.__doc__


# The example of AWS's signing documentation (IAM ListUsers) and the suite of test vectors published with it.
VECTORS = [
    ("GET", "/", "", {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}, "service", b"",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("POST", "/", "", {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}, "service", b"",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("GET", "/", "Param2=value2&Param1=value1", {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"},
     "service", b"", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("GET", "/", "Action=ListUsers&Version=2010-05-08",
     {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": "iam.amazonaws.com",
      "x-amz-date": "20150830T123600Z"},
     "iam", b"", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "query", "headers", "service", "body", "expected"), VECTORS)
def test_published_vectors(
    method: str, path: str, query: str, headers: dict[str, str], service: str, body: bytes, expected: str
) -> None:
    canonical = canonical_request(method, path, query, headers, tuple(headers), body)
    signed_at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert signature(secret, signed_at, "us-east-1", service, canonical) == expected


def test_spaces_in_header_values() -> None:
    headers = {"host": "h", "my-header1": "  a   b  c ", "my-header2": '"a   b   c"'}
    canonical = canonical_request("GET", "/", "", headers, ("my-header2", "my-header1", "host"), b"")
    assert canonical.split("\n")[3:6] == ["host:h", "my-header1:a b c", 'my-header2:"a b c"']


def signed(
    access_key_id: str = "AKIDPLAIN",
    *,
    at: datetime = NOW,
    secret: str | None = None,
    token: str | None = None,
    region: str = "eu-west-1",
    service: str = "rekognition",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    query: str = "",
    presign_seconds: int | None = None,
) -> HttpRequest:
    """A request signed by botocore, as it arrives."""
    known = KEYS.get(access_key_id)
    credentials = Credentials(access_key_id, secret or (known.secret if known else "none"), token)
    url = "http://localhost:9555/" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, headers or {"X-Amz-Target": "RekognitionService.ListCollections"}, body)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        if presign_seconds is None:
            SigV4Auth(credentials, service, region).add_auth(request)
        else:
            request.data = b""
            SigV4QueryAuth(credentials, service, region, presign_seconds).add_auth(request)
    arrived: dict[str, str] = {"host": "localhost:9555"}
    for name, value in request.headers.items():
        name, value = name.lower(), value.strip()
        arrived[name] = f"{arrived[name]},{value}" if name in arrived and name != "host" else value
    return HttpRequest(urlsplit(request.url).query, arrived, b"" if presign_seconds is not None else body)


def authenticate(request: HttpRequest, at: datetime = NOW, regions: frozenset[str] | None = None) -> Caller:
    return sigv4(KEYS.get, regions, now=lambda: at)(request)


def refusal(request: HttpRequest, at: datetime = NOW, regions: frozenset[str] | None = None) -> tuple[str, str]:
    with pytest.raises(errors.AuthenticationError) as raised:
        authenticate(request, at, regions)
    assert raised.value.status == 400
    return raised.value.code, raised.value.message


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    headers = {key: item for key, item in request.headers.items() if key != name}
    return replace(request, headers=headers if value is None else headers | {name: value})


def reworded(request: HttpRequest, old: str, new: str) -> HttpRequest:
    authorization = request.headers["authorization"]
    assert old in authorization
    return with_header(request, "authorization", authorization.replace(old, new))


def test_signed_requests_have_a_caller() -> None:
    assert authenticate(signed()) == Caller("111122223333", "eu-west-1", ARN)
    assert authenticate(signed("ASIATEMPORARY", token="token/+="))
    assert authenticate(signed(presign_seconds=60))
    assert authenticate(signed("ASIATEMPORARY", token="token/+=", presign_seconds=60))
    assert authenticate(signed(), regions=frozenset({"eu-west-1"}))


VISIBLE = "".join(set(string.printable) - set(string.whitespace))
HEADER_NAMES = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
HEADER_VALUES = st.text(VISIBLE + "    \t" + "éñ", max_size=30)
RESERVED = {"host", "authorization", "x-amz-date", "date", "x-amz-security-token", "x-amz-content-sha256",
            "expect", "user-agent", "transfer-encoding", "x-amzn-trace-id"}  # fmt: skip
HEADERS = st.dictionaries(
    HEADER_NAMES.map(str.lower).filter(lambda name: name not in RESERVED), HEADER_VALUES, max_size=5
)
QUERIES = st.lists(
    st.tuples(st.text(string.ascii_lowercase + "-_.~", min_size=1), st.text(string.ascii_letters + string.digits)),
    max_size=4,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
TOKENS = st.none() | st.text(string.ascii_letters + string.digits + "/+=", min_size=1)


@settings(deadline=None)
@given(
    body=st.binary(max_size=200),
    headers=HEADERS,
    query=QUERIES,
    secret=st.text(VISIBLE, min_size=1),
    token=TOKENS,
    at=st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1)),
    presign=st.none() | st.integers(1, 604800),
)
def test_whatever_botocore_signs_verifies_and_nothing_else_does(
    body: bytes, headers: dict[str, str], query: str, secret: str, token: str | None, at: datetime, presign: int | None
) -> None:
    moment = at.replace(tzinfo=UTC, microsecond=0)
    key = Credential(secret, "111122223333", ARN, token)
    request = signed(
        "AKIDANY",
        at=moment,
        secret=secret,
        token=token,
        body=body,
        headers=headers,
        query=query,
        presign_seconds=presign,
    )
    check = sigv4({"AKIDANY": key}.get, now=lambda: moment)
    assert check(request).account == "111122223333"
    for changed in (
        replace(request, body=request.body + b" "),
        replace(request, query=request.query + "&more=1"),
        with_header(request, "host", "elsewhere"),
    ):
        with pytest.raises(errors.InvalidSignatureException):
            check(changed)
    with pytest.raises(errors.InvalidSignatureException):
        sigv4({"AKIDANY": replace(key, secret=secret + "x")}.get, now=lambda: moment)(request)


def test_a_date_header_stands_in_for_x_amz_date() -> None:
    request = signed(headers={"Date": "any"})
    assert request.headers["date"].endswith(" -0000") and "x-amz-date" not in request.headers
    assert authenticate(request)
    assert refusal(with_header(request, "date", format_datetime(NOW, usegmt=True)))[1] == MISMATCH
    assert refusal(with_header(request, "date", "Mon, 06 May 2024 07:08:09 +0200"))[0] == "IncompleteSignatureException"


# The rows of the table, in its order.


def test_both_forms_at_once() -> None:
    assert refusal(with_header(signed(presign_seconds=60), "authorization", "AWS4-HMAC-SHA256 x")) == (
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


@pytest.mark.parametrize("authorization", [None, "", "Basic abc", "AWS abc:def", "aws4-HMAC-SHA256 x"])
def test_no_signature(authorization: str | None) -> None:
    assert refusal(with_header(signed(), "authorization", authorization)) == (
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )


def test_an_incomplete_header() -> None:
    request = with_header(with_header(signed(), "authorization", "AWS4-HMAC-SHA256 a=b"), "x-amz-date", None)
    assert refusal(request) == (
        "IncompleteSignatureException",
        "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a "
        "'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 a=b",
    )


def test_an_incomplete_query() -> None:
    assert refusal(HttpRequest("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x", {"host": "h"}, b"")) == (
        "IncompleteSignatureException",
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include "
        "'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the "
        "query-string parameters.",
    )


@pytest.mark.parametrize("date", ["x", "2024-05-06T07:08:09Z", "20240506T070809", "20241306T070809Z", "nonsense GMT"])
def test_a_date_of_another_form(date: str) -> None:
    assert refusal(with_header(signed(), "x-amz-date", date)) == (
        "IncompleteSignatureException",
        f"Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601",
    )


def test_the_window() -> None:
    quarter, second = timedelta(minutes=15), timedelta(seconds=1)
    assert authenticate(signed(at=NOW - quarter))
    assert authenticate(signed(at=NOW + quarter))
    assert refusal(signed(at=NOW - quarter - second)) == (
        "InvalidSignatureException",
        "Signature expired: 20240506T065308Z is now earlier than 20240506T065309Z (20240506T070809Z - 15 min.)",
    )
    assert refusal(signed(at=NOW + quarter + second)) == (
        "InvalidSignatureException",
        "Signature not yet current: 20240506T072310Z is still later than 20240506T072309Z (20240506T070809Z + 15 min.)",
    )


def test_a_presigned_request_names_its_own_lifetime() -> None:
    hour = signed(presign_seconds=3600)
    assert authenticate(hour, NOW + timedelta(hours=1))
    code, message = refusal(hour, NOW + timedelta(hours=1, seconds=1))
    assert code == "InvalidSignatureException"
    assert message.endswith("(20240506T080810Z - 60 min.)")
    assert refusal(signed(presign_seconds=1), NOW + timedelta(seconds=2))[0] == "InvalidSignatureException"
    for seconds in ("0", "604801", "x", "-5", "1e3"):
        request = replace(hour, query=hour.query.replace("Expires=3600", f"Expires={seconds}"))
        assert refusal(request)[0] == "IncompleteSignatureException"


def test_the_host_must_be_signed() -> None:
    assert refusal(reworded(signed(), "SignedHeaders=host;", "SignedHeaders=")) == (
        "InvalidSignatureException",
        "'Host' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_a_session_token_must_be_signed() -> None:
    assert refusal(with_header(signed("ASIATEMPORARY"), "x-amz-security-token", "token/+=")) == (
        "InvalidSignatureException",
        "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_another_algorithm() -> None:
    assert refusal(reworded(signed(), "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")) == (
        "IncompleteSignatureException",
        "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
    )


def test_a_scope_of_other_length() -> None:
    assert refusal(reworded(signed(), "/aws4_request", "")) == (
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
        "'AKIDPLAIN/20240506/eu-west-1/rekognition'",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("eu-west-1", "eu_west", "Credential should be scoped to a valid region, not 'eu_west'."),
        ("eu-west-1", "us-east-1", "Credential should be scoped to a valid region, not 'us-east-1'."),
        ("rekognition", "s3", "Credential should be scoped to correct service: 'rekognition'."),
        (
            "aws4_request",
            "aws5",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.",
        ),
        (
            "20240506",
            "20240507",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'20240507' != '20240506', from '20240506T070809Z'.",
        ),
    ],
)
def test_another_scope(old: str, new: str, message: str) -> None:
    request = reworded(signed(), f"/{old}", f"/{new}")
    assert refusal(request, regions=frozenset({"eu-west-1"})) == ("InvalidSignatureException", message)


@pytest.mark.parametrize(
    "request_",
    [
        signed("AKIDUNKNOWN"),
        signed("ASIATEMPORARY"),
        signed("ASIATEMPORARY", token="another"),
        signed("AKIDPLAIN", token="token/+="),
        signed("AKID PLAIN"),
        HttpRequest(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%00/20240506/r/rekognition/aws4_request"
            "&X-Amz-Date=20240506T070809Z&X-Amz-SignedHeaders=host&X-Amz-Signature=%ff",
            {"host": "h"},
            b"",
        ),
    ],
)
def test_unknown_clients(request_: HttpRequest) -> None:
    assert refusal(request_) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_another_signature() -> None:
    wrong_secret = signed(secret="guessed")
    assert refusal(wrong_secret) == ("InvalidSignatureException", MISMATCH)
    assert "\n" not in str(MISMATCH) and "  " not in str(MISMATCH)
    assert refusal(reworded(signed(), "Signature=", "Signature=é"))[1] == MISMATCH
    assert refusal(reworded(signed(), "SignedHeaders=host", "SignedHeaders=host;absent"))[1] == MISMATCH
    assert refusal(with_header(signed(), "x-amz-target", "RekognitionService.DeleteCollection"))[1] == MISMATCH


def test_an_expired_token() -> None:
    assert refusal(signed("ASIAEXPIRED", token="token/+=")) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )
    assert refusal(signed("ASIAEXPIRED", token="token/+=", secret="guessed"))[1] == MISMATCH


def test_secrets_are_not_printed() -> None:
    shown = repr(KEYS["ASIATEMPORARY"]) + repr(HttpRequest("", {}, b"picture"))
    assert "token/+=" not in shown and "temporary" not in shown and "picture" not in shown


def test_with_authentication_off_everybody_is_let_in_to_the_region_they_name() -> None:
    authenticate = anyone("000000000000", "us-east-1")
    unsigned = HttpRequest("", {}, b"{}")
    header = (
        "AWS4-HMAC-SHA256 Credential=any/20261122/eu-west-1/rekognition/aws4_request, SignedHeaders=host, Signature=0"
    )
    signed = HttpRequest("", {"authorization": header}, b"{}")
    presigned = HttpRequest("X-Amz-Credential=any%2F20261122%2Feu-west-1%2Frekognition%2Faws4_request", {}, b"{}")
    assert authenticate(unsigned).region == "us-east-1"
    assert {authenticate(request).region for request in (signed, presigned)} == {"eu-west-1"}
    assert authenticate(signed).account == "000000000000"
