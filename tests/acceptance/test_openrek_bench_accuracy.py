"""`openrek bench` against a real stack, as an owner would run it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Stack
from PIL import Image, ImageEnhance, ImageOps

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "plain": lambda picture: picture,
    "mirrored": ImageOps.mirror,
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
}


@pytest.fixture
def labelled(tmp_path: Path, collins: bytes, hopper: bytes) -> Path:
    """Three sets: people, one face, and two things."""
    people = [
        {"file": f"{name}-{view}.jpg", "identity": name} for name in ("Collins", "Hopper") for view in VIEWS
    ]  # fmt: skip
    pairs = [
        {"a": one["file"], "b": other["file"], "same": one["identity"] == other["identity"]}
        for n, one in enumerate(people)
        for other in people[n + 1 :]
    ]
    folder = tmp_path / "labelled"
    shown = {"Collins": collins, "Hopper": hopper}
    _set(folder / "staff", {"task": "face_verification_staff", "items": people, "pairs": pairs})
    for name, data in shown.items():
        for view, change in VIEWS.items():
            change(Image.open(io.BytesIO(data)).convert("RGB")).save(folder / "staff" / f"{name}-{view}.jpg")
    _set(
        folder / "door",
        {
            "task": "face_detection",
            "items": [{"file": "a.jpg", "exhaustive": True, "faces": [{"box": None, "points": {"nose": [224, 116]}}]}],
        },
    )
    (folder / "door" / "a.jpg").write_bytes(collins)
    cat = {"file": "chelsea.jpg", "label": "tabby", "synonyms": ["cat"], "hypernyms": ["animal", "pet"]}
    cup = {"file": "coffee.jpg", "label": "coffee cup", "synonyms": ["cup"], "hypernyms": ["tableware"]}
    _set(folder / "things", {"task": "image_labels", "items": [cat, cup]})
    for item in (cat, cup):
        (folder / "things" / str(item["file"])).write_bytes((PICTURES / str(item["file"])).read_bytes())
    return folder


def _set(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "annotations.json").write_text(json.dumps(content))


def test_accuracy_on_a_folder_of_ones_own_at_two_endpoints(
    stack: Stack, s3_server: str, labelled: Path, tmp_path: Path
) -> None:
    """The stack, and moto's server, whose answers are always the same where it has any."""
    endpoints = [f"ours={stack.endpoint}", f"canned={s3_server}"]
    command = ["bench", "accuracy", "--data", str(labelled), "--results", str(tmp_path / "results"), "--json"]
    run = json.loads(stack.openrek(*command, *(word for one in endpoints for word in ("--endpoint", one))))
    rows = {
        (row["row"], row["endpoint"], row.get("against"), row["set"], row["task"], row.get("measure")): row
        for row in run["rows"]
    }

    def figure(endpoint: str, place: str, task: str, measure: str) -> tuple[float, float, float, int]:
        row = rows["figure", endpoint, None, place, task, measure]
        return row["value"], row["low"], row["high"], row["n"]

    def better(measure: str) -> str:
        return str(rows["difference", "ours", "canned", "staff", "verification", measure]["better"])

    # six pictures: six pairs of one person, nine of two; two people tell little
    assert figure("ours", "staff", "verification", "true_accepts_at_80") == (1, pytest.approx(0.158, abs=0.001), 1, 6)
    assert figure("ours", "staff", "verification", "false_accepts_at_80")[0::3] == (0, 9)
    assert figure("ours", "staff", "verification", "roc_area")[0::3] == (1, 15)
    assert figure("ours", "staff", "identification", "rank_1")[0::3] == (1, 6)
    assert figure("ours", "door", "face detection", "recall_at_0.5")[0::3] == (1, 1)
    assert figure("ours", "door", "face detection", "precision_at_0.5")[0::3] == (1, 1)
    assert figure("ours", "things", "labels", "class_named")[0::3] == (1, 2)
    assert figure("canned", "staff", "verification", "false_accepts_at_80")[0::3] == (1, 9)
    assert better("false_accepts_at_80") == better("roc_area") == "ours"
    assert better("true_accepts_at_80") == "neither"
    labels = rows["difference", "ours", "canned", "things", "labels", "class_named"]
    assert labels["value"] == 1 and labels["better"] == "neither"  # of two pictures
    refused = {(row["set"], row["task"]) for row in run["rows"] if row["row"] == "refused"}
    assert refused == {("staff", "identification"), ("door", "face detection")}
    assert str(labelled) not in (tmp_path / "results" / "accuracy.json").read_text()
    assert "accuracy-" not in stack.openrek("collections", "list")
