"""Shape constraints of the service model: required, length, range, pattern, enum.

Checkers are built once per shape. All violations of a request are reported together, in the wording of the
server framework; at most `MOST_REPORTED` of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.validate import ParamValidator

from api.errors import ValidationException
from api.model import OPERATIONS, SERVICE, Operation

MOST_REPORTED = 100
LONGEST_PRINTED = 4096

Rule = tuple[Callable[[Any], bool], str]
Check = Callable[[Any, str, list[str]], None]


def check(operation: Operation, request: dict[str, Any]) -> None:
    """Raises ValidationException naming every constraint that the parsed request breaks."""
    found = violations(operation.input_shape.name, request)
    if found:
        plural = "s" if len(found) > 1 else ""
        raise ValidationException(f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


def violations(shape_name: str, value: Any) -> list[str]:
    """One sentence per constraint that `value`, typed as protocol.parse does, breaks."""
    found: list[str] = []
    _checker(shape_name)(value, "", found)
    return found


def check_output(operation: str, answer: dict[str, Any]) -> list[str]:
    """What is wrong with an answer, strictly: types, unknown members, and every constraint of the model."""
    present = _without_nulls(answer)
    shape = OPERATIONS[operation].output_shape
    report = ParamValidator().validate(present, shape)
    if report.has_errors():
        return [str(report.generate_report())]
    return violations(shape.name, present)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


@cache
def java_pattern(source: str) -> re.Pattern[str]:
    """A Java regular expression of the model, compiled for `fullmatch` with the same meaning.

    Java's classes are ASCII, except the Unicode categories L and N, which the model only uses beside `_` and
    which then are Python's Unicode word characters; its dot stops at every line terminator.
    """
    translated, in_class = [], False
    for token in re.findall(r"\\p\{\w+\}|\\.|.", source, re.DOTALL):
        if token in _JAVA_CATEGORIES:
            translated.append(_JAVA_CATEGORIES[token])
        elif token == "." and not in_class:
            translated.append(r"[^\n\r\u0085\u2028\u2029]")
        else:
            in_class = (in_class or token == "[") and token != "]"
            translated.append(token)
    return re.compile("".join(translated), re.NOFLAG if r"\p{" in source else re.ASCII)


_JAVA_CATEGORIES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


def _rules(shape: Any) -> list[Rule]:
    """The constraints on a value as a whole, with the framework's text for each."""
    rules: list[Rule] = []
    constraints = shape.metadata
    sized = shape.type_name in ("string", "blob", "list", "map")
    noun = "length" if sized else "value"
    low, high = constraints.get("min"), constraints.get("max")
    if low is not None:
        text = f"Member must have {noun} greater than or equal to {low}"
        rules.append((lambda value: (len(value) if sized else value) >= low, text))
    if high is not None:
        text = f"Member must have {noun} less than or equal to {high}"
        rules.append((lambda value: (len(value) if sized else value) <= high, text))
    if "pattern" in constraints:
        pattern = java_pattern(constraints["pattern"])
        text = f"Member must satisfy regular expression pattern: {constraints['pattern']}"
        rules.append((lambda value: pattern.fullmatch(value) is not None, text))
    if "enum" in constraints:
        allowed = frozenset(constraints["enum"])
        text = f"Member must satisfy enum value set: [{', '.join(constraints['enum'])}]"
        rules.append((lambda value: value in allowed, text))
    return rules


@cache
def _checker(shape_name: str) -> Check:
    shape = SERVICE.shape_for(shape_name)
    rules = _rules(shape)

    def check_value(value: Any, path: str, found: list[str]) -> None:
        for holds, text in rules:
            if not holds(value):
                found.append(_violation(value, path, text))

    if shape.type_name == "structure":
        return _structure_checker(shape)
    if shape.type_name == "list":
        return _list_checker(check_value, shape.member.name)
    if shape.type_name == "map":
        return _map_checker(check_value, shape)
    return check_value


def _structure_checker(shape: Any) -> Check:
    members = {name: (_camel(name), member.name) for name, member in shape.members.items()}
    required = frozenset(shape.required_members)

    def check_structure(value: Any, path: str, found: list[str]) -> None:
        for name, (printed, member_shape) in members.items():
            if name in value:
                _checker(member_shape)(value[name], _join(path, printed), found)
            elif name in required:
                found.append(_violation(None, _join(path, printed), _NOT_NULL))

    return check_structure


def _list_checker(check_value: Check, element_shape: str) -> Check:
    def check_list(value: Any, path: str, found: list[str]) -> None:
        check_value(value, path, found)
        check_element = _checker(element_shape)
        for position, element in enumerate(value, start=1):
            if len(found) >= MOST_REPORTED:
                return
            _check_item(check_element, element, f"{path}.{position}.member", found)

    return check_list


def _map_checker(check_value: Check, shape: Any) -> Check:
    key_rules, item_shape = _rules(shape.key), shape.value.name
    key_text = f"Map keys must satisfy constraint: [{', '.join(text for _, text in key_rules)}]"

    def check_map(value: Any, path: str, found: list[str]) -> None:
        check_value(value, path, found)
        if not all(holds(key) for key in value for holds, _ in key_rules):
            found.append(_violation(value, path, key_text))
        check_item = _checker(item_shape)
        for key, item in value.items():
            if len(found) >= MOST_REPORTED:
                return
            _check_item(check_item, item, f"{path}.{key}.member", found)

    return check_map


def _check_item(check_item: Check, item: Any, path: str, found: list[str]) -> None:
    if item is None:
        found.append(_violation(None, path, _NOT_NULL))
    else:
        check_item(item, path, found)


_NOT_NULL = "Member must not be null"


def _violation(value: Any, path: str, rule: str) -> str:
    printed = _printed(value)
    if len(printed) > LONGEST_PRINTED:
        printed = printed[:LONGEST_PRINTED] + "..."
    quoted = printed if value is None else f"'{printed}'"
    return f"Value {quoted} at '{path}' failed to satisfy constraint: {rule}"


def _printed(value: Any) -> str:
    """A value as Java prints it."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_printed, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_printed(item)}" for key, item in value.items()) + "}"
    return str(value)


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
