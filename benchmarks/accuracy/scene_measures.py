"""How right an endpoint's answers on labelled scenes are: labels, boxes, text, protective equipment, moderation."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import asking, label_truth, labels, moderation, protective_equipment, text
from benchmarks.accuracy.intervals import Counts, Figure, Found, mean_average_precision, shares
from benchmarks.accuracy.labelled_sets import LabelledSet
from inference.taxonomy import labels as taxonomy

MOST_LABELS = 1000
GRAVE = ("Explicit", "Violence", "Visually Disturbing")


def classified(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectLabels on pictures of one class: whether a label names it, or it or something above it, and whether the
    surest of the most specific labels does."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        answer = client.detect_labels(Image={"Bytes": picture})["Labels"]
        own = label_truth.class_of(item)
        names = _plain([item["label"], *item.get("synonyms", ()), *own])
        above = names | _plain([*item.get("hypernyms", ()), *taxonomy.closure(own)])
        said = _plain([name for label in answer for name in _names(label)])
        surest = _plain(_names(labels.most_specific(answer)[0])) if answer else set()
        return {
            "class_named": [(bool(said & names), 1)],
            "class_or_above_named": [(bool(said & above), 1)],
            "surest_right": [(bool(surest & above), 1)],
        }

    return _by_picture(data, asking.about_items(data, "labels", judge))


def objects(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectLabels on pictures with all objects of some kinds: the kinds that are named, boxes at the default
    MinConfidence, and their average precision from a second call at MinConfidence 0. Boxes overlap by half."""
    boxed = labels.boxed_names()
    kinds = sorted({boxed.get(one["label"], one["label"]) or "" for item in data.items for one in item["objects"]})
    kinds = [kind for kind in kinds if kind]

    def judge(item: dict[str, Any], picture: bytes) -> tuple[Counts, np.ndarray, list[tuple[str, float, bool]]]:
        answer = client.detect_labels(Image={"Bytes": picture})["Labels"]
        wanted = _kinds(item)
        there, said = labels.box_hits(item, answer, kinds)
        counts = {
            "kinds_named": [(len(wanted & _plain([name for label in answer for name in _names(label)])), len(wanted))],
            "boxes_recall": [(sum(right for _, _, right in said), there.total())],
            "boxes_precision": [(sum(right for _, _, right in said), len(said))],
        }
        unsure = client.detect_labels(Image={"Bytes": picture}, MinConfidence=0, MaxLabels=MOST_LABELS)["Labels"]
        return counts, np.array([float(there[kind]) for kind in kinds]), labels.box_hits(item, unsure, kinds)[1]

    answers = asking.about_items(data, "objects", judge)
    figures = _by_picture(data, [counts for counts, _, _ in answers])
    labelled = np.array([there for _, there, _ in answers])
    if not labelled.any():
        return figures
    places = {kind: n for n, kind in enumerate(kinds)}
    found = [
        Found(n, places[kind], sure, right) for n, (_, _, said) in enumerate(answers) for kind, sure, right in said
    ]
    seen = np.array([[sum(right for _, _, right in said), len(said)] for _, _, said in answers])
    precision = mean_average_precision(found, labelled)
    return [*figures, Figure("boxes_mean_ap50", round(labelled.sum()), len(data.items), seen, precision)]


def read_scenes(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectText: words as benchmarks.accuracy.text matches them, without a filter."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        seen, missed = text.match(text.words(client, picture), item)
        right, found = sum(word.right for word in seen), sum(word.label is not None for word in seen)
        labelled = found + len(missed)
        pairs = [(word.text, word.label) for word in seen if word.label is not None]
        return {
            "words_found": [(found, labelled)],
            "recall": [(right, labelled)],
            "precision": [(right, len(seen))],
            "f1": [(2 * right, labelled + len(seen))],
            "character_error_rate": [_errors(pairs)],
        }

    return _by_picture(data, asking.about_items(data, "text", judge), errors=("character_error_rate",))


def read_crops(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectText on words cut out, each on a grey border."""

    def judge(item: dict[str, Any]) -> Counts:
        read = text.read_crop(client, data.picture(item["file"]))
        right = text.plain(read) == text.plain(item["text"])
        return {"words_right": [(right, 1)], "character_error_rate": [_errors([(read, item["text"])])]}

    counts = asking.each(f"{data.name}: words", data.items, judge, lambda item: str(item["file"]))
    return _by_picture(data, counts, errors=("character_error_rate",))


def equipped(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectProtectiveEquipment: persons, and covers person by person as benchmarks.accuracy.protective_equipment."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        answer = client.detect_protective_equipment(Image={"Bytes": picture})
        persons = protective_equipment.person_hits(item, answer)
        found = sum(right for right, _ in persons)
        return {
            "persons_recall": [(found, sum(one["label"] == "person" for one in item["objects"]))],
            "persons_precision": [(found, len(persons))],
            "head_cover_balanced": _sides(protective_equipment.helmets(item, answer)),
            "hand_cover_balanced": _sides(protective_equipment.gloves(item, answer)),
        }

    return _by_picture(data, asking.about_items(data, "equipment", judge))


def moderated(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectModerationLabels: expected labels that are answered, and pictures with nothing to expect (items, and all in
    the safe folders) that get a label of the first level all the same."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        found = moderation.labels(client, picture)
        if item["expected"]:
            return {"expected_found": [(len(found.keys() & set(item["expected"])), len(item["expected"]))]}
        return _alarms(found)

    def judge_safe(path: Path) -> Counts:
        return _alarms(moderation.labels(client, path.read_bytes()))

    safe = list(moderation.pictures_of(data.folder / name for name in data.more.get("safe_folders", ())))
    counts = asking.about_items(data, "expected", judge)
    counts += asking.each(f"{data.name}: safe", safe, judge_safe, lambda path: path.name)
    return shares([str(n) for n in range(len(counts))], counts, alarms=("false_alarms", "grave_false_alarms"))


def _alarms(found: dict[str, int]) -> Counts:
    first = {name for name, level in found.items() if level == 1 and not name.startswith("content type ")}
    return {"false_alarms": [(bool(first), 1)], "grave_false_alarms": [(bool(first & set(GRAVE)), 1)]}


def _by_picture(data: LabelledSet, counts: list[Counts], errors: tuple[str, ...] = ()) -> list[Figure]:
    return shares([item["file"] for item in data.items], counts, errors)


def _kinds(item: dict[str, Any]) -> set[str]:
    """What the objects of a picture are called, the most specific labels only."""
    names = label_truth.objects_of(item)
    known = tuple(name for name in names if name in taxonomy.labels())
    return _plain([*labels.leaves(taxonomy.closure(known)), *(name for name in names if name not in known)])


def _names(label: dict[str, Any]) -> list[str]:
    return [label["Name"], *(alias["Name"] for alias in label.get("Aliases", ()))]


def _plain(names: list[str]) -> set[str]:
    return {name.replace("_", " ").casefold() for name in names}


def _errors(pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """Edits and characters, as text.error_rate has them."""
    edits = sum(text.edits(read.lower(), label.lower()) for read, label in pairs)
    return edits, sum(len(label) for _, label in pairs)


def _sides(pairs: protective_equipment.Judged) -> list[tuple[float, float]]:
    """The shares of either truth that is answered right."""
    return [
        (sum((sure > 0) == side for truth, sure in pairs if truth == side), sum(truth == side for truth, _ in pairs))
        for side in (True, False)
    ]
