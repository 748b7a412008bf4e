"""Faces: index, search, compare, detect."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageOps

from openrek.demo.rows import PICTURES, Row, draw_face, jpeg, judge

COLLECTION = "openrek-demo"
GALLERY = {"eileen_collins.jpg": "eileen-collins", "grace_hopper.jpg": "grace-hopper"}


def rows(client: Any, output_dir: Path) -> list[Row]:
    """Runs the face operations and writes annotated pictures."""
    with _collection(client):
        return [*_index(client), *_search(client), *_compare(client, output_dir), *_detect(client, output_dir)]


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
        yield Row("IndexFaces", file, judge(len(faces) == 1, f"{len(faces)} face stored as {name}"))
    stored = client.describe_collection(CollectionId=COLLECTION)["FaceCount"]
    yield Row("DescribeCollection", COLLECTION, judge(stored == len(GALLERY), f"{stored} faces"))


def _search(client: Any) -> Iterator[Row]:
    """Searches with changed copies, since no second public-domain photograph of either person is at hand."""
    for file, name in GALLERY.items():
        for change, picture in _copies(Image.open(PICTURES / file).convert("RGB")):
            answer = client.search_faces_by_image(CollectionId=COLLECTION, Image={"Bytes": jpeg(picture)})
            found = [(match["Face"]["ExternalImageId"], match["Similarity"]) for match in answer["FaceMatches"]]
            text = ", ".join(f"{who} {similarity:.2f}" for who, similarity in found) or "nobody"
            yield Row("SearchFacesByImage", f"{file}, {change}", judge([who for who, _ in found] == [name], text))


def _compare(client: Any, output_dir: Path) -> Iterator[Row]:
    group = group_picture()
    for file in GALLERY:
        answer = client.compare_faces(
            SourceImage={"Bytes": (PICTURES / file).read_bytes()}, TargetImage={"Bytes": jpeg(group)}
        )
        matched, others = answer["FaceMatches"], answer["UnmatchedFaces"]
        text = f"matches {[round(match['Similarity'], 2) for match in matched]}, {len(others)} unmatched"
        yield Row("CompareFaces", f"{file} with a picture of both", judge((len(matched), len(others)) == (1, 1), text))
        drawn = group.copy()
        for match in matched:
            draw_face(drawn, match["Face"], f"{match['Similarity']:.1f}", "lime")
        for face in others:
            draw_face(drawn, face, "no match", "red")
        drawn.save(output_dir / f"compare_{Path(file).stem}.png")


def _detect(client: Any, output_dir: Path) -> Iterator[Row]:
    pictures = {file: Image.open(PICTURES / file).convert("RGB") for file in GALLERY} | {"both": group_picture()}
    for file, picture in pictures.items():
        faces = client.detect_faces(Image={"Bytes": jpeg(picture)})["FaceDetails"]
        text = "; ".join(
            f"{face['Confidence']:.2f} %, yaw {face['Pose']['Yaw']:.0f}, pitch {face['Pose']['Pitch']:.0f}, "
            f"roll {face['Pose']['Roll']:.0f}, sharpness {face['Quality']['Sharpness']:.0f}"
            for face in faces
        )
        yield Row("DetectFaces", file, judge(len(faces) == (2 if file == "both" else 1), text))
        drawn = picture.copy()
        for face in faces:
            draw_face(drawn, face, f"{face['Confidence']:.1f}", "yellow")
        drawn.save(output_dir / f"detect_{Path(file).stem}.png")


def _copies(picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    yield "as it is", picture
    yield "mirrored, half size", ImageOps.mirror(picture.reduce(2))
    yield (
        "turned 20 degrees, blurred",
        picture.rotate(20, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.5)),
    )


def group_picture() -> Image.Image:
    pictures = [ImageOps.contain(Image.open(PICTURES / file).convert("RGB"), (600, 480)) for file in GALLERY]
    group = Image.new("RGB", (sum(picture.width for picture in pictures), 480))
    left = 0
    for picture in pictures:
        group.paste(picture, (left, 0))
        left += picture.width
    return group
