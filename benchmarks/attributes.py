"""Attributes, landmarks and pose through an endpoint: DetectFaces with ALL on labelled faces.

The folder holds the sets face_verification_ytf (68 points), face_verification_lfw (gender), face_attributes (age and
gender) and face_emotion; labels of yes-or-no attributes on their pictures, made by eye, are in attribute_labels.json.
Of several faces in a picture the labelled one is that nearest to the 68 points, or else to the picture's middle.
"""

import argparse
import io
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.verification import large_enough
from inference.pose import head_pose

LABELS = Path(__file__).parent / "attribute_labels.json"
MEMBERS = {
    "smile": "Smile",
    "mouth_open": "MouthOpen",
    "eyes_open": "EyesOpen",
    "eyeglasses": "Eyeglasses",
    "mustache": "Mustache",
}
POINTS68 = {
    "mouthLeft": (48,), "mouthRight": (54,), "nose": (30,), "eyeLeft": tuple(range(36, 42)),
    "eyeRight": tuple(range(42, 48)), "leftEyeBrowLeft": (17,), "leftEyeBrowUp": (19,), "leftEyeBrowRight": (21,),
    "rightEyeBrowLeft": (22,), "rightEyeBrowUp": (24,), "rightEyeBrowRight": (26,), "leftEyeLeft": (36,),
    "leftEyeRight": (39,), "leftEyeUp": (37, 38), "leftEyeDown": (40, 41), "rightEyeLeft": (42,),
    "rightEyeRight": (45,), "rightEyeUp": (43, 44), "rightEyeDown": (46, 47), "noseLeft": (31,), "noseRight": (35,),
    "mouthUp": (51,), "mouthDown": (57,), "upperJawlineLeft": (0,), "midJawlineLeft": (4,), "chinBottom": (8,),
    "midJawlineRight": (12,), "upperJawlineRight": (16,),
}  # fmt: skip
"""Landmark -> the labelled points whose mean it is. The pupils are the eyes' points again."""
CONFIDENCES = ((50, 60), (60, 75), (75, 90), (90, 97), (97, 100.1))
OLDEST, YOUNGEST_WITH_GENDER = 80, 13
DEGRADED = 40
DEGRADATIONS: dict[str, Sequence[Callable[[Image.Image], Image.Image]]] = {
    "Sharpness": [lambda face, r=radius: face.filter(ImageFilter.GaussianBlur(r)) for radius in (0, 1, 2, 4)],  # type: ignore[misc]
    "Brightness": [lambda face, s=share: ImageEnhance.Brightness(face).enhance(s) for share in (1, 0.6, 0.3, 0.1)],  # type: ignore[misc]
}
EXAMPLE = "Example: python -m benchmarks.attributes ../shared/evaldata"
Found = dict[str, dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attributes", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    result = measure(endpoint.chosen(arguments).client(), arguments.folder)
    print(json.dumps(result, indent=1))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'attributes': result})}")
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """All figures; see the module's text."""
    sets = {
        name: {f"{name}/{item['file']}": item for item in _items(folder / name)}
        for name in ("face_verification_ytf", "face_verification_lfw", "face_attributes", "face_emotion")
    }
    labels = {name: set(text.split()) for name, text in json.loads(LABELS.read_text())["faces"].items()}
    targets = {name: item for items in sets.values() for name, item in items.items()}
    wanted = dict.fromkeys([*targets, *labels])
    found = {name: _detect(client, folder / name, targets.get(name, {})) for name in tqdm(wanted, file=sys.stderr)}
    seen = {name: face for name, face in found.items() if face is not None}
    lfw, aged = sets["face_verification_lfw"], sets["face_attributes"]
    grown = {name: item for name, item in aged.items() if item["age"] >= YOUNGEST_WITH_GENDER}
    return {
        "pictures": len(wanted),
        "pictures_without_face": len(wanted) - len(seen),
        "landmarks": _landmarks(sets["face_verification_ytf"], seen),
        "pose": _pose(sets["face_verification_ytf"], seen),
        "age": _age(aged, seen),
        "gender": {name: _gender(items, seen) for name, items in (("lfw", lfw), ("utk_13_and_older", grown))},
        "emotions": _emotions(sets["face_emotion"], seen),
        **{name: _yes_or_no(name, labels, seen) for name in MEMBERS},
        "quality": _quality(client, [folder / name for name in list(lfw)[:DEGRADED]]),
    }


def _items(folder: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((folder / "annotations.json").read_text())["items"]
    return items


def _detect(client: Any, path: Path, item: dict[str, Any]) -> dict[str, Any] | None:
    """The labelled face of a picture, with its landmarks in pixels as `points`."""
    data = path.read_bytes()
    size = np.array(Image.open(io.BytesIO(data)).size)
    labelled = np.mean(item["landmarks68"], axis=0) if "landmarks68" in item else size / 2
    faces = client.detect_faces(Image={"Bytes": large_enough(data)}, Attributes=["ALL"])["FaceDetails"]
    if not faces:
        return None
    face: dict[str, Any] = min(faces, key=lambda one: float(np.linalg.norm(_middle(one) * size - labelled)))
    return face | {"points": {p["Type"]: np.array([p["X"], p["Y"]]) * size for p in face["Landmarks"]}}


def _middle(face: dict[str, Any]) -> np.ndarray:
    box = face["BoundingBox"]
    return np.array([box["Left"] + box["Width"] / 2, box["Top"] + box["Height"] / 2])


def _landmarks(items: Found, seen: Found) -> dict[str, Any]:
    """Distances from the labelled points, in eye distances."""
    errors: dict[str, list[float]] = {kind: [] for kind in POINTS68}
    for name in items.keys() & seen.keys():
        labelled = np.array(items[name]["landmarks68"])
        eyes = np.linalg.norm(labelled[36:42].mean(axis=0) - labelled[42:48].mean(axis=0))
        for kind, points in POINTS68.items():
            gap = seen[name]["points"][kind] - labelled[list(points)].mean(axis=0)
            errors[kind].append(float(np.linalg.norm(gap) / eyes))
    faces = np.array(list(errors.values())).mean(axis=0)
    return {
        "faces": len(faces),
        "mean_error": _rounded(float(faces.mean())),
        "median_error": _rounded(float(np.median(faces))),
        "median_error_by_kind": {kind: _rounded(statistics.median(values)) for kind, values in errors.items()},
    }


def _pose(items: Found, seen: Found) -> dict[str, Any]:
    """Against the pose of a rigid face fitted to the labelled eyes, nose and mouth corners, degrees."""
    pairs = []
    for name in items.keys() & seen.keys():
        labelled = np.array(items[name]["landmarks68"], np.float64)
        eyes = [labelled[36:42].mean(axis=0), labelled[42:48].mean(axis=0)]
        fitted = head_pose(np.array([*eyes, labelled[30], labelled[48], labelled[54]]))
        given = seen[name]["Pose"]
        pairs.append([(fitted.roll, given["Roll"]), (fitted.yaw, given["Yaw"]), (fitted.pitch, given["Pitch"])])
    angles = np.array(pairs)
    return {
        angle: {
            "mean_error": _rounded(float(np.abs(angles[:, n, 1] - angles[:, n, 0]).mean())),
            "correlation": _rounded(float(np.corrcoef(angles[:, n, 0], angles[:, n, 1])[0, 1])),
        }
        for n, angle in enumerate(("roll", "yaw", "pitch"))
    }


def _age(items: Found, seen: Found) -> dict[str, Any]:
    judged = [(item["age"], seen[name]["AgeRange"]) for name, item in items.items() if name in seen]
    errors = [abs((given["Low"] + given["High"]) / 2 - age) for age, given in judged if age < OLDEST]
    return {
        "faces": len(judged),
        "covered": _rounded(statistics.mean(given["Low"] <= age <= given["High"] for age, given in judged)),
        "mean_width": _rounded(statistics.mean(given["High"] - given["Low"] for _, given in judged)),
        "mean_error_under_80": _rounded(statistics.mean(errors)),
    }


def _gender(items: Found, seen: Found) -> dict[str, Any]:
    pairs = [
        (item["gender"] == "Male", seen[name]["Gender"]["Value"] == "Male", seen[name]["Gender"]["Confidence"])
        for name, item in items.items()
        if name in seen and item["gender"]
    ]
    return _judged(pairs)


def _yes_or_no(attribute: str, labels: dict[str, set[str]], seen: Found) -> dict[str, Any]:
    pairs = []
    for name, words in labels.items():
        given = seen.get(name, {}).get(MEMBERS[attribute])
        if given is not None and words & {attribute, f"-{attribute}"}:
            pairs.append((attribute in words, given["Value"], given["Confidence"]))
    return _judged(pairs)


def _emotions(items: Found, seen: Found) -> dict[str, Any]:
    """The likeliest emotion against the label; and each alone, said when it is likelier than its share."""
    pairs = [(item["emotion"], seen[name]["Emotions"]) for name, item in items.items() if name in seen]
    first = [(truth, given[0]["Type"], given[0]["Confidence"]) for truth, given in pairs]
    kinds = sorted({one["Type"] for _, given in pairs for one in given})
    alone = {}
    for kind in kinds:
        share = 100 * sum(truth == kind for truth, _ in pairs) / len(pairs)
        said = [next(one["Confidence"] for one in given if one["Type"] == kind) > share for _, given in pairs]
        alone[kind] = {
            "faces": sum(truth == kind for truth, _ in pairs),
            "first": sum(truth == kind == guess for truth, guess, _ in first),
            "balanced_accuracy": _balanced([(truth == kind, yes) for (truth, _), yes in zip(pairs, said, strict=True)]),
        }
    bands = ((0, 40), (40, 60), (60, 80), (80, 100.1))
    return {
        "faces": len(pairs),
        "accuracy": _rounded(statistics.mean(truth == guess for truth, guess, _ in first)),
        "kinds": alone,
        "confidence": _reliability([(truth == guess, sure) for truth, guess, sure in first], bands),
    }


def _judged(pairs: Sequence[tuple[bool, bool, float]]) -> dict[str, Any]:
    """`pairs`: truth, answer, confidence."""
    return {
        "faces": len(pairs),
        "faces_with": sum(truth for truth, _, _ in pairs),
        "accuracy": _rounded(statistics.mean(truth == given for truth, given, _ in pairs)),
        "balanced_accuracy": _balanced([(truth, given) for truth, given, _ in pairs]),
        "said_yes": sum(given for _, given, _ in pairs),
        "said_yes_rightly": sum(truth and given for truth, given, _ in pairs),
        "confidence": _reliability([(truth == given, sure) for truth, given, sure in pairs], CONFIDENCES),
    }


def _balanced(pairs: Iterable[tuple[bool, bool]]) -> float:
    listed = list(pairs)
    halves = [[given == truth for truth, given in listed if truth == side] for side in (True, False)]
    return _rounded(statistics.mean(statistics.mean(half) for half in halves))


def _reliability(
    pairs: Sequence[tuple[bool, float]], bands: Sequence[tuple[float, float]]
) -> list[dict[str, float | int]]:
    inside = [(low, high, [right for right, sure in pairs if low <= sure < high]) for low, high in bands]
    return [{"from": low, "to": min(high, 100), "all": len(got), "right": sum(got)} for low, high, got in inside]


def _quality(client: Any, paths: Sequence[Path]) -> dict[str, float]:
    """The share of steps of a growing degradation at which the measure falls."""
    shares = {}
    for measure_name, steps in DEGRADATIONS.items():
        falls = []
        for path in paths:
            values = [_measured(client, step(Image.open(path).convert("RGB")), measure_name) for step in steps]
            both = [(a, b) for a, b in itertools.pairwise(values) if a is not None and b is not None]
            falls += [a > b for a, b in both]
        shares[measure_name] = _rounded(statistics.mean(falls))
    return shares


def _measured(client: Any, picture: Image.Image, name: str) -> float | None:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    faces = client.detect_faces(Image={"Bytes": encoded.getvalue()})["FaceDetails"]
    return float(faces[0]["Quality"][name]) if faces else None


def _rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    sys.exit(main())
