"""Who is to be in the gallery of celebrities, as an owner writes it down: a table, or a folder with a folder for each.

docs/celebrities.md describes the table and the folders.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from openrek.errors import UnusableGallery
from storage.celebrities import Gender, name_key

TABLE = "celebrities.csv"
COLUMNS = ("id", "name", "gender", "urls", "photographs")

_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_SCHEME = re.compile(r"^[a-z]+://", re.IGNORECASE)
_LONGEST_NAME, _LONGEST_URL, _MOST_URLS = 256, 2048, 255
_SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Entry:
    """A person to import. Without an id one follows from the name; None for `photographs` tells nothing of them."""

    id: str | None
    name: str
    gender: Gender
    urls: tuple[str, ...]
    photographs: tuple[Path, ...] | None


def read(path: Path) -> list[Entry]:
    """The people of a table, or of a folder with a table or folders. Raises UnusableGallery with all that is wrong."""
    if path.is_dir() and (path / TABLE).exists():
        path = path / TABLE
    try:
        entries, problems = _of_folders(path) if path.is_dir() else _of_table(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableGallery(f"cannot read {path}: {error}") from error
    problems += _doubles(entries)
    if problems:
        shown = "\n  ".join(problems[:_SHOWN_PROBLEMS])
        raise UnusableGallery(f"{len(problems)} problems in {path}; nothing was imported:\n  {shown}")
    if not entries:
        raise UnusableGallery(f"nobody is in {path}: it has neither folders of photographs nor rows in {TABLE}")
    return entries


def _of_folders(path: Path) -> tuple[list[Entry], list[str]]:
    """The people, and what is wrong with the others."""
    entries, problems = [], []
    for folder in sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")):
        try:
            entries.append(Entry(None, _name(folder.name.replace("_", " ")), "unlisted", (), _files(folder)))
        except ValueError as error:
            problems.append(f"folder {folder.name!r}: {error}")
    return entries, problems


def _of_table(path: Path) -> tuple[list[Entry], list[str]]:
    """The people, and what is wrong with the others. Raises UnusableGallery."""
    entries, problems = [], []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines, strict=True)
        if problem := _problem_of_header(table.fieldnames or []):
            raise UnusableGallery(f"{path}: {problem}")
        for row in table:
            try:
                entries.append(_entry(row, path.parent))
            except ValueError as error:
                problems.append(f"line {table.line_num}: {error}")
    return entries, problems


def _problem_of_header(names: Sequence[str]) -> str | None:
    if "name" not in names:
        return "the first line must name the columns, and one of them must be name"
    if unknown := [name for name in names if name not in COLUMNS]:
        return f"there are no columns {', '.join(unknown)}, only {', '.join(COLUMNS)}"
    return None


def _entry(row: Mapping[str | None, str | None], folder: Path) -> Entry:
    """Raises ValueError."""
    if None in row or None in row.values():
        raise ValueError("it has not as many values as the first line has columns")
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    name, celebrity_id, gender = _name(values["name"]), values["id"], values["gender"].lower() or "unlisted"
    if celebrity_id and not _ID.fullmatch(celebrity_id):
        raise ValueError(f"the id {celebrity_id[:40]!r} is not of 1 to 32 letters and digits")
    for known in get_args(Gender):
        if gender == known:
            urls = tuple(_SCHEME.sub("", url) for url in values["urls"].split())
            if len(urls) > _MOST_URLS or any(not 0 < len(url) <= _LONGEST_URL or not url.isprintable() for url in urls):
                raise ValueError(f"more than {_MOST_URLS} urls, or one of more than {_LONGEST_URL} characters")
            photographs = _photographs(values["photographs"], folder, (name, name.replace(" ", "_"), celebrity_id))
            return Entry(celebrity_id or None, name, known, urls, photographs)
    raise ValueError(f"the gender {gender[:40]!r} is none of {', '.join(get_args(Gender))}")


def _name(text: str) -> str:
    """Raises ValueError."""
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{name[:40]!r} is no name of 1 to {_LONGEST_NAME} characters")
    return name


def _photographs(listed: str, folder: Path, default_names: tuple[str, ...]) -> tuple[Path, ...] | None:
    """The files listed, those of a folder named as the person, or None. Raises ValueError."""
    if listed:
        found: list[Path] = []
        for part in filter(None, (part.strip() for part in listed.split(";"))):
            place = folder / part
            if "\0" in part or not place.exists():
                raise ValueError(f"there is no photograph {part[:200]!r}")
            found += _files(place) if place.is_dir() else [place]
        return tuple(found)
    for name in filter(None, default_names):
        # A name may hold anything that a table can; a folder beside the table is named by one part.
        if "/" not in name and name not in (".", "..") and (folder / name).is_dir():
            return _files(folder / name)
    return None


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")))


def _doubles(entries: list[Entry]) -> Iterator[str]:
    ids = Counter(entry.id for entry in entries if entry.id)
    yield from (f"the id {one} is there {count} times" for one, count in ids.items() if count > 1)
    names = Counter(name_key(entry.name) for entry in entries)
    unclear = {name_key(entry.name): entry.name for entry in entries if entry.id is None}
    for key, name in unclear.items():
        if names[key] > 1:
            yield f"the name {name} is there {names[key]} times: only ids can tell them apart"
