"""Loads SQL from the .sql file beside a module: blocks that start with `-- name: NAME` and a one-line description."""

from pathlib import Path

_MARK = "-- name: "


def load(noun: str) -> dict[str, str]:
    """Return the named blocks of `storage/<noun>.sql`, in file order. Raises ValueError on a malformed file."""
    preamble, *blocks = ("\n" + Path(__file__).with_name(f"{noun}.sql").read_text("utf-8")).split("\n" + _MARK)
    if preamble.strip() or not blocks:
        raise ValueError(f"{noun}.sql must start with '{_MARK}'")
    queries: dict[str, str] = {}
    for block in blocks:
        name, description, sql = block.split("\n", 2)
        if name in queries or not description.startswith("-- "):
            raise ValueError(f"{noun}.sql: block {name!r} is there twice or has no description")
        queries[name] = sql.strip()
    return queries
