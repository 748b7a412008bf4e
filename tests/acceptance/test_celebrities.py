"""Celebrities through boto3 and the command line: a gallery that the owner loads, on real photographs."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image, ImageFilter, ImageOps

from benchmarks.inputs import hostile_pictures
from storage.celebrities import GALLERY

REGION, ELSEWHERE, EMPTY = "eu-west-1", "eu-west-2", "eu-west-3"
URLS = ["www.example.org/collins", "www.wikidata.org/wiki/Q233804"]
REFUSALS = {"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}
FACE_MEMBERS = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality", "Emotions", "Smile"}

Celebrities = Callable[..., str]


@pytest.fixture
def celebrities(stack: Any) -> Iterator[Celebrities]:
    """Runs `openrek celebrities`, by default in the region of these tests, whose galleries go with the test."""

    def run(*arguments: str, region: str = REGION) -> str:
        printed: str = stack.openrek("celebrities", *arguments, "--region", region)
        return printed

    yield run
    for region in (REGION, ELSEWHERE):
        run("remove", "--all", region=region)


@pytest.fixture
def people(tmp_path: Path, collins: bytes, as_jpeg: Callable[..., bytes]) -> Path:
    """A folder with a table and two photographs of Collins."""
    folder = tmp_path / "people"
    (folder / "Eileen_Collins").mkdir(parents=True)
    (folder / "Eileen_Collins" / "a.jpg").write_bytes(collins)
    smaller = ImageOps.mirror(Image.open(io.BytesIO(collins)).resize((300, 300)))
    (folder / "Eileen_Collins" / "b.jpg").write_bytes(as_jpeg(smaller))
    row = f"3Ir0du6,Eileen Collins,female,https://{URLS[0]} {URLS[1]}"
    (folder / "celebrities.csv").write_text(f"id,name,gender,urls\n{row}\n")
    return folder


@pytest.fixture(scope="module")
def twice(collins: bytes, as_jpeg: Callable[..., bytes]) -> bytes:
    """One picture with Collins twice, in equal size."""
    face, canvas = Image.open(io.BytesIO(collins)), Image.new("RGB", (1024, 512))
    canvas.paste(face, (0, 0))
    canvas.paste(ImageOps.mirror(face), (512, 0))
    return as_jpeg(canvas)


def _import(stack: Any, *arguments: Path | str, action: str = "import", **more: str) -> "CompletedProcess[str]":
    command = [sys.executable, "-m", "openrek", "celebrities", action, *arguments]
    place = ["--home", stack.home, "--region", REGION]
    return subprocess.run([*command, *place], env=stack.environment | more, capture_output=True, text=True, timeout=60)


def _client(client: Any, stack: Any, region: str, **options: Any) -> Any:
    key = client._request_signer._credentials
    session = boto3.Session(key.access_key, key.secret_key)
    config = Config(retries={"total_max_attempts": 1}, **options)
    return session.client("rekognition", region, endpoint_url=stack.endpoint, config=config)


@pytest.fixture
def here(client: Any, stack: Any) -> Any:
    return _client(client, stack, REGION)


def _recognised(client: Any, data: bytes) -> tuple[list[str], int]:
    answer = client.recognize_celebrities(Image={"Bytes": data})
    return [face["Id"] for face in answer["CelebrityFaces"]], len(answer["UnrecognizedFaces"])


def test_a_fresh_endpoint_knows_nobody(client: Any, stack: Any, group: bytes, blank: bytes) -> None:
    fresh = _client(client, stack, EMPTY)
    answer = fresh.recognize_celebrities(Image={"Bytes": group})
    assert answer["CelebrityFaces"] == [] and len(answer["UnrecognizedFaces"]) == 2
    assert all(face.keys() == FACE_MEMBERS for face in answer["UnrecognizedFaces"])
    assert "OrientationCorrection" not in answer
    assert _recognised(fresh, blank) == ([], 0)
    with pytest.raises(fresh.exceptions.ResourceNotFoundException):
        fresh.get_celebrity_info(Id="3Ir0du6")
    assert "the gallery is empty" in stack.openrek("celebrities", "list", "--region", EMPTY)


def test_from_import_to_removal(
    here: Any, celebrities: Celebrities, people: Path, group: bytes, collins: bytes, as_jpeg: Callable[..., bytes]
) -> None:
    printed = celebrities("import", str(people))
    assert "added      Eileen Collins (3Ir0du6)" in printed and "1 added, 0 changed" in printed
    assert celebrities("list").split() == ["3Ir0du6", "Eileen", "Collins", "female", "2", "faces", *URLS]

    blurred = Image.open(io.BytesIO(collins)).resize((400, 400)).filter(ImageFilter.GaussianBlur(1))
    for picture in (group, as_jpeg(blurred)):
        answer = here.recognize_celebrities(Image={"Bytes": picture})
        (known,) = answer["CelebrityFaces"]
        assert (known["Id"], known["Name"], known["Urls"]) == ("3Ir0du6", "Eileen Collins", URLS)
        assert known["KnownGender"] == {"Type": "Female"} and 99 < known["MatchConfidence"] <= 100
        assert known["Face"].keys() == FACE_MEMBERS and len(known["Face"]["Landmarks"]) == 5
        assert len(answer["UnrecognizedFaces"]) == (1 if picture is group else 0)
    info = here.get_celebrity_info(Id="3Ir0du6")
    assert (info["Name"], info["Urls"], info["KnownGender"]) == ("Eileen Collins", URLS, {"Type": "Female"})

    assert "0 added, 0 changed, 1 unchanged" in celebrities("import", str(people))
    (people / "Eileen_Collins" / "b.jpg").unlink()
    assert "0 added, 1 changed" in celebrities("import", str(people))
    assert "female  1 face  www" in celebrities("list")
    assert "Eileen Collins (3Ir0du6) is removed" in celebrities("remove", "eileen collins")
    assert _recognised(here, group) == ([], 2)
    with pytest.raises(here.exceptions.ResourceNotFoundException, match="3Ir0du6"):
        here.get_celebrity_info(Id="3Ir0du6")


def test_an_exported_gallery_needs_no_photographs(
    client: Any, stack: Any, celebrities: Celebrities, people: Path, group: bytes, tmp_path: Path
) -> None:
    celebrities("import", str(people))
    folder = tmp_path / "export"
    celebrities("export", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["celebrities.csv", "vectors.npz"]
    assert folder.stat().st_mode & 0o077 == 0
    with (folder / "celebrities.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"id": "3Ir0du6", "name": "Eileen Collins", "gender": "female", "urls": " ".join(URLS)}
    assert "1 added" in celebrities("import", str(folder), region=ELSEWHERE)
    assert "1 unchanged" in celebrities("import", str(folder))
    answers = [
        _client(client, stack, region).recognize_celebrities(Image={"Bytes": group})["CelebrityFaces"]
        for region in (REGION, ELSEWHERE)
    ]
    assert answers[0] == answers[1] != []


def test_what_is_wrong_with_photographs_is_said_by_file(
    here: Any,
    celebrities: Celebrities,
    people: Path,
    collins: bytes,
    hopper: bytes,
    twice: bytes,
    blank: bytes,
    group: bytes,
) -> None:
    folder = people / "Eileen_Collins"
    Image.open(io.BytesIO(collins)).resize((60, 60)).save(folder / "tiny.png")
    files = {
        "blank.jpg": blank,
        "copy.jpg": collins,
        "huge.png": hostile_pictures.REFUSED["PNG 10001 wide"](),
        "notes.txt": b"not a picture",
        "stranger.jpg": hopper,
        "twice.jpg": twice,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    printed = celebrities("import", str(people))
    assert "1 added" in printed and "7 photographs not used" in printed
    notes = [line.removeprefix("  not used: ") for line in printed.splitlines() if line.startswith("  not used: ")]
    reasons = {Path(file).name: reason for file, _, reason in (note.partition(": ") for note in notes)}
    expected = {
        "blank.jpg": "no face",
        "copy.jpg": "same as a.jpg",
        "huge.png": "10000 pixels",
        "notes.txt": "neither a JPEG nor a PNG",
        "stranger.jpg": "unlike the other photographs",
        "tiny.png": "80",
        "twice.jpg": "2 faces",
    }
    assert reasons.keys() == expected.keys()
    assert [name for name, words in expected.items() if words not in reasons[name]] == [], reasons
    assert len(_recognised(here, group)[0]) == 1


def test_imports_that_fail_say_why(
    stack: Any, celebrities: Celebrities, people: Path, hopper: bytes, tmp_path: Path
) -> None:
    (people / "Eileen_Collins" / "b.jpg").write_bytes(hopper)
    done = _import(stack, people)
    assert done.returncode == 1 and done.stdout.count("unlike the other photographs") == 2
    assert "left out   Eileen Collins: no photograph can be used" in done.stdout

    done = _import(stack, people, OPENREK_INFERENCE_URL=f"unix://{tmp_path}/gone")
    assert done.returncode == 1 and "needs the running model server" in done.stderr

    (people / "celebrities.csv").write_text("name,gender\nAnn,robot\nBob,?\n")
    done = _import(stack, people)
    assert done.returncode == 1 and "line 2" in done.stderr and "line 3" in done.stderr
    assert "the gallery is empty" in celebrities("list")
    done = _import(stack, people, "--all", action="remove")
    assert done.returncode == 2, "one or everybody, not both"


def test_each_face_counts_on_its_own(
    here: Any, celebrities: Celebrities, people: Path, twice: bytes, crowd: bytes
) -> None:
    celebrities("import", str(people))
    assert _recognised(here, twice) == (["3Ir0du6", "3Ir0du6"], 0)

    answer = here.recognize_celebrities(Image={"Bytes": crowd})
    faces = [one["Face"] for one in answer["CelebrityFaces"]] + answer["UnrecognizedFaces"]
    areas = sorted(face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"] for face in faces)
    everybody = here.detect_faces(Image={"Bytes": crowd})["FaceDetails"]
    largest = sorted(face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"] for face in everybody)[-64:]
    assert len(faces) == 64 and areas == pytest.approx(largest)
    assert len(answer["CelebrityFaces"]) > 50


def test_the_gallery_is_no_collection(
    here: Any, client: Any, stack: Any, celebrities: Celebrities, people: Path
) -> None:
    celebrities("import", str(people))
    assert here.list_collections()["CollectionIds"] == []
    lax = _client(client, stack, REGION, parameter_validation=False)
    for method in ("describe_collection", "list_faces", "list_users", "delete_collection", "create_collection"):
        with pytest.raises(ClientError) as caught:
            getattr(lax, method)(CollectionId=GALLERY)
        assert caught.value.response["Error"]["Code"] == "ValidationException", method
    arn = f"arn:aws:rekognition:{REGION}:000000000000:collection/{GALLERY}"
    with pytest.raises(here.exceptions.InvalidParameterException):
        here.tag_resource(ResourceArn=arn, Tags={"a": "b"})
    assert "Eileen Collins" in celebrities("list")


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_hostile_pictures_are_refused(client: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.recognize_celebrities(Image={"Bytes": hostile_pictures.REFUSED[name]()})
    assert caught.value.response["Error"]["Code"] in REFUSALS
