"""RecognizeCelebrities with half of the people left out of the gallery: how many are named, and how many wrongly.

Every picture of the data folders is embedded by the model server of a running installation; the face nearest to its
middle is the person's. In each trial a random half of the people is a gallery, each person by all pictures but one,
which is the probe; of each person left out one picture is a probe too. FPIR is the share of probes of people left out
that are taken for somebody, TPIR the share of the others that are given their own name. The first of the trials is done
once more through `openrek celebrities import` and the endpoint, in a region of its own, which is left empty.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from api.operations.celebrities import LEAST_CONFIDENCE
from benchmarks import record
from benchmarks.accuracy import open_set
from benchmarks.accuracy.open_set import Faces, Split
from benchmarks.accuracy.verification import large_enough
from benchmarks.endpoint import Endpoint
from inference import similarity
from inference.client import InferenceClient
from inference.types import Face
from openrek import home
from openrek.photographs import DOMINANT_AREA, LEAST_AGREEMENT
from openrek.settings import Settings
from storage.users import mean

THREADS = 2
TRIALS = 100
SIZES = (20, 40, 80, 160)
REGION = "xx-benchmark-1"
EXAMPLE = "Example: python -m benchmarks.accuracy.celebrities ../shared/evaldata/face_verification_{lfw,ytf}"


@dataclass(frozen=True)
class Picture:
    """A picture of a data folder, whose it is, and its faces, largest first."""

    folder: Path
    file: Path
    person: str
    faces: tuple[Face, ...]

    @property
    def face(self) -> Face:
        """The person's: the face nearest to the picture's middle."""
        return min(self.faces, key=_from_the_middle)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.celebrities", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, nargs="+", help="folders with annotations.json (items with identity)")
    parser.add_argument("--home", type=Path, help="home folder of the running installation (default ~/.openrek)")
    parser.add_argument("--port", type=int, help="port of its endpoint (default 9555)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json and NAME.png")
    arguments = parser.parse_args()
    settings = Settings.from_environment(overrides={"home": arguments.home, "port": arguments.port})
    pictures = [picture for folder in arguments.folder for picture in _embedded(settings, folder)]
    result = measure(pictures) | {
        "sets": {
            folder.name: at_the_bar([one for one in pictures if one.folder == folder]) for folder in arguments.folder
        },
        "import_checks": import_checks(pictures),
        "endpoint": through_the_endpoint(settings, pictures),
    }
    print(json.dumps({**result, "galleries": [without_curve(row) for row in result["galleries"]]}, indent=1))
    if arguments.save:
        figure = record.RESULTS / f"{arguments.save}.png"
        draw(result["galleries"], figure)
        result["galleries"] = [without_curve(row) for row in result["galleries"]]
        print(f"saved {record.save(arguments.save, {'celebrities': result})} and {figure}")
    return 0


def measure(pictures: list[Picture]) -> dict[str, Any]:
    """Rates for galleries of several sizes and of half of the people, and what a confidence means."""
    faces = _own_faces(pictures)
    identification = similarity.of_pack(similarity.DEFAULT_PACK).identification
    every = [open_set.run(faces, TRIALS, size) for size in (*SIZES, None)]
    return {
        "pictures": len(pictures),
        "people": len(set(faces.people)),
        "trials": TRIALS,
        "galleries": [open_set.judge(trials, identification, LEAST_CONFIDENCE) for trials in every],
        "right_by_confidence": open_set.right_by_confidence(every, identification),
    }


def at_the_bar(pictures: list[Picture]) -> dict[str, Any]:
    """Rates of one data folder alone, for galleries of half of its people."""
    trials = open_set.run(_own_faces(pictures), TRIALS)
    identification = similarity.of_pack(similarity.DEFAULT_PACK).identification
    judged = open_set.judge(trials, identification, LEAST_CONFIDENCE)
    return {"people": trials.people, "rank_1": judged["rank_1"], **judged["at_the_bar"]}


def without_curve(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "curve"}


def import_checks(pictures: list[Picture]) -> dict[str, Any]:
    """How the two rules of the import do: whose face a picture with several shows, and which one is a stranger's."""
    several = [picture for picture in pictures if len(picture.faces) > 1]
    taken = [one for one in several if one.faces[0].box.area >= DOMINANT_AREA * one.faces[1].box.area]
    of: dict[str, list[Any]] = defaultdict(list)
    for picture in pictures:
        of[picture.person].append(picture.face.embedding)
    people = [theirs for _, theirs in sorted(of.items()) if len(theirs) > 2]
    own = [float(one[n] @ mean(one[:n] + one[n + 1 :])) for one in people for n in range(len(one))]
    others = [float(people[n - 1][0] @ mean(one[1:])) for n, one in enumerate(people)]
    return {
        "pictures_with_several_faces": len(several),
        "of_them_taken": len(taken),
        "of_those_not_the_middle_face": sum(picture.faces[0] is not picture.face for picture in taken),
        "photographs_beside_two_or_more": len(own),
        "of_them_left_out": sum(agreement < LEAST_AGREEMENT for agreement in own),
        "photographs_of_strangers": len(others),
        "of_those_left_out": sum(agreement < LEAST_AGREEMENT for agreement in others),
    }


def through_the_endpoint(settings: Settings, pictures: list[Picture]) -> dict[str, Any]:
    """One trial through the command line and boto3."""
    chosen = open_set.split([picture.person for picture in pictures], seed=0)
    client = Endpoint(settings.endpoint, REGION, home.credentials(settings.home)).client(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        _write_gallery(Path(folder), chosen, pictures)
        _openrek(settings, "remove", "--all")
        summary = _openrek(settings, "import", folder).strip().splitlines()[-1]
    try:
        known = _recognised(client, [(name, pictures[n]) for name, n in chosen.known.items()])
        unknown = _recognised(client, [(name, pictures[n]) for name, n in chosen.unknown.items()])
    finally:
        _openrek(settings, "remove", "--all")
    return {
        "import": summary,
        "known": len(chosen.known),
        "right": sum(name == answer for name, answer in known),
        "taken_for_others": sum(answer not in (None, name) for name, answer in known),
        "unknown": len(chosen.unknown),
        "taken_for_somebody": sum(answer is not None for _, answer in unknown),
    }


def draw(galleries: list[dict[str, Any]], path: Path) -> None:
    """TPIR over FPIR for each size of gallery, with the points at which the service answers."""
    figure, axes = plt.subplots(figsize=(7, 5))
    for row in galleries:
        rates = np.array(row["curve"])
        (line,) = axes.semilogx(rates[:, 0], rates[:, 1], label=f"{row['people']} people")
        bar = row["at_the_bar"]
        axes.plot(
            bar["false_positive_identification_rate"],
            bar["true_positive_identification_rate"],
            "o",
            color=line.get_color(),
        )
    axes.set(
        xlabel="FPIR: faces of people left out that are taken for somebody",
        ylabel="TPIR: faces of people in the gallery given their own name",
        xlim=(1e-3, 1),
        ylim=(0.85, 1.0),
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(title="gallery (dot: MatchConfidence 50)", loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _own_faces(pictures: list[Picture]) -> Faces:
    vectors = [picture.face.embedding for picture in pictures]
    return Faces(np.stack([vector for vector in vectors if vector is not None]), [one.person for one in pictures])


def _embedded(settings: Settings, folder: Path) -> list[Picture]:
    items = json.loads((folder / "annotations.json").read_text())["items"]
    with closing(InferenceClient(settings.inference_url)) as client, ThreadPoolExecutor(THREADS) as threads:

        def embed(item: dict[str, Any]) -> Picture:
            data = large_enough((folder / item["file"]).read_bytes())
            return Picture(folder, folder / item["file"], item["identity"], client.faces(data, embed="all").faces)

        found = list(tqdm(threads.map(embed, items), total=len(items), desc=folder.name, file=sys.stderr))
    return [picture for picture in found if picture.faces]


def _write_gallery(folder: Path, chosen: Split, pictures: list[Picture]) -> None:
    for person, places in chosen.gallery.items():
        (folder / person).mkdir()
        for n in places:
            data = large_enough(pictures[n].file.read_bytes())
            (folder / person / f"{n}-{pictures[n].file.name}").write_bytes(data)


def _openrek(settings: Settings, *arguments: str) -> str:
    command = [sys.executable, "-m", "openrek", "celebrities", *arguments]
    done = subprocess.run([*command, "--home", str(settings.home), "--region", REGION], capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(done.stderr)
    return done.stdout


def _recognised(client: Any, probes: list[tuple[str, Picture]]) -> list[tuple[str, str | None]]:
    """Who each probe was said to be, None for nobody; people in the background do not count."""

    def recognise(probe: tuple[str, Picture]) -> tuple[str, str | None]:
        name, picture = probe
        answer = client.recognize_celebrities(Image={"Bytes": large_enough(picture.file.read_bytes())})
        faces = {place: None for place in map(_place, answer["UnrecognizedFaces"])}
        named = {_place(one["Face"]): one["Name"] for one in answer["CelebrityFaces"]}
        where = (picture.face.box.left, picture.face.box.top)
        return name, (faces | named)[
            min(faces | named, key=lambda place: abs(place[0] - where[0]) + abs(place[1] - where[1]))
        ]

    with ThreadPoolExecutor(THREADS) as threads:
        return list(tqdm(threads.map(recognise, probes), total=len(probes), desc="recognise", file=sys.stderr))


def _place(face: dict[str, Any]) -> tuple[float, float]:
    return face["BoundingBox"]["Left"], face["BoundingBox"]["Top"]


def _from_the_middle(face: Face) -> float:
    return (face.box.left + face.box.width / 2 - 0.5) ** 2 + (face.box.top + face.box.height / 2 - 0.5) ** 2


if __name__ == "__main__":
    sys.exit(main())
