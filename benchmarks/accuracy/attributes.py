"""Attributes, landmarks and pose through an endpoint: DetectFaces with ALL on labelled faces.

The folder holds the sets that attribute_labels.json names, among them face_verification_ytf (68 points),
face_verification_lfw (gender), face_attributes (age and gender) and face_emotion. Thresholds and confidences were
fitted to these faces: benchmarks.fits.attribute_fits tells how fits do on faces that they have not seen.
"""

import argparse
import io
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.accuracy.labelled_faces import GENDERED, LabelledFace, labelled
from benchmarks.accuracy.scores import balanced, reliability
from benchmarks.accuracy.verification import large_enough
from inference.pose import head_pose
from inference.types import Pose

MEMBERS = {
    "smile": "Smile",
    "mouth_open": "MouthOpen",
    "eyes_open": "EyesOpen",
    "eyeglasses": "Eyeglasses",
    "sunglasses": "Sunglasses",
    "beard": "Beard",
    "mustache": "Mustache",
    "face_occluded": "FaceOccluded",
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
OLDEST = 80
TURNS, TURNED = (0, 30, 90, 180, 270), 40
"""Degrees, clockwise, by which every so many of the 68-point faces are turned."""
DEGRADED = 40
DEGRADATIONS: dict[str, Sequence[Callable[[Image.Image], Image.Image]]] = {
    "Sharpness": [lambda face, r=radius: face.filter(ImageFilter.GaussianBlur(r)) for radius in (0, 1, 2, 4)],  # type: ignore[misc]
    "Brightness": [lambda face, s=share: ImageEnhance.Brightness(face).enhance(s) for share in (1, 0.6, 0.3, 0.1)],  # type: ignore[misc]
}
EXAMPLE = "Example: python -m benchmarks.accuracy.attributes ../shared/evaldata"
Pair = tuple[LabelledFace, dict[str, Any]]
"""A labelled face, and its FaceDetail."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.attributes", description=__doc__, epilog=EXAMPLE
    )
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
    pictures, found = labelled(folder), list[tuple[LabelledFace, dict[str, Any] | None]]()
    for path, faces in tqdm(pictures.items(), file=sys.stderr):
        found += zip(faces, detect(client, path.read_bytes(), faces), strict=True)
    seen = [(face, given) for face, given in found if given is not None]

    def of(name: str, **least: int) -> list[Pair]:
        return [pair for pair in seen if name in pair[0].item and all(pair[0].item[k] >= v for k, v in least.items())]

    lfw = [pair for pair in of("gender") if not {"age", "emotion"} & pair[0].item.keys()]
    stills = [path for path, faces in pictures.items() if "landmarks68" in faces[0].item]
    portraits = [path for path in pictures if path.parent.parent.name == "face_verification_lfw"]
    return {
        "faces": len(found),
        "faces_not_found": len(found) - len(seen),
        "landmarks": _landmarks(of("landmarks68")),
        "pose": _pose(of("landmarks68")),
        "turned": {str(turn): _turned(client, stills[:: len(stills) // TURNED], pictures, turn) for turn in TURNS},
        "age": _age(of("age")),
        "gender": {"lfw": _gender(lfw), "utk_13_and_older": _gender(of("age", age=GENDERED))},
        "emotions": _emotions(of("emotion")),
        **{name: _yes_or_no(name, seen) for name in MEMBERS},
        "quality": _quality(client, portraits[:DEGRADED]),
    }


def detect(client: Any, data: bytes, labels: Sequence[LabelledFace]) -> list[dict[str, Any] | None]:
    """The labelled faces of a picture, with their landmarks in pixels as `points`."""
    width, height = Image.open(io.BytesIO(data)).size
    size = np.array([width, height])
    faces = client.detect_faces(Image={"Bytes": large_enough(data)}, Attributes=["ALL"])["FaceDetails"]
    boxes = np.array([_pixels(face["BoundingBox"], width, height) for face in faces]).reshape(-1, 4)
    for face in faces:
        face["points"] = {point["Type"]: np.array([point["X"], point["Y"]]) * size for point in face["Landmarks"]}
    which = [label.among(boxes, width, height) for label in labels]
    return [None if n is None else faces[n] for n in which]


def _pixels(box: dict[str, float], width: int, height: int) -> list[float]:
    return [box["Left"] * width, box["Top"] * height, box["Width"] * width, box["Height"] * height]


def _turned(
    client: Any, stills: Sequence[Path], pictures: dict[Path, list[LabelledFace]], turn: int
) -> dict[str, float | int]:
    """Landmarks and roll of faces in pictures that were turned clockwise by `turn` degrees."""
    pairs: list[Pair] = []
    for path in stills:
        picture, label = Image.open(path).convert("RGB"), pictures[path][0]
        encoded = io.BytesIO()
        turned = picture.rotate(-turn, Image.Resampling.BICUBIC, expand=True)
        turned.save(encoded, "JPEG", quality=95)
        angle = np.radians(turn)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle, onto = np.array(picture.size) / 2, np.array(turned.size) / 2
        points = (np.array(label.item["landmarks68"]) - middle) @ matrix.T + onto
        moved = LabelledFace(item={"landmarks68": points.tolist()})
        (given,) = detect(client, encoded.getvalue(), [moved])
        if given is not None:
            pairs.append((moved, given))
    rolls = [(given["Pose"]["Roll"] - _fitted(label).roll + 180) % 360 - 180 for label, given in pairs]
    return {
        "faces": len(stills),
        "found": len(pairs),
        "median_landmark_error": _landmarks(pairs)["median_error"],
        "landmark_error_under_0.2": _rounded(float((_errors(pairs).mean(axis=0) < 0.2).mean())),
        "median_roll_error": _rounded(statistics.median(abs(roll) for roll in rolls)),
    }


def _errors(pairs: Sequence[Pair]) -> np.ndarray:
    """Distances of the kinds of POINTS68 from the labelled points, in eye distances: float [kinds, faces]."""
    errors = np.zeros((len(POINTS68), len(pairs)))
    for column, (face, given) in enumerate(pairs):
        points = np.array(face.item["landmarks68"])
        eyes = np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))
        for row, (kind, among) in enumerate(POINTS68.items()):
            errors[row, column] = np.linalg.norm(given["points"][kind] - points[list(among)].mean(axis=0)) / eyes
    return errors


def _landmarks(pairs: Sequence[Pair]) -> dict[str, Any]:
    errors = _errors(pairs)
    faces = errors.mean(axis=0)
    return {
        "faces": len(faces),
        "mean_error": _rounded(float(faces.mean())),
        "median_error": _rounded(float(np.median(faces))),
        "median_error_by_kind": dict(zip(POINTS68, np.round(np.median(errors, axis=1), 4).tolist(), strict=True)),
    }


def _fitted(face: LabelledFace) -> Pose:
    """The pose of a rigid face fitted to the labelled eyes, nose and mouth corners."""
    points = np.array(face.item["landmarks68"], np.float64)
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return head_pose(np.array([*eyes, points[30], points[48], points[54]]))


def _pose(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Against the fitted pose, degrees."""
    both = []
    for face, given in pairs:
        fitted, pose = _fitted(face), given["Pose"]
        both.append([(fitted.roll, pose["Roll"]), (fitted.yaw, pose["Yaw"]), (fitted.pitch, pose["Pitch"])])
    angles = np.array(both)
    return {
        angle: {
            "mean_error": _rounded(float(np.abs(angles[:, n, 1] - angles[:, n, 0]).mean())),
            "correlation": _rounded(float(np.corrcoef(angles[:, n, 0], angles[:, n, 1])[0, 1])),
        }
        for n, angle in enumerate(("roll", "yaw", "pitch"))
    }


def _age(pairs: Sequence[Pair]) -> dict[str, Any]:
    judged = [(face.item["age"], given["AgeRange"]) for face, given in pairs]
    errors = [abs((given["Low"] + given["High"]) / 2 - age) for age, given in judged if age < OLDEST]
    return {
        "faces": len(judged),
        "covered": _rounded(statistics.mean(given["Low"] <= age <= given["High"] for age, given in judged)),
        "mean_width": _rounded(statistics.mean(given["High"] - given["Low"] for _, given in judged)),
        "mean_error_under_80": _rounded(statistics.mean(errors)),
    }


def _gender(pairs: Sequence[Pair]) -> dict[str, Any]:
    return _judged(
        [
            (face.item["gender"] == "Male", given["Gender"]["Value"] == "Male", given["Gender"]["Confidence"])
            for face, given in pairs
            if face.item["gender"]
        ]
    )


def _yes_or_no(attribute: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    said = [
        (attribute in face.words, given[MEMBERS[attribute]])
        for face, given in pairs
        if MEMBERS[attribute] in given and face.words & {attribute, f"-{attribute}"}
    ]
    return _judged([(truth, answer["Value"], answer["Confidence"]) for truth, answer in said])


def _emotions(faces: Sequence[Pair]) -> dict[str, Any]:
    """The likeliest emotion against the label; and each alone, said when it is likelier than its share."""
    pairs = [(face.item["emotion"], given["Emotions"]) for face, given in faces]
    first = [(truth, given[0]["Type"], given[0]["Confidence"]) for truth, given in pairs]
    kinds = sorted({one["Type"] for _, given in pairs for one in given})
    alone = {}
    for kind in kinds:
        share = 100 * sum(truth == kind for truth, _ in pairs) / len(pairs)
        said = [next(one["Confidence"] for one in given if one["Type"] == kind) > share for _, given in pairs]
        alone[kind] = {
            "faces": sum(truth == kind for truth, _ in pairs),
            "first": sum(truth == kind == guess for truth, guess, _ in first),
            "balanced_accuracy": balanced([(truth == kind, yes) for (truth, _), yes in zip(pairs, said, strict=True)]),
        }
    bands = ((0, 40), (40, 60), (60, 80), (80, 100.1))
    return {
        "faces": len(pairs),
        "accuracy": _rounded(statistics.mean(truth == guess for truth, guess, _ in first)),
        "kinds": alone,
        "confidence": reliability([(truth == guess, sure) for truth, guess, sure in first], bands),
    }


def _judged(pairs: Sequence[tuple[bool, bool, float]]) -> dict[str, Any]:
    """`pairs`: truth, answer, confidence."""
    return {
        "faces": len(pairs),
        "faces_with": sum(truth for truth, _, _ in pairs),
        "accuracy": _rounded(statistics.mean(truth == given for truth, given, _ in pairs)),
        "balanced_accuracy": balanced([(truth, given) for truth, given, _ in pairs]),
        "said_yes": sum(given for _, given, _ in pairs),
        "said_yes_rightly": sum(truth and given for truth, given, _ in pairs),
        "confidence": reliability([(truth == given, sure) for truth, given, sure in pairs]),
    }


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
