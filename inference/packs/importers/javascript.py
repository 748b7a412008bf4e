"""Reads the value that a JavaScript module exports, without running JavaScript.

The modules are data: a bundle around one `exports={...}` or `exports="..."` literal.
"""

import re
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[{}\[\]:,])
    |(?P<string>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|`[^`\\$]*(?:\\.[^`\\$]*)*`)
    |(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>!0|!1|void\ 0|[A-Za-z_$][\w$]*))""",
    re.VERBOSE | re.DOTALL,
)
_EXPORT = re.compile(r"\bexports\s*=\s*(?=[{\[\"'`])")
_WORDS = {"!0": True, "!1": False, "true": True, "false": False, "null": None, "void 0": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def exported(source: str) -> Any:
    """The object, array or string that is exported first. Raises ValueError when there is none or it is no literal."""
    match = _EXPORT.search(source)
    if match is None:
        raise ValueError("the module exports no literal")
    return _Reader(source, match.end()).value()


class _Reader:
    """A position in the source text, moved by one token at a time."""

    def __init__(self, source: str, position: int) -> None:
        self.source, self.position = source, position

    def token(self) -> tuple[str, str]:
        match = _TOKEN.match(self.source, self.position)
        if match is None or match.lastgroup is None:
            raise ValueError(f"not a literal: {self.source[self.position : self.position + 40]!r}")
        self.position = match.end()
        return match.lastgroup, match[match.lastgroup]

    def value(self) -> Any:
        return self.value_of(*self.token())

    def value_of(self, kind: str, text: str) -> Any:
        if kind == "string":
            return _unquoted(text)
        if kind == "number":
            return int(text) if text.lstrip("-").isdigit() else float(text)
        if text == "{":
            return self.members()
        if text == "[":
            return self.elements()
        if text in _WORDS:
            return _WORDS[text]
        raise ValueError(f"not a literal: {text!r}")

    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while (token := self.token()) != ("mark", "}"):
            if token == ("mark", ","):
                continue
            kind, text = token
            if self.token() != ("mark", ":"):
                raise ValueError(f"no value after {text!r}")
            members[_unquoted(text) if kind == "string" else text] = self.value()
        return members

    def elements(self) -> list[Any]:
        elements = []
        while (token := self.token()) != ("mark", "]"):
            if token != ("mark", ","):
                elements.append(self.value_of(*token))
        return elements


def _unquoted(text: str) -> str:
    body = text[1:-1]
    if "\\" not in body:
        return body

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "ux" and len(code) > 1:
            return chr(int(code[1:].strip("{}"), 16))
        return _ESCAPES.get(code, "" if code == "\n" else code)

    return re.sub(r"\\(u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", plain, body, flags=re.DOTALL)
