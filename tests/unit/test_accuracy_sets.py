"""The format of labelled sets: what the documentation shows is right, what is wrong is told with file and item."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.accuracy import bench, labelled_sets
from benchmarks.accuracy.labelled_sets import KINDS, BadData

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluation-data.md"
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)]
PERSON = {"file": "a.jpg", "identity": "Anna"}


def made(folder: Path, content: Any) -> Path:
    """A set with pictures of 64 x 48."""
    folder.mkdir(exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(content))
    for item in content.get("items", ()):
        if isinstance(item, dict) and isinstance(item.get("file"), str):
            Image.new("RGB", (64, 48)).save(folder / item["file"])
    return folder


@pytest.mark.parametrize("content", EXAMPLES, ids=[example["task"] for example in EXAMPLES])
def test_the_documented_examples_can_be_read(tmp_path: Path, content: dict[str, Any]) -> None:
    ((data,), others) = labelled_sets.read(made(tmp_path / "mine", content))
    assert data.name == "mine" and data.kind == content["task"] and not others
    assert (data.items[0]["width"], data.items[0]["height"]) == (64, 48)


def test_every_task_is_documented_and_measured() -> None:
    assert {example["task"] for example in EXAMPLES} == set(KINDS) == set(bench.TASKS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], r"annotations\.json: not an object with a task"),
        ({"task": "face_covers", "items": [PERSON]}, "unknown task 'face_covers'; there are face_verification, "),
        ({"task": "face_verification", "items": []}, "items is missing, empty or no list"),
        ({"task": "face_verification", "items": [PERSON, {"identity": "Ben"}]}, r"items\[1\]: file is missing"),
        ({"task": "face_verification", "items": [PERSON, PERSON]}, r"items\[1\] \(a\.jpg\): the same file twice"),
        ({"task": "face_verification", "items": [{"file": "a.jpg"}]}, r"\(a\.jpg\): identity is missing"),
        ({"task": "face_verification", "items": [{**PERSON, "nmae": 1}]}, r"\(a\.jpg\): unknown field nmae; there"),
        ({"task": "face_verification", "items": [{**PERSON, "width": 60}]}, r"\(a\.jpg\): is 64 x 48, not 60 x 48"),
        ({"task": "face_attributes", "items": [{"file": "a.jpg", "age": "old"}]}, r'age cannot be "old"'),
        ({"task": "face_attributes", "items": [{"file": "a.jpg", "age": True}]}, "age cannot be true"),
        (
            {"task": "face_detection", "items": [{"file": "a.jpg", "exhaustive": True, "faces": [{"box": None}]}]},
            r"\(a\.jpg\): faces\[0\]: neither a box nor a nose",
        ),
        (
            {"task": "object_detection", "items": [{"file": "a.jpg", "objects": [{"label": "car", "box": [1, 2, 3]}]}]},
            r"objects\[0\]: box cannot be \[1, 2, 3\]",
        ),
        (
            {"task": "scene_text", "items": [{"file": "a.jpg", "words": [{"text": None, "quad": [[1, 2]] * 4}]}]},
            r"words\[0\]: a word without text",
        ),
        ({"task": "face_verification", "items": [PERSON], "pairs": 3}, "pairs cannot be 3"),
        (
            {"task": "moderation", "items": [{"file": "a.jpg", "expected": []}], "safe_folders": ["none"]},
            "there is no folder none",
        ),
        (
            {"task": "face_verification", "items": [PERSON], "pairs": [{"a": "a.jpg", "b": "b.jpg", "same": True}]},
            r"pairs\[0\]: b\.jpg is not among the items",
        ),
        (
            {"task": "face_verification", "items": [PERSON], "pairs": [{"a": "a.jpg", "b": "a.jpg", "same": False}]},
            r"pairs\[0\]: same is not what the identities",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, content: Any, told: str) -> None:
    folder = tmp_path / "mine"
    if isinstance(content, dict):
        made(folder, content)
    else:
        folder.mkdir()
        (folder / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(BadData, match=told) as raised:
        labelled_sets.read(folder)
    assert "annotations.json" in str(raised.value)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "mine", {"task": "face_verification", "items": [PERSON]})
    (folder / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(BadData, match=r"items\[0\] \(a\.jpg\)"):
        labelled_sets.read(folder)
    (folder / "a.jpg").unlink()
    with pytest.raises(BadData, match=r"items\[0\] \(a\.jpg\)"):
        labelled_sets.read(folder)


def test_a_folder_of_sets_and_those_that_are_not_measured(tmp_path: Path) -> None:
    staff = made(tmp_path / "staff", {"task": "face_verification_staff", "items": [PERSON]})
    made(tmp_path / "clips", {"task": "video", "items": [{"file": "a.jpg"}]})
    made(tmp_path / "crops", {"task": "word_crops", "items": [{"file": "a.jpg", "text": "a"}]})
    measured, others = labelled_sets.read(tmp_path)
    assert [(data.name, data.kind) for data in measured] == [("crops", "word_crops"), ("staff", "face_verification")]
    assert others == {"clips": "video"}
    before = measured[1].digest
    made(staff, {"task": "face_verification_staff", "items": [{**PERSON, "identity": "Ben"}]})
    assert labelled_sets.read(staff)[0][0].digest != before
    with pytest.raises(BadData, match=r"neither annotations\.json nor folders that have one"):
        labelled_sets.read(tmp_path / "nothing")
