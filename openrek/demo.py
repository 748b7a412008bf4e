"""The main job through boto3 on photographs in the public domain: index, search, compare, detect."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.session import Session
from PIL import Image, ImageDraw, ImageFilter, ImageOps

PICTURES = Path(__file__).parent / "pictures"
COLLECTION = "openrek-demo"
GALLERY = {"eileen_collins.jpg": "eileen-collins", "grace_hopper.jpg": "grace-hopper"}


@dataclass(frozen=True)
class Row:
    """One line of the printed table."""

    operation: str
    asked: str
    answer: str


def run(endpoint: str, region: str, credentials_path: Path, output_dir: Path) -> int:
    """Runs the demo against a server, prints a table of its answers and writes annotated pictures to `output_dir`.

    Returns the exit code: 0 when every answer was as it should be, else 1.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    client = _client(endpoint, region, credentials_path)
    with _collection(client):
        rows = [*_index(client), *_search(client), *_compare(client, output_dir), *_detect(client, output_dir)]
    _print_table(rows)
    print(f"\nAnnotated pictures: {', '.join(str(path) for path in sorted(output_dir.glob('*.png')))}")
    wrong = [row for row in rows if row.answer.startswith("WRONG")]
    print(f"Demo done: {len(rows) - len(wrong)} of {len(rows)} answers as they should be.", flush=True)
    return 1 if wrong else 0


def _client(endpoint: str, region: str, credentials_path: Path) -> Any:
    session = Session()
    session.set_config_variable("credentials_file", str(credentials_path))
    session.set_config_variable("profile", "default")
    return boto3.Session(botocore_session=session, region_name=region).client("rekognition", endpoint_url=endpoint)


@contextmanager
def _collection(client: Any) -> Iterator[None]:
    if COLLECTION in client.list_collections()["CollectionIds"]:
        client.delete_collection(CollectionId=COLLECTION)
    client.create_collection(CollectionId=COLLECTION)
    try:
        yield
    finally:
        client.delete_collection(CollectionId=COLLECTION)


def _index(client: Any) -> Iterator[Row]:
    for file, name in GALLERY.items():
        answer = client.index_faces(
            CollectionId=COLLECTION, Image={"Bytes": (PICTURES / file).read_bytes()}, ExternalImageId=name
        )
        faces = answer["FaceRecords"]
        yield Row("IndexFaces", file, _judge(len(faces) == 1, f"{len(faces)} face stored as {name}"))
    stored = client.describe_collection(CollectionId=COLLECTION)["FaceCount"]
    yield Row("DescribeCollection", COLLECTION, _judge(stored == len(GALLERY), f"{stored} faces"))


def _search(client: Any) -> Iterator[Row]:
    """Searches with changed copies, since no second public-domain photograph of either person is at hand."""
    for file, name in GALLERY.items():
        for change, picture in _copies(Image.open(PICTURES / file).convert("RGB")):
            answer = client.search_faces_by_image(CollectionId=COLLECTION, Image={"Bytes": _jpeg(picture)})
            found = [(match["Face"]["ExternalImageId"], match["Similarity"]) for match in answer["FaceMatches"]]
            text = ", ".join(f"{who} {similarity:.2f}" for who, similarity in found) or "nobody"
            yield Row("SearchFacesByImage", f"{file}, {change}", _judge([who for who, _ in found] == [name], text))


def _compare(client: Any, output_dir: Path) -> Iterator[Row]:
    group = _group_picture()
    for file in GALLERY:
        answer = client.compare_faces(
            SourceImage={"Bytes": (PICTURES / file).read_bytes()}, TargetImage={"Bytes": _jpeg(group)}
        )
        matched, others = answer["FaceMatches"], answer["UnmatchedFaces"]
        text = f"matches {[round(match['Similarity'], 2) for match in matched]}, {len(others)} unmatched"
        yield Row("CompareFaces", f"{file} with a picture of both", _judge((len(matched), len(others)) == (1, 1), text))
        drawn = group.copy()
        for match in matched:
            _draw_face(drawn, match["Face"], f"{match['Similarity']:.1f}", "lime")
        for face in others:
            _draw_face(drawn, face, "no match", "red")
        drawn.save(output_dir / f"compare_{Path(file).stem}.png")


def _detect(client: Any, output_dir: Path) -> Iterator[Row]:
    pictures = {file: Image.open(PICTURES / file).convert("RGB") for file in GALLERY} | {"both": _group_picture()}
    for file, picture in pictures.items():
        faces = client.detect_faces(Image={"Bytes": _jpeg(picture)})["FaceDetails"]
        text = "; ".join(
            f"{face['Confidence']:.2f} %, yaw {face['Pose']['Yaw']:.0f}, pitch {face['Pose']['Pitch']:.0f}, "
            f"roll {face['Pose']['Roll']:.0f}, sharpness {face['Quality']['Sharpness']:.0f}"
            for face in faces
        )
        yield Row("DetectFaces", file, _judge(len(faces) == (2 if file == "both" else 1), text))
        drawn = picture.copy()
        for face in faces:
            _draw_face(drawn, face, f"{face['Confidence']:.1f}", "yellow")
        drawn.save(output_dir / f"detect_{Path(file).stem}.png")


def _copies(picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    yield "as it is", picture
    yield "mirrored, half size", ImageOps.mirror(picture.reduce(2))
    yield (
        "turned 20 degrees, blurred",
        picture.rotate(20, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.5)),
    )


def _group_picture() -> Image.Image:
    pictures = [ImageOps.contain(Image.open(PICTURES / file).convert("RGB"), (600, 480)) for file in GALLERY]
    group = Image.new("RGB", (sum(picture.width for picture in pictures), 480))
    left = 0
    for picture in pictures:
        group.paste(picture, (left, 0))
        left += picture.width
    return group


def _draw_face(picture: Image.Image, face: dict[str, Any], text: str, colour: str) -> None:
    draw, box = ImageDraw.Draw(picture), face["BoundingBox"]
    left, top = box["Left"] * picture.width, box["Top"] * picture.height
    right, bottom = left + box["Width"] * picture.width, top + box["Height"] * picture.height
    draw.rectangle((left, top, right, bottom), outline=colour, width=3)
    draw.text((left + 4, max(0.0, top - 22)), text, fill=colour, font_size=18, stroke_width=2, stroke_fill="black")
    for point in face["Landmarks"]:
        x, y = point["X"] * picture.width, point["Y"] * picture.height
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def _jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def _judge(right: bool, text: str) -> str:
    return text if right else f"WRONG: {text}"


def _print_table(rows: list[Row]) -> None:
    wide = [max(len(getattr(row, column)) for row in rows) for column in ("operation", "asked")]
    for row in rows:
        print(f"{row.operation:{wide[0]}}  {row.asked:{wide[1]}}  {row.answer}")
