"""How right an endpoint's answers on labelled faces are."""

from collections import Counter
from typing import Any
from uuid import uuid4

import numpy as np
from botocore.exceptions import ClientError

from benchmarks.accuracy import asking, attributes, detection, protective_equipment
from benchmarks.accuracy.asking import Refused
from benchmarks.accuracy.intervals import Counts, Figure, Pairs, accepted_at, roc_area, share_of_pairs, shares
from benchmarks.accuracy.labelled_faces import GENDERED, LabelledFace
from benchmarks.accuracy.labelled_sets import YES_OR_NO, LabelledSet
from benchmarks.accuracy.verification import from_the_middle, index_people, large_enough

DEFAULT_THRESHOLD = 80.0
FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FEWEST_FALSE_ACCEPTS = 10
"""A rate is stated when so many pairs of two people make it up."""
OVERLAPS = (0.5, detection.LEAST_OVERLAP)
MOST_FACES = 4096
NO_FACE = "InvalidParameterException"


def verification(client: Any, data: LabelledSet) -> list[Figure]:
    """CompareFaces at threshold 0 on the labelled pairs. Of several faces in the second picture the one nearest to its
    middle counts; where no face is found in either picture the similarity is 0."""
    pairs: list[dict[str, Any]] = list(data.more.get("pairs", ()))
    if not pairs:
        return []

    def compare(pair: dict[str, Any]) -> float | None:
        source, target = ({"Bytes": large_enough(data.picture(pair[side]))} for side in ("a", "b"))
        try:
            answer = client.compare_faces(
                SourceImage=source, TargetImage=target, SimilarityThreshold=0, QualityFilter="NONE"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == NO_FACE:
                return None
            raise
        faces = [(match["Face"], match["Similarity"]) for match in answer["FaceMatches"]]
        faces += [(face, 0.0) for face in answer.get("UnmatchedFaces", ())]
        return float(min(faces, key=lambda one: from_the_middle(one[0]))[1]) if faces else None

    found = asking.each(f"{data.name}: pairs", pairs, compare, lambda pair: f"{pair['a']} and {pair['b']}")
    numbers = _people(data)
    one, other = (np.array([numbers[pair[side]] for pair in pairs]) for side in ("a", "b"))
    judged = Pairs(max(numbers.values()) + 1, np.array([score or 0.0 for score in found]), one, other)
    compared: list[Counts] = [{"faces_found": [(score is not None, 1)]} for score in found]
    return shares([str(number) for number in one], compared) + _verification(judged)


def _verification(pairs: Pairs) -> list[Figure]:
    genuine, impostor = pairs.only(pairs.same), pairs.only(~pairs.same)
    figures = []
    if len(genuine.one):
        figures.append(_accepted("true_accepts_at_80", genuine, DEFAULT_THRESHOLD))
    if len(impostor.one):
        figures.append(_accepted("false_accepts_at_80", impostor, DEFAULT_THRESHOLD, lower=True))
    if len(genuine.one) and len(impostor.one):
        right = (pairs.likeness >= _best_threshold(pairs)) == pairs.same
        figures.append(_of_pairs("roc_area", pairs, pairs.likeness, roc_area(pairs)))
        figures.append(_of_pairs("best_accuracy", pairs, right, share_of_pairs(pairs, right)))
        figures += _at_rates(genuine, impostor)
    return figures


def identification(client: Any, data: LabelledSet) -> list[Figure]:
    """IndexFaces, then SearchFacesByImage at threshold 0 with every picture among all others. A picture without a face
    is never found. The thresholds of false-accept rates are those that the share of ALL pairs of two people passes."""
    collection = f"accuracy-{uuid4()}"
    try:
        client.create_collection(CollectionId=collection)
    except ClientError as error:
        raise Refused(f"{error.response['Error']['Code']} (CreateCollection)") from error
    try:
        scores = _searched(client, collection, data)
    finally:
        client.delete_collection(CollectionId=collection)
    numbers = list(_people(data).values())
    times = Counter(numbers)
    first = [int(np.argmax(row)) if row.any() else -1 for row in scores]
    counts: list[Counts] = [
        {"rank_1": [(best >= 0 and numbers[best] == person, 1)]} if times[person] > 1 else {}
        for best, person in zip(first, numbers, strict=True)
    ]
    one, other = np.triu_indices(len(numbers), 1)
    people = np.array(numbers)
    pairs = Pairs(len(times), scores[one, other], people[one], people[other])
    genuine, impostor = _labelled(data, scores, pairs), pairs.only(~pairs.same)
    return shares([item["identity"] for item in data.items], counts) + _at_rates(genuine, impostor)


def _searched(client: Any, collection: str, data: LabelledSet) -> np.ndarray:
    """Similarities between the pictures of a set, float [N, N], 0 on the diagonal and where no face was found."""
    try:
        face_ids = index_people(client, collection, data.folder, data.items)
    except ClientError as error:
        raise Refused(f"{error.response['Error']['Code']} (IndexFaces)") from error
    place = {item["file"]: n for n, item in enumerate(data.items)}
    of_face = {face_id: place[file] for file, face_id in face_ids.items()}

    def search(item: dict[str, Any], picture: bytes) -> np.ndarray:
        row = np.zeros(len(place))
        if item["file"] in face_ids:
            answer = client.search_faces_by_image(
                CollectionId=collection,
                Image={"Bytes": picture},
                FaceMatchThreshold=0,
                MaxFaces=MOST_FACES,
                QualityFilter="NONE",
            )
            for match in answer["FaceMatches"]:
                # people in the background are indexed too
                if match["Face"]["FaceId"] in of_face:
                    row[of_face[match["Face"]["FaceId"]]] = match["Similarity"]
            row[place[item["file"]]] = 0.0
        return row

    return np.array(asking.about_items(data, "search", search))


def _labelled(data: LabelledSet, scores: np.ndarray, pairs: Pairs) -> Pairs:
    """The labelled pairs of one person, or all when none are labelled."""
    labelled = [pair for pair in data.more.get("pairs", ()) if pair["same"]]
    if not labelled:
        return pairs.only(pairs.same)
    place, numbers = {item["file"]: n for n, item in enumerate(data.items)}, _people(data)
    people = np.array([numbers[pair["a"]] for pair in labelled])
    likeness = np.array([scores[place[pair["a"]], place[pair["b"]]] for pair in labelled])
    return Pairs(pairs.people, likeness, people, people)


def detected(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectFaces: recall and precision as benchmarks.accuracy.detection has them, at two overlaps of boxes."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        details = client.detect_faces(Image={"Bytes": picture})["FaceDetails"]
        small = [detection.is_small(face) for face in item["faces"]]
        counts: dict[str, list[tuple[float, float]]] = {}
        for overlap in OVERLAPS:
            hits = detection.matched(item, details, overlap)
            large = [hit is not None for hit, is_small in zip(hits, small, strict=True) if not is_small]
            tiny = [hit is not None for hit, is_small in zip(hits, small, strict=True) if is_small]
            counts[f"recall_at_{overlap}"] = [(sum(large), len(large))]
            counts[f"recall_small_at_{overlap}"] = [(sum(tiny), len(tiny))]
            if item["exhaustive"]:
                counts[f"precision_at_{overlap}"] = [(sum(n in hits for n in range(len(details))), len(details))]
        return counts

    return _by_picture(data, asking.about_items(data, "faces", judge))


def described(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectFaces with ALL: what is said of the face in the middle of each picture."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        (given,) = attributes.detect(client, picture, [LabelledFace(item=item)])
        return {"faces_found": [(given is not None, 1)], **(_attributes(item, given) if given else {})}

    units = [item.get("identity", item["file"]) for item in data.items]
    return shares(units, asking.about_items(data, "attributes", judge), errors=("age_error_under_80",))


def _attributes(item: dict[str, Any], given: dict[str, Any]) -> Counts:
    counts: dict[str, list[tuple[float, float]]] = {}
    age = item.get("age")
    if age is not None:
        low, high = given["AgeRange"]["Low"], given["AgeRange"]["High"]
        counts["age_in_range"] = [(low <= age <= high, 1)]
        if age < attributes.OLDEST:
            counts["age_error_under_80"] = [(abs((low + high) / 2 - age), 1)]
    if item.get("gender") and (age is None or age >= GENDERED):
        counts["gender"] = [(given["Gender"]["Value"] == item["gender"], 1)]
    if "emotion" in item:
        surest = max(given["Emotions"], key=lambda one: one["Confidence"], default={"Type": None})
        counts["emotion"] = [(surest["Type"] == item["emotion"], 1)]
    for name in YES_OR_NO:
        if name in item and attributes.MEMBERS[name] in given:
            right = given[attributes.MEMBERS[name]]["Value"] == item[name]
            counts[name] = [(right, 1)]
            counts[f"{name}_balanced"] = _sides(item[name], right)
    return counts


def covered(client: Any, data: LabelledSet) -> list[Figure]:
    """DetectProtectiveEquipment: which pictures with an answered face show a cover of it."""

    def judge(item: dict[str, Any], picture: bytes) -> Counts:
        pairs = protective_equipment.masks(item, client.detect_protective_equipment(Image={"Bytes": picture}))
        counts: dict[str, list[tuple[float, float]]] = {"faces_found": [(len(pairs), 1)]}
        for truth, sure in pairs:
            counts["face_cover_balanced"] = _sides(truth, truth == (sure > 0))
            counts["covers_found" if truth else "bare_left_alone"] = [(truth == (sure > 0), 1)]
        return counts

    return _by_picture(data, asking.about_items(data, "covers", judge))


def _by_picture(data: LabelledSet, counts: list[Counts]) -> list[Figure]:
    return shares([item["file"] for item in data.items], counts)


def _sides(truth: bool, right: bool) -> list[tuple[float, float]]:
    """Of a balanced accuracy: the shares of either truth that is answered right."""
    return [(right and truth, truth), (right and not truth, not truth)]


def _people(data: LabelledSet) -> dict[str, int]:
    """The person of each picture, by number."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(item["identity"] for item in data.items))}
    return {item["file"]: numbers[item["identity"]] for item in data.items}


def _best_threshold(pairs: Pairs) -> float:
    bars = np.unique(pairs.likeness)
    right = [int(((pairs.likeness >= bar) == pairs.same).sum()) for bar in bars]
    return float(bars[int(np.argmax(right))])


def _accepted(measure: str, pairs: Pairs, threshold: float, lower: bool = False) -> Figure:
    accepted = pairs.likeness >= threshold
    return _of_pairs(measure, pairs, accepted, share_of_pairs(pairs, accepted), lower)


def _at_rates(genuine: Pairs, impostor: Pairs) -> list[Figure]:
    """What is accepted of `genuine` at the false-accept rates that the set is large enough for."""
    if not len(genuine.one):
        return []
    return [
        _of_pairs(f"true_accepts_at_far_{rate:g}", genuine, genuine.likeness, accepted_at(genuine, impostor, rate))
        for rate in FALSE_ACCEPT_RATES
        if rate * len(impostor.one) >= FEWEST_FALSE_ACCEPTS
    ]


def _of_pairs(measure: str, pairs: Pairs, seen: np.ndarray, statistic: Any, lower: bool = False) -> Figure:
    trials = min(len(pairs.one), len(np.union1d(pairs.one, pairs.other)))
    return Figure(measure, len(pairs.one), pairs.people, seen, statistic, trials, lower)
