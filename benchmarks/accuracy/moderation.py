"""Moderation through an endpoint: false alarms of DetectModerationLabels on ordinary pictures, and what it finds.

A false alarm is a first-level label at the default confidence (50) that the picture does not deserve. Ordinary pictures
show a bottle or a bare chest now and then: what a look at each alarm said is in moderation_judged.json, and an alarm
that is not listed there counts as false.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import endpoint, record

JUDGED = Path(__file__).parent / "moderation_judged.json"
SUFFIXES = (".jpg", ".jpeg", ".png")
EXAMPLE = (
    "Example: python -m benchmarks.accuracy.moderation data/moderation --ordinary data/ppe/images data/labels/images"
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.moderation", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder with annotations.json (items with expected labels)")
    parser.add_argument("--ordinary", type=Path, nargs="*", default=[], help="more folders of ordinary pictures")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    result = measure(endpoint.chosen(arguments).client(), arguments.folder, arguments.ordinary)
    print(f"{result['ordinary']} ordinary pictures, {result['alarms']} with an alarm that is false")
    for name, count in result["false"].items():
        print(f"  {name}: {count} false, {result['true'].get(name, 0)} true")
    for name, (found, asked) in result["recall"].items():
        print(f"found {found} of {asked} labelled {name}")
    for line in result["unjudged"]:
        print(f"  not looked at: {line}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'moderation': result})}")
    return 0


def measure(client: Any, folder: Path, more: list[Path]) -> dict[str, Any]:
    """The figures of the labelled pictures of `folder` and the ordinary ones that it names, and those of `more`."""
    labelled = json.loads((folder / "annotations.json").read_text())
    judged = json.loads(JUDGED.read_text())
    recall: dict[str, list[int]] = {}
    for item in labelled["items"]:
        found = labels(client, (folder / item["file"]).read_bytes())
        for name in item["expected"]:
            counts = recall.setdefault(name, [0, 0])
            counts[0] += name in found
            counts[1] += 1
    false, true, unjudged, alarms = Counter[str](), Counter[str](), list[str](), 0
    pictures = list(pictures_of([folder / name for name in labelled["safe_folders"]] + more))
    for path in tqdm(pictures, file=sys.stderr):
        found = labels(client, path.read_bytes())
        tops = {name for name, level in found.items() if level == 1}
        right = set(judged.get(path.name, {}).get("right", []))
        true.update(tops & right)
        false.update(tops - right)
        alarms += bool(tops - right)
        if tops and path.name not in judged:
            unjudged.append(f"{path.name}: {', '.join(found)}")
    return {
        "ordinary": len(pictures),
        "alarms": alarms,
        "false": {name: false[name] for name in sorted(false | true)},
        "true": dict(true),
        "recall": recall,
        "unjudged": unjudged,
    }


def labels(client: Any, data: bytes) -> dict[str, int]:
    """The labels of a picture with their levels; content types are of the first."""
    answer = client.detect_moderation_labels(Image={"Bytes": data})
    content = {f"content type {one['Name']}": 1 for one in answer["ContentTypes"]}
    return {label["Name"]: label["TaxonomyLevel"] for label in answer["ModerationLabels"]} | content


def pictures_of(folders: Iterable[Path]) -> Iterator[Path]:
    """The picture files in folders, folder by folder, by name."""
    for folder in folders:
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


if __name__ == "__main__":
    sys.exit(main())
