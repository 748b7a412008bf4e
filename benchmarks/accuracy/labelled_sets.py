"""Labelled sets in the format of docs/evaluation-data.md. What is wrong with one is told with its file and item."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from openrek.errors import OperatorError

ANNOTATIONS = "annotations.json"
Fields = Mapping[str, Callable[[Any], bool]]


class BadData(OperatorError):
    """The message names the file and the item."""


@dataclass(frozen=True)
class LabelledSet:
    """`name` is the folder's. `kind`: one of KINDS. `digest` changes with the labels. `more`: the fields beside the
    items."""

    name: str
    folder: Path
    kind: str
    digest: str
    items: list[dict[str, Any]]
    more: Mapping[str, Any]

    def picture(self, file: str) -> bytes:
        return (self.folder / file).read_bytes()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_box(value: Any) -> bool:
    return _is_numbers(value, 4) and value[2] > 0 and value[3] > 0


def _is_numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_points(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_numbers(point, 2) for point in value.values())


def _is_quad(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(_is_numbers(point, 2) for point in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _or_null(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


EMOTIONS = ("HAPPY", "SAD", "ANGRY", "CONFUSED", "DISGUSTED", "SURPRISED", "CALM", "FEAR")
YES_OR_NO = ("smile", "mouth_open", "eyes_open", "eyeglasses", "sunglasses", "beard", "mustache", "face_occluded")
GENDER: Fields = {"gender": _or_null(_one_of("Male", "Female"))}
NOTED: frozenset[str] = frozenset(
    ("note", "source", "wnid", "clip", "flickr_url", "license_id", "captions", "source_group_code", "landmarks_box")
)
"""Fields of items that are for people to read."""
FACE: Fields = {
    "box": _or_null(_is_box),
    "points": _is_points,
    "label": _or_null(_is_text),
    "small": _is_bool,
    "eye_distance": _or_null(_is_number),
    "person_box": _is_box,
}
OBJECT: Fields = {"label": _is_text, "box": _is_box, "crowd": _is_bool}
WORD: Fields = {"text": _or_null(_is_text), "quad": _is_quad, "box": _is_box, "ignore": _is_bool}


@dataclass(frozen=True)
class Kind:
    """What items of a task have. `parts`: fields that are lists of objects, with the fields of these; those in
    `part_required` each of them has. `beside`: fields of the file, beside its items."""

    required: Fields
    optional: Fields = field(default_factory=dict)
    parts: Mapping[str, Fields] = field(default_factory=dict)
    part_required: tuple[str, ...] = ()
    beside: Fields = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "face_verification": Kind({"identity": _is_text}, {**GENDER, "landmarks68": _is_list}, beside={"pairs": _is_list}),
    "face_detection": Kind({"exhaustive": _is_bool}, {}, {"faces": FACE}, ("box",)),
    "face_attributes": Kind(
        {}, {**GENDER, "identity": _is_text, "age": _is_number, **dict.fromkeys(YES_OR_NO, _is_bool)}
    ),
    "face_emotion": Kind({"emotion": _one_of(*EMOTIONS)}, {**GENDER, "identity": _is_text, "age": _is_number}),
    "face_cover": Kind({"face_cover": _is_bool}),
    "image_labels": Kind({"label": _is_text}, {"synonyms": _is_texts, "hypernyms": _is_texts}),
    "object_detection": Kind({}, {}, {"objects": OBJECT}, ("label", "box")),
    "scene_text": Kind({}, {"rotation_clockwise_deg": _is_number}, {"words": WORD}, ("text", "quad")),
    "word_crops": Kind({"text": _is_text}),
    "ppe": Kind({}, {}, {"objects": OBJECT}, ("label", "box")),
    "moderation": Kind({"expected": _is_texts}, beside={"safe_folders": _is_texts}),
}
"""Task -> its items. A set's task is one of these, or begins with one and an underscore (face_verification_staff)."""
UNMEASURED = ("custom_classification", "custom_detection", "video")
"""Tasks of the format that are not measured: they need training, or clips where the server can read them."""


def read(folder: Path) -> tuple[list[LabelledSet], dict[str, str]]:
    """The sets of a folder, which is one itself or has some in it, and those that are not measured, with their tasks.

    Raises BadData.
    """
    files = [folder / ANNOTATIONS] if (folder / ANNOTATIONS).is_file() else sorted(folder.glob(f"*/{ANNOTATIONS}"))
    if not files:
        raise BadData(f"{folder}: neither {ANNOTATIONS} nor folders that have one")
    measured, others = list[LabelledSet](), dict[str, str]()
    for file in files:
        content = _parsed(file)
        kind = kind_of(content["task"])
        if kind is None:
            raise BadData(f"{file}: unknown task {content['task']!r}; there are {', '.join([*KINDS, *UNMEASURED])}")
        if kind in UNMEASURED:
            others[file.resolve().parent.name] = kind
        else:
            measured.append(_checked(file, kind, content))
    return measured, others


def kind_of(task: str) -> str | None:
    """The kind of a task; several sets of one kind may have tasks that begin with it."""
    fitting = (kind for kind in (*KINDS, *UNMEASURED) if task == kind or task.startswith(f"{kind}_"))
    return max(fitting, key=len, default=None)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadData(f"{file}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("task"), str):
        raise BadData(f"{file}: not an object with a task")
    if not isinstance(content.get("items"), list) or not content["items"]:
        raise BadData(f"{file}: items is missing, empty or no list")
    return content


def _checked(file: Path, kind: str, content: dict[str, Any]) -> LabelledSet:
    rules, items = KINDS[kind], content["items"]
    for name, check in rules.beside.items():
        if name in content and not check(content[name]):
            raise BadData(f"{file}: {name} cannot be {_shown(content[name])}")
    seen = set[str]()
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not _is_text(item.get("file")):
            raise BadData(f"{file}: items[{number}]: file is missing")
        name = item["file"]
        where = f"{file}: items[{number}] ({name})"
        if name in seen:
            raise BadData(f"{where}: the same file twice")
        seen.add(name)
        _check_fields(where, {key: item[key] for key in item.keys() - NOTED}, rules)
        _check_size(where, file.parent / name, item)
    for folder in content.get("safe_folders", ()):
        if not (file.parent / folder).is_dir():
            raise BadData(f"{file}: safe_folders: there is no folder {folder}")
    people = {item["file"]: item.get("identity") for item in items}
    for number, pair in enumerate(content.get("pairs", ())):
        _check_pair(f"{file}: pairs[{number}]", pair, people)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    more = {name: value for name, value in content.items() if name != "items"}
    return LabelledSet(file.resolve().parent.name, file.parent, kind, digest, items, more)


def _check_fields(where: str, item: Mapping[str, Any], rules: Kind) -> None:
    known: Fields = {"file": _is_text, "width": _is_number, "height": _is_number, **rules.required, **rules.optional}
    lists: Fields = dict.fromkeys(rules.parts, _is_list)
    _check(where, item, {**known, **lists}, (*rules.required, *rules.parts))
    for name, fields in rules.parts.items():
        for number, part in enumerate(item[name]):
            _check(f"{where}: {name}[{number}]", part, fields, rules.part_required)
            if name == "faces" and part["box"] is None and "nose" not in part.get("points", {}):
                raise BadData(f"{where}: {name}[{number}]: neither a box nor a nose among points")
            if name == "words" and part["text"] is None and not part.get("ignore"):
                raise BadData(f"{where}: {name}[{number}]: a word without text that is not to be ignored")


def _check(where: str, given: Any, fields: Fields, required: Iterable[str]) -> None:
    if not isinstance(given, dict):
        raise BadData(f"{where}: not an object")
    for name in required:
        if name not in given:
            raise BadData(f"{where}: {name} is missing")
    for name, value in given.items():
        if name not in fields:
            raise BadData(f"{where}: unknown field {name}; there are {', '.join(sorted(fields))}")
        if not fields[name](value):
            raise BadData(f"{where}: {name} cannot be {_shown(value)}")


def _check_size(where: str, path: Path, item: dict[str, Any]) -> None:
    """Fills in width and height where they are not given."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except (OSError, UnidentifiedImageError) as error:
        raise BadData(f"{where}: {error}") from error
    if (item.setdefault("width", width), item.setdefault("height", height)) != (width, height):
        raise BadData(f"{where}: is {width} x {height}, not {item['width']} x {item['height']}")


def _check_pair(where: str, pair: Any, people: Mapping[str, str | None]) -> None:
    """`people`: file -> identity."""
    _check(where, pair, {"a": _is_text, "b": _is_text, "same": _is_bool}, ("a", "b", "same"))
    for side in ("a", "b"):
        if pair[side] not in people:
            raise BadData(f"{where}: {pair[side]} is not among the items")
    if pair["same"] != (people[pair["a"]] == people[pair["b"]]):
        raise BadData(f"{where}: same is not what the identities of {pair['a']} and {pair['b']} say")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
