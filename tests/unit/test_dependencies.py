"""What OpenRek imports is among the packages that it is installed with."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("openrek", "api", "inference", "vectorindex", "storage", "workers", "benchmarks", "migrations")
SERVED = ("openrek", "api", "inference", "vectorindex", "storage", "workers")


def test_what_is_imported_is_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = re.findall(r"^\S+(?===)", (ROOT / "requirements" / "serve.lock").read_text(), re.MULTILINE)
    named = {_name(text) for text in (*pinned, *extras["cuda"], *extras["insightface"])}
    distributions = packages_distributions()
    unnamed = {
        f"{path.relative_to(ROOT)}: {module}"
        for folder in SERVED
        for path in sorted((ROOT / folder).rglob("*.py"))
        for module in _imported(path)
        if module not in OURS and module not in sys.stdlib_module_names
        if not named & {_name(distribution) for distribution in distributions.get(module, [])}
    }
    assert unnamed == set()


def _imported(path: Path) -> Iterator[str]:
    """The packages that a module imports, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _name(requirement: str) -> str:
    """A distribution's name in its normal form, without version and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()
