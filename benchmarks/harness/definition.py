"""What is to be measured, as a TOML file says it.

title = "Operations without inference"
about = "One paragraph for the report."
...                                 # whatever the kind of measurement asks for
[[bar]]                             # what must hold for exit status 0
figure = "ratio"
at_least = 3.0                      # or at_most
where = { clients = 16 }            # only these rows; default all that have the figure
[[table]]                           # of the report
columns = ["operation", "clients", "per_second"]
[[plot]]
x = "clients"
y = "per_second"
line = "operation"
log = ["x"]
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "definitions"


class BadDefinition(ValueError):
    """The message says what is wrong with which file."""


@dataclass(frozen=True)
class Definition:
    """`name` is the file's, without its ending; `content` is the whole file."""

    name: str
    content: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The same for the same content, hexadecimal."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path) -> Definition:
    """Raises BadDefinition."""
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadDefinition(f"{path}: {error}") from error
    for name in ("title", "about"):
        if not isinstance(content.get(name), str):
            raise BadDefinition(f"{path}: {name} is missing")
    for bar in content.get("bar", ()):
        if "figure" not in bar or len({"at_least", "at_most"} & set(bar)) != 1:
            raise BadDefinition(f"{path}: a bar has a figure, and at_least or at_most")
    return Definition(path.stem, content)
