"""Bodies of requests for an operation: valid, nearly valid, of any JSON, and of any bytes."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from api.model import Operation
from benchmarks.faults.shapes import Known, values

ODD_TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "a" * 300,
    "a" * 70_000,
    "\ud800",
    "\ud83d\ude00",
    "\u202e\ufeff\u0301",
    "ﷺ" * 50,
    "../../etc/passwd",
    "/etc/passwd",
    "a/../b",
    "%s%n{0}${x}",
    "'; DROP TABLE faces; --",
    "null",
    "NaN",
    "arn:aws:rekognition:eu-central-1:000000000000:collection/fuzz-1",
    "arn:aws:rekognition:eu-central-1:000000000000:collection/\0",
    f"arn:aws:rekognition:eu-central-1:000000000000:project/p/{'9' * 1900}",
]
ODD_NUMBERS = [
    *(0, -1, 1, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 10**400, 10**4000),
    *(0.5, -0.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"), 100.00001),
]
ODD_VALUES: list[Any] = [None, True, False, {}, [], [[]], [{}], [None], {"": None}, {"\0": "\0"}, ["a"] * 5000]
NESTED = ["[" * 100_000, '{"a":' * 50_000, "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500]


def bodies(operation: Operation, known: Known) -> st.SearchStrategy[bytes]:
    """What a client may send as an operation's body, sound or not. Lone surrogates and NaN are spelled out."""
    sound = values(operation.input_shape, known).map(_plain)
    names = sorted(operation.input_shape.members)
    loose = st.dictionaries(st.sampled_from(names) | st.text(max_size=5) if names else st.text(max_size=5), _ANYTHING)
    texts = st.one_of(sound, _nearly(sound), loose).map(_encoded)
    return st.one_of(texts, texts, _broken(texts))


def _plain(value: Any) -> Any:
    """A fresh copy, with blobs in base64."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


_ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(ODD_TEXTS), st.sampled_from(ODD_NUMBERS), st.sampled_from(ODD_VALUES), st.text(), st.floats()
).map(_plain)
_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    _ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@st.composite
def _nearly(draw: Callable[..., Any], sound: st.SearchStrategy[Any]) -> Any:
    """A sound value with up to three of its parts changed, renamed or removed."""
    value = draw(sound)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return {draw(st.text()): draw(_ODD)}
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["change", "change", "remove", "rename", "repeat"])):
            case "remove":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from([str(key).lower(), f"{key} ", f"{key}\0", ""]))] = holder.pop(key)
            case "repeat" if isinstance(holder, list):
                holder.extend([holder[key]] * draw(st.sampled_from([1, 100, 5000])))
            case _:
                holder[key] = draw(_ODD)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value, as the object or list that holds it and its key there."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@st.composite
def _broken(draw: Callable[..., Any], texts: st.SearchStrategy[bytes]) -> bytes:
    """Text of JSON that has been cut, spliced, encoded in another way, or never was any."""
    text: bytes = draw(texts)
    at = draw(st.integers(0, len(text)))
    return bytes(
        draw(
            st.one_of(
                st.just(text[:at]),
                st.binary(max_size=8).map(lambda splice: text[:at] + splice + text[at:]),
                st.sampled_from([b"\xef\xbb\xbf" + text, text * 2, b" " * 1000 + text, text[:-1] + b"," + text[1:]]),
                st.sampled_from(["utf-16", "utf-32"]).map(lambda name: text.decode().encode(name)),
                st.sampled_from(NESTED).map(str.encode),
                st.binary(max_size=200),
            )
        )
    )
