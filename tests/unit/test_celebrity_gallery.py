"""Celebrities without services: what an owner writes down, which photographs count, what a confidence means."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy import open_set
from inference import similarity
from inference.types import Box, Face, FacesResult, Pose, Quality
from openrek import celebrity_entries, gallery_vectors, photographs
from openrek.celebrity_entries import Entry
from openrek.errors import UnusableGallery
from storage import celebrities
from storage.celebrities import GalleryFace
from storage.faces import Box4

VERSION = "7.1"


def unit(seed: int, near: np.ndarray | None = None) -> np.ndarray:
    """A random direction, float32[64], or one about 0.7 from `near`."""
    vector = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    vector /= np.linalg.norm(vector)
    if near is not None:
        vector += near
    unit_vector: np.ndarray = vector / np.linalg.norm(vector)
    return unit_vector


def face(embedding: np.ndarray) -> GalleryFace:
    return GalleryFace(uuid4(), Box4(0.1, 0.2, 0.3, 0.4), 99.5, embedding)


def table(folder: Path, text: str) -> Path:
    path = folder / celebrity_entries.TABLE
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_of_folders(tmp_path: Path) -> None:
    for name in ("Grace_Hopper", "Eileen Collins", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.jpg").write_bytes(b"")
        (tmp_path / name / "a.jpg").write_bytes(b"")
        (tmp_path / name / ".DS_Store").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("no folder")
    collins, hopper = celebrity_entries.read(tmp_path)
    assert hopper == Entry(
        None, "Grace Hopper", "unlisted", (), tuple(tmp_path / "Grace_Hopper" / f"{n}.jpg" for n in "ab")
    )
    assert collins.name == "Eileen Collins"
    for name in ("Grace Hopper", "_", "Gr\tace"):
        (tmp_path / name).mkdir()
    with pytest.raises(UnusableGallery, match="3 problems") as caught:
        celebrity_entries.read(tmp_path)
    assert all(part in str(caught.value) for part in ("folder '_'", "Gr", "the name Grace Hopper is there 2 times"))


def test_a_table(tmp_path: Path) -> None:
    (tmp_path / "Grace Hopper").mkdir()
    (tmp_path / "Grace Hopper" / "a.png").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"")
    text = (
        "\ufeffname,gender,id,urls,photographs\n"
        "Grace Hopper,Female,3Ab9xQ2,https://www.wikidata.org/wiki/Q11641 www.example.org/g,\n"
        '"Collins, Eileen",,,,b.jpg; Grace Hopper\n'
        "Nobody,NONBINARY,N1,,\n"
    )
    for source in (table(tmp_path, text), tmp_path):
        hopper, collins, nobody = celebrity_entries.read(source)
        urls = ("www.wikidata.org/wiki/Q11641", "www.example.org/g")
        photograph = tmp_path / "Grace Hopper" / "a.png"
        assert hopper == Entry("3Ab9xQ2", "Grace Hopper", "female", urls, (photograph,))
        assert collins == Entry(None, "Collins, Eileen", "unlisted", (), (tmp_path / "b.jpg", photograph))
        assert nobody == Entry("N1", "Nobody", "nonbinary", (), None)


def test_all_that_is_wrong_with_a_table_is_said_at_once(tmp_path: Path) -> None:
    rows = [
        ",,,,",
        "Ann,robot,,,",
        "Ann,,not an id,,",
        "Ann,,,,absent.jpg",
        "Ann,,A,,",
        "Bob,,A,,",
        "Cyd,,,,",
        "cyd ,,,,",
        "Dan,,",
        "Eve,,,,,,",
    ]
    with pytest.raises(UnusableGallery) as caught:
        celebrity_entries.read(table(tmp_path, "name,gender,id,urls,photographs\n" + "\n".join(rows)))
    message = str(caught.value)
    for part in (
        "8 problems",
        "line 2",
        "'robot'",
        "'not an id'",
        "'absent.jpg'",
        "the id A is there 2 times",
        "cyd is",
    ):
        assert part in message, part
    for text, part in {"": "must be name", "id,gender\n": "must be name", "name,Id\nA,B\n": "no columns Id"}.items():
        with pytest.raises(UnusableGallery, match=part):
            celebrity_entries.read(table(tmp_path, text))
    with pytest.raises(UnusableGallery, match="nobody"):
        celebrity_entries.read(table(tmp_path, "name\n"))
    with pytest.raises(UnusableGallery, match="cannot read"):
        celebrity_entries.read(tmp_path / "absent.csv")


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: f"name,photographs\n{text}".encode()))
@settings(max_examples=300)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        entries = celebrity_entries.read(path)
    except UnusableGallery:
        return
    assert all(entry.name.strip() == entry.name != "" for entry in entries)


def test_an_id_follows_from_the_name() -> None:
    ids = celebrities.derived_ids("Grace  hopper")
    first, second = next(ids), next(ids)
    assert first == next(celebrities.derived_ids("GRACE HOPPER")) != second
    assert all(len(one) == 7 and one.isascii() and one.isalnum() for one in (first, second))
    names = [f"Person {n}" for n in range(2000)]
    assert len({next(celebrities.derived_ids(name)) for name in names}) == len(names)


def test_exported_faces_come_back(tmp_path: Path) -> None:
    faces = {"A1": [face(unit(1)), face(unit(2))], "b": [face(unit(3))], "none": []}
    gallery_vectors.write(tmp_path / "vectors.npz", VERSION, faces)
    read = gallery_vectors.read(tmp_path / "vectors.npz", VERSION)
    assert {name: [one.image_id for one in theirs] for name, theirs in read.items()} == {
        name: [one.image_id for one in theirs] for name, theirs in faces.items() if theirs
    }
    for name, theirs in read.items():
        for one, before in zip(theirs, faces[name], strict=True):
            assert np.array_equal(one.embedding, before.embedding) and one.confidence == before.confidence
            assert one.box.iou(before.box) > 0.999
    gallery_vectors.write(tmp_path / "empty.npz", VERSION, {})
    assert gallery_vectors.read(tmp_path / "empty.npz", VERSION) == {}
    with pytest.raises(UnusableGallery, match=r"face model 7\.1, not 8\.0"):
        gallery_vectors.read(tmp_path / "vectors.npz", "8.0")


def test_damaged_faces_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    gallery_vectors.write(path, VERSION, {"A1": [face(unit(1)), face(unit(2))]})
    sound = dict(np.load(path))
    embeddings = sound["embeddings"]
    damages = {
        "embeddings": [embeddings * 2, embeddings[:1], embeddings.astype("f8"), embeddings[0], np.array(1.0, "f4")],
        "image_ids": [sound["image_ids"][:, :8], np.array([object()] * 2)],
        "boxes": [sound["boxes"] * np.nan, sound["boxes"][:, :3]],
        "celebrity_ids": [np.array([1, 2]), sound["celebrity_ids"][:1]],
        "confidences": [np.array(["x", "y"])],
    }
    for name, values in damages.items():
        for value in values:
            np.savez(path, **(sound | {name: value}))
            with pytest.raises(UnusableGallery):
                gallery_vectors.read(path, VERSION)
    for data in (b"", b"no zip", path.read_bytes()[:-30]):
        path.write_bytes(data)
        with pytest.raises(UnusableGallery):
            gallery_vectors.read(path, VERSION)


def test_a_photograph_of_somebody_else_is_left_out() -> None:
    person, stranger = unit(0), unit(99)
    own = [face(unit(n, near=person)) for n in (1, 2, 3)]
    assert photographs.agreeing([own[0], face(stranger), *own[1:]]) == ([0, 2, 3], [1])
    assert photographs.agreeing([face(stranger), *own, face(unit(98))])[0] == [1, 2, 3]
    assert photographs.agreeing(own) == ([0, 1, 2], [])
    assert photographs.agreeing([own[0], face(stranger)]) == ([], [0, 1])
    assert photographs.agreeing([face(stranger)]) == ([0], [])
    assert photographs.agreeing([]) == ([], [])


def test_whose_face_a_photograph_is_for() -> None:
    def detected(side: float, rejected: tuple[str, ...] = ()) -> Face:
        embedding = None if rejected else unit(1)
        return Face(
            Box(0, 0, side, side), 99.0, (), Pose(0, 0, 0), Quality(50, 50), rejected=rejected, embedding=embedding
        )

    def only(*faces: Face) -> GalleryFace:
        return photographs._only_face(uuid4(), FacesResult(100, 100, faces))

    assert only(detected(0.5)).box.width == 0.5
    assert only(detected(0.5), detected(0.35)).box.width == 0.5
    unusable: list[tuple[list[Face], str]] = [
        ([], "no face"),
        ([detected(0.5), detected(0.36)], "2 faces"),
        ([detected(0.5, ("low_sharpness", "low_brightness"))], "low sharpness, low brightness"),
    ]
    for faces, reason in unusable:
        with pytest.raises(ValueError, match=reason):
            only(*faces)


@given(st.floats(-1, 1), st.floats(-1, 1), st.integers(1, 10**6), st.integers(1, 10**6))
def test_confidence_rises_with_the_cosine_and_falls_with_the_people(
    one: float, other: float, few: int, many: int
) -> None:
    identification = similarity.of_pack("base").identification
    low, high = sorted((one, other))
    few, many = sorted((few, many))
    assert 0 <= identification.confidence(low, few) <= identification.confidence(high, few) <= 100
    assert identification.confidence(one, many) <= identification.confidence(one, few)


@given(st.floats(1, 99), st.integers(0, 10**6))
def test_the_cosine_of_a_confidence(confidence: float, people: int) -> None:
    identification = similarity.of_pack("base").identification
    cosine = identification.cosine_at(confidence, people)
    assert identification.confidence(cosine, people) == pytest.approx(confidence, abs=1e-6)


def test_the_open_set_trials_know_right_from_wrong() -> None:
    people = [f"person {n // 3}" for n in range(60)]
    own = np.stack([unit(n // 3) for n in range(60)])
    trials = open_set.run(open_set.Faces(own, people), 5)
    identification = similarity.of_pack("base").identification
    bar = open_set.judge(trials, identification, 50.0)["at_the_bar"]
    assert trials.people == 10 and trials.right.all()
    assert bar["true_positive_identification_rate"] == 1.0 and bar["known_taken_for_others"] == 0.0
    bands = open_set.right_by_confidence([trials], identification)
    assert bands[-1]["right"] == 1.0 and sum(band["faces"] for band in bands) == 100
    others = np.stack([unit(n) for n in range(60)])
    assert open_set.run(open_set.Faces(others, people), 5).right.mean() < 0.5
    chosen = open_set.split(people, seed=1)
    assert not chosen.gallery.keys() & chosen.unknown.keys() and chosen.gallery.keys() == chosen.known.keys()
    assert all(chosen.known[name] not in places for name, places in chosen.gallery.items())
