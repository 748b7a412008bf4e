"""Identification through an endpoint: whether a person is found better by a user vector than by single faces.

Leave one out: every picture of a data folder (at most 500 people) is a probe once. Its face is taken from its person's
user, which the other pictures make up then, and users and faces are searched for at threshold 0. A person's score for
the probe is the similarity of its user (users), the highest of its faces (best face), or that of one of its faces (one
face). Rank 1 is the share of probes whose own person scores highest; TAR the share whose own person's score passes a
threshold that a given share (FAR) of all scores of other people passes.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.accuracy.verification import THREADS, index_people

FALSE_ACCEPT_RATES = (1e-2, 1e-3, 1e-4)
EXAMPLE = "Example: python -m benchmarks.accuracy.users ../shared/evaldata/face_verification_ytf"
Scores = Mapping[str, float]


@dataclass
class Trials:
    """The outcome of each probe: whether its own person scored highest, its score, and those of the others."""

    first: list[bool] = field(default_factory=list)
    genuine: list[float] = field(default_factory=list)
    impostor: list[float] = field(default_factory=list)

    def add(self, person: str, scores: Scores) -> None:
        """Enter a probe of `person`; `scores` come highest first, equal ones as the search ranks them."""
        self.first.append(next(iter(scores)) == person)
        self.genuine.append(scores[person])
        self.impostor += [score for other, score in scores.items() if other != person]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.users", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with annotations.json (items with file and identity)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    result = measure(endpoint.chosen(arguments).client(THREADS), arguments.folder)
    print(f"{arguments.folder.name}: {result['probes']} probes of {result['people']} people, {result['missed']} missed")
    for name, row in result["galleries"].items():
        points = ", ".join(f"{point['tar']:.4f} at FAR {point['far']:.0e}" for point in row["operating_points"])
        print(f"  {name}: rank 1 {row['rank_1']:.4f}; TAR {points} of {row['impostor_scores']} scores")
    print(
        f"  found at rank 1 by users only: {result['by_users_only']}, by the best face only: {result['by_faces_only']}"
    )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'users': {arguments.folder.name: result}})}")
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """The figures of one data folder; see the module's text."""
    items = json.loads((folder / "annotations.json").read_text())["items"]
    collection = f"users-{uuid4()}"
    client.create_collection(CollectionId=collection)
    try:
        face_ids = index_people(client, collection, folder, items)
        person_of = {face_ids[item["file"]]: item["identity"] for item in items if item["file"] in face_ids}
        trials = _trials(client, collection, person_of)
    finally:
        client.delete_collection(CollectionId=collection)
    by_users, by_faces = np.array(trials["users"].first), np.array(trials["best face"].first)
    return {
        "probes": len(by_users),
        "people": len(set(person_of.values())),
        "missed": len(items) - len(face_ids),
        "galleries": {name: judge(trial) for name, trial in trials.items()},
        "by_users_only": int((by_users & ~by_faces).sum()),
        "by_faces_only": int((by_faces & ~by_users).sum()),
    }


def judge(trials: Trials) -> dict[str, Any]:
    """Rank-1 rate and operating points."""
    impostor = np.sort(trials.impostor)[::-1]
    points = []
    for far in FALSE_ACCEPT_RATES:
        bar = float(impostor[max(1, round(far * len(impostor))) - 1])
        points.append({"far": far, "similarity": bar, "tar": float((np.array(trials.genuine) > bar).mean())})
    return {
        "rank_1": float(np.mean(trials.first)),
        "impostor_scores": len(impostor),
        "operating_points": points,
    }


def _trials(client: Any, collection: str, person_of: Mapping[str, str]) -> dict[str, Trials]:
    faces_of: dict[str, list[str]] = defaultdict(list)
    for face_id, person in person_of.items():
        faces_of[person].append(face_id)
    user_of = {person: f"user-{n}" for n, person in enumerate(faces_of)}
    people = {user_id: person for person, user_id in user_of.items()}
    for person, face_ids in faces_of.items():
        client.create_user(CollectionId=collection, UserId=user_of[person])
        _associate(client, collection, user_of[person], face_ids)
    trials = {"users": Trials(), "best face": Trials(), "one face": Trials()}
    probes = [face_id for face_id, person in person_of.items() if len(faces_of[person]) > 1]
    for probe in tqdm(probes, desc="search", file=sys.stderr):
        person = person_of[probe]
        client.disassociate_faces(CollectionId=collection, UserId=user_of[person], FaceIds=[probe])
        users = client.search_users(CollectionId=collection, FaceId=probe, UserMatchThreshold=0, MaxUsers=500)
        faces = client.search_faces(CollectionId=collection, FaceId=probe, FaceMatchThreshold=0, MaxFaces=4096)
        _associate(client, collection, user_of[person], [probe])
        trials["users"].add(
            person, {people[match["User"]["UserId"]]: match["Similarity"] for match in users["UserMatches"]}
        )
        found = {match["Face"]["FaceId"]: match["Similarity"] for match in faces["FaceMatches"]}
        # without the people in the background of the pictures
        by_face = {face_id: score for face_id, score in found.items() if face_id in person_of}
        # matches come best first, so the first of each person is its best
        best: dict[str, float] = {}
        for face_id, score in by_face.items():
            best.setdefault(person_of[face_id], score)
        trials["best face"].add(person, best)
        chosen = {next(one for one in mine if one != probe) for mine in faces_of.values() if mine != [probe]}
        one = {person_of[face_id]: score for face_id, score in by_face.items() if face_id in chosen}
        trials["one face"].add(person, one)
    return trials


def _associate(client: Any, collection: str, user_id: str, face_ids: list[str]) -> None:
    answer = client.associate_faces(CollectionId=collection, UserId=user_id, FaceIds=face_ids, UserMatchThreshold=0)
    assert len(answer["AssociatedFaces"]) == len(face_ids), answer["UnsuccessfulFaceAssociations"]


if __name__ == "__main__":
    sys.exit(main())
