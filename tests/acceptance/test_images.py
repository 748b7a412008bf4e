"""Where pictures may come from and what they may be, through boto3."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from PIL import Image


def _boxes(client: Any, data: bytes) -> list[dict[str, float]]:
    return [face["BoundingBox"] for face in client.detect_faces(Image={"Bytes": data})["FaceDetails"]]


def _encoded(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def test_the_default_members_of_a_face(client: Any, collins: bytes) -> None:
    (face,) = client.detect_faces(Image={"Bytes": collins})["FaceDetails"]
    assert set(face) == {"BoundingBox", "Landmarks", "Pose", "Quality", "Confidence"}
    kinds = [point["Type"] for point in face["Landmarks"]]
    assert kinds == ["eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose"]
    at = {point["Type"]: (point["X"], point["Y"]) for point in face["Landmarks"]}
    assert at["eyeLeft"][0] < at["nose"][0] < at["eyeRight"][0] and at["eyeLeft"][1] < at["mouthLeft"][1]
    box = face["BoundingBox"]
    assert all(box["Left"] < x < box["Left"] + box["Width"] for x, _ in at.values())
    assert all(-45 < face["Pose"][angle] < 45 for angle in ("Roll", "Yaw", "Pitch"))
    assert face["Quality"]["Sharpness"] > 80 and 20 < face["Quality"]["Brightness"] < 80


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG")])
def test_the_face_is_found_in_every_pixel_form(client: Any, collins: bytes, mode: str, kind: str) -> None:
    (expected,) = _boxes(client, collins)
    (found,) = _boxes(client, _encoded(Image.open(io.BytesIO(collins)).convert(mode), kind))
    assert all(found[name] == pytest.approx(expected[name], abs=0.02) for name in expected)


def test_a_turned_photograph_is_seen_upright(client: Any, collins: bytes, as_jpeg: Callable[..., bytes]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned to the left; to be shown turned to the right
    turned = as_jpeg(Image.open(io.BytesIO(collins)).rotate(90, expand=True), exif=exif)
    (expected,), (found,) = _boxes(client, collins), _boxes(client, turned)
    assert all(found[name] == pytest.approx(expected[name], abs=0.02) for name in expected)


def test_a_picture_that_is_none_too_small_or_given_twice(client: Any, collins: bytes) -> None:
    with pytest.raises(client.exceptions.InvalidImageFormatException):
        client.detect_faces(Image={"Bytes": b"GIF89a" + b"\0" * 100})
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.detect_faces(Image={"Bytes": _encoded(Image.open(io.BytesIO(collins)).resize((79, 79)), "PNG")})
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.detect_faces(Image={"Bytes": collins, "S3Object": {"Bucket": "bucket", "Name": "name"}})
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.detect_faces(Image={})


def test_objects_of_a_registered_folder(
    stack: Any, client: Any, collection: str, collins: bytes, tmp_path: Path
) -> None:
    bucket, folder = f"photos-{uuid4()}", tmp_path / "photos"
    (folder / "staff").mkdir(parents=True)
    (folder / "staff" / "collins.jpg").write_bytes(collins)
    (tmp_path / "secret.jpg").write_bytes(collins)
    (folder / "way-out.jpg").symlink_to(tmp_path / "secret.jpg")
    stack.openrek("buckets", "add", bucket, str(folder), "--region", stack.region)
    image = {"S3Object": {"Bucket": bucket, "Name": "staff/collins.jpg"}}
    assert len(client.detect_faces(Image=image)["FaceDetails"]) == 1
    from_folder = client.index_faces(CollectionId=collection, Image=image)["FaceRecords"][0]["Face"]
    inline = client.index_faces(CollectionId=collection, Image={"Bytes": collins})["FaceRecords"][0]["Face"]
    assert from_folder["FaceId"] == inline["FaceId"]
    for name in ("../secret.jpg", "way-out.jpg", "staff", "absent.jpg", str(tmp_path / "secret.jpg")):
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            client.detect_faces(Image={"S3Object": {"Bucket": bucket, "Name": name}})
    with pytest.raises(client.exceptions.InvalidS3ObjectException):
        client.detect_faces(Image={"S3Object": {"Bucket": "no-such-bucket", "Name": "x.jpg"}})


def test_an_object_over_15_mb_is_too_large(stack: Any, client: Any, tmp_path: Path) -> None:
    bucket = f"large-{uuid4()}"
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8" + b"\0" * (15 * 1024 * 1024))
    stack.openrek("buckets", "add", bucket, str(tmp_path), "--region", stack.region)
    with pytest.raises(client.exceptions.ImageTooLargeException):
        client.detect_faces(Image={"S3Object": {"Bucket": bucket, "Name": "large.jpg"}})


def test_objects_of_an_s3_endpoint_in_every_version(
    client: Any, s3_server: str, collins: bytes, group: bytes, blank: bytes
) -> None:
    bucket = f"versions-{uuid4()}"
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=s3_server)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    pictures = {1: collins, 2: group, 0: blank}
    versions = {
        n: s3.put_object(Bucket=bucket, Key="a b/ü.jpg", Body=data)["VersionId"] for n, data in pictures.items()
    }

    def faces(**version: str) -> int:
        return len(
            client.detect_faces(Image={"S3Object": {"Bucket": bucket, "Name": "a b/ü.jpg"} | version})["FaceDetails"]
        )

    assert faces() == 0, "the newest version has no face"
    for count, version in versions.items():
        assert faces(Version=version) == count
    for missing in ({"Version": "no-such-version"}, {"Name": "absent.jpg"}):
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            faces(**missing)
