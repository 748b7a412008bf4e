"""Face verification through an endpoint: how well similarities tell pairs of one person from pairs of two.

Every picture of a data folder is indexed, every face searched for in the whole collection at threshold 0, and the
similarities are judged: accuracy at the best threshold on the folder's labelled pairs, and the share of labelled
same-person pairs that are accepted (TAR) at thresholds where a given share of ALL pairs of two people is (FAR).
"""

import argparse
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import endpoint, record

FALSE_ACCEPT_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
THREADS = 4
LEAST_SIDE_PIXELS = 80
EXAMPLE = "Example: python -m benchmarks.accuracy.verification ../shared/evaldata/face_verification_lfw"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.verification", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument(
        "folder", type=Path, nargs="+", help="folders with annotations.json (items with identity, pairs)"
    )
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json and NAME.png")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    results = {folder.name: measure(endpoint.chosen(arguments).client(THREADS), folder) for folder in arguments.folder}
    for name, result in results.items():
        print(f"{name}: {result['images']} pictures, {result['missed']} without a face found")
        print(f"  accuracy at the best threshold ({result['best_threshold']:.2f}): {result['accuracy']:.4f}")
        for row in result["operating_points"]:
            print(
                f"  FAR {row['far']:.0e} (of {result['impostor_pairs']} pairs): TAR {row['tar']:.4f} "
                f"at similarity {row['similarity']:.2f}"
            )
    if arguments.save:
        figure = record.RESULTS / f"{arguments.save}.png"
        draw(results, figure)
        points = {
            name: {key: value for key, value in result.items() if key != "curve"} for name, result in results.items()
        }
        print(f"saved {record.save(arguments.save, {'verification': points})} and {figure}")
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """The figures of one data folder; see the module's text."""
    annotations = json.loads((folder / "annotations.json").read_text())
    items, collection = annotations["items"], f"verification-{uuid4()}"
    client.create_collection(CollectionId=collection)
    try:
        face_ids = index_people(client, collection, folder, items)
        scores = _similarities(client, collection, face_ids)
    finally:
        client.delete_collection(CollectionId=collection)
    names = [item["file"] for item in items if item["file"] in face_ids]
    people = np.array([item["identity"] for item in items if item["file"] in face_ids])
    return judge(scores, names, people, annotations["pairs"]) | {
        "images": len(items),
        "missed": len(items) - len(names),
    }


def judge(scores: np.ndarray, names: list[str], people: np.ndarray, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy and operating points from a symmetric matrix of similarities, float [N, N], between `names`."""
    place = {name: n for n, name in enumerate(names)}
    labelled = [pair for pair in pairs if pair["a"] in place and pair["b"] in place]
    likeness = np.array([scores[place[pair["a"]], place[pair["b"]]] for pair in labelled])
    same = np.array([pair["same"] for pair in labelled])
    accuracies = {float(bar): float(((likeness >= bar) == same).mean()) for bar in np.unique(likeness)}
    best = max(accuracies, key=lambda bar: accuracies[bar])
    upper = np.triu_indices(len(names), 1)
    impostors = np.sort(scores[upper][people[upper[0]] != people[upper[1]]])[::-1]
    genuine = likeness[same]
    points = []
    for far in FALSE_ACCEPT_RATES:
        accepted = max(1, round(far * len(impostors)))
        bar = float(impostors[accepted - 1])
        points.append({"far": far, "similarity": bar, "tar": float((genuine > bar).mean())})
    rates = np.unique(np.geomspace(1, len(impostors), 300).astype(int))
    curve = [(float(n / len(impostors)), float((genuine > impostors[n - 1]).mean())) for n in rates]
    return {
        "accuracy": accuracies[best],
        "best_threshold": best,
        "impostor_pairs": len(impostors),
        "operating_points": points,
        "curve": curve,
    }


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    """ROC curves, false accepts on a logarithmic axis."""
    figure, axes = plt.subplots(figsize=(7, 5))
    for name, result in results.items():
        axes.semilogx(*zip(*result["curve"], strict=True), label=f"{name} (accuracy {result['accuracy']:.3f})")
    axes.set(xlabel="false accepts, share of all pairs of two people", ylabel="true accepts", ylim=(0.4, 1.01))
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def index_people(client: Any, collection: str, folder: Path, items: list[dict[str, Any]]) -> dict[str, str]:
    """The face id of each picture's person: the face nearest to the picture's middle."""

    def index(item: dict[str, Any]) -> tuple[str, str | None]:
        data = large_enough((folder / item["file"]).read_bytes())
        answer = client.index_faces(CollectionId=collection, Image={"Bytes": data}, QualityFilter="NONE")
        faces = [record["Face"] for record in answer["FaceRecords"]]
        return item["file"], min(faces, key=from_the_middle)["FaceId"] if faces else None

    with ThreadPoolExecutor(THREADS) as threads:
        found = tqdm(threads.map(index, items), total=len(items), desc="index", file=sys.stderr)
        return {file: face_id for file, face_id in found if face_id is not None}


def large_enough(data: bytes) -> bytes:
    """The picture, enlarged where it is smaller than the service takes."""
    picture = Image.open(io.BytesIO(data))
    if min(picture.size) >= LEAST_SIDE_PIXELS:
        return data
    enlarged, factor = io.BytesIO(), -(-LEAST_SIDE_PIXELS // min(picture.size))
    picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC).save(enlarged, "PNG")
    return enlarged.getvalue()


def _similarities(client: Any, collection: str, face_ids: dict[str, str]) -> np.ndarray:
    place = {face_id: n for n, face_id in enumerate(face_ids.values())}
    scores = np.full((len(place), len(place)), 100.0)

    def search(face_id: str) -> None:
        answer = client.search_faces(CollectionId=collection, FaceId=face_id, FaceMatchThreshold=0, MaxFaces=4096)
        row = {match["Face"]["FaceId"]: match["Similarity"] for match in answer["FaceMatches"]}
        for other, n in place.items():
            if other != face_id:
                scores[place[face_id], n] = row[other]

    with ThreadPoolExecutor(THREADS) as threads:
        list(tqdm(threads.map(search, place), total=len(place), desc="search", file=sys.stderr))
    return scores


def from_the_middle(face: dict[str, Any]) -> float:
    """How far a face is from its picture's middle, squared."""
    box = face["BoundingBox"]
    return float((box["Left"] + box["Width"] / 2 - 0.5) ** 2 + (box["Top"] + box["Height"] / 2 - 0.5) ** 2)


if __name__ == "__main__":
    sys.exit(main())
