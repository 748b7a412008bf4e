"""What is true of all jobs on stored videos, through boto3: their life, their pages, their errors, odd films."""

from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import Any
from uuid import uuid4

import boto3
import clips
import pytest
from clips import Clip
from films import Films, times
from scenes import FILM, film, portrait, scenes, sign

from inference.video.limits import MOST_BYTES

JOBS = {
    "CelebrityRecognition": "Celebrities",
    "ContentModeration": "ModerationLabels",
    "FaceDetection": "Faces",
    "FaceSearch": "Persons",
    "LabelDetection": "Labels",
    "PersonTracking": "Persons",
    "SegmentDetection": "Segments",
    "TextDetection": "TextDetections",
}
"""Each with the list of its results."""
ROLE = "arn:aws:iam::000000000000:role/films"


def _required(job: str, collection: str = "absent") -> dict[str, Any]:
    """What a Start needs beside its Video."""
    return {"FaceSearch": {"CollectionId": collection}, "SegmentDetection": {"SegmentTypes": ["SHOT"]}}.get(job, {})


@pytest.fixture(scope="module")
def labels(films: Films, programme: str) -> str:
    """A finished job."""
    tagged = {"JobTag": "front/door:1", "MinConfidence": 20}
    return films.side_by_side({"labels": ("LabelDetection", programme, tagged)})["labels"]


@pytest.mark.parametrize("job", JOBS)
def test_while_it_runs_there_are_no_results(films: Films, collection: str, worker_held: Any, job: str) -> None:
    films.add("nothing.mp4", b"nothing")
    with worker_held():
        job_id = films.start(job, "nothing.mp4", **_required(job, collection), JobTag="waiting")
        assert len(job_id) == 64 and set(job_id) <= set("0123456789abcdef")
        answer = films.call(f"Get{job}", JobId=job_id)
    assert answer["JobStatus"] == "IN_PROGRESS" and answer[JOBS[job]] == []
    assert (answer["JobId"], answer["JobTag"]) == (job_id, "waiting")
    assert answer["Video"] == films.video("nothing.mp4")
    assert not answer.keys() & {"StatusMessage", "VideoMetadata", "AudioMetadata", "NextToken"}
    assert films.ended(job, job_id)["JobStatus"] == "FAILED"


def test_a_job_is_known_to_its_own_operation_and_region_only(
    films: Films, labels: str, client: Any, client_in: Any
) -> None:
    for job in JOBS:
        if job != "LabelDetection":
            with pytest.raises(client.exceptions.ResourceNotFoundException, match="Could not find JobId"):
                films.call(f"Get{job}", JobId=labels)
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Could not find JobId"):
        films.call("GetLabelDetection", JobId=uuid4().hex * 2)
    elsewhere = client_in("us-west-2")
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException, match="Could not find JobId"):
        elsewhere.get_label_detection(JobId=labels)


def test_what_every_answer_says(films: Films, labels: str, programme: str) -> None:
    pages = films.pages("LabelDetection", labels, MaxResults=40)
    assert len(pages) > 1
    for page in pages:
        assert (page["JobStatus"], page["JobTag"], page["JobId"]) == ("SUCCEEDED", "front/door:1", labels)
        assert page["Video"] == films.video(programme) and "StatusMessage" not in page
        assert page["VideoMetadata"] == {
            "Codec": "h264",
            "Format": "QuickTime / MOV",
            "FrameRate": 10.0,
            "DurationMillis": 3000,
            "FrameWidth": 320,
            "FrameHeight": 240,
            "ColorRange": "LIMITED",
        }
    untagged = films.of("FaceDetection", programme)
    assert "JobTag" not in untagged


@pytest.mark.parametrize("ways", [{}, {"SortBy": "NAME"}, {"AggregateBy": "SEGMENTS"}])
@pytest.mark.parametrize("most", [1, 7])
def test_pages_together_are_one_page(films: Films, labels: str, ways: dict[str, str], most: int) -> None:
    whole = films.call("GetLabelDetection", JobId=labels, **ways)
    assert "NextToken" not in whole and len(whole["Labels"]) > 10
    pages = films.pages("LabelDetection", labels, MaxResults=most, **ways)
    assert list(chain.from_iterable(page["Labels"] for page in pages)) == whole["Labels"]
    assert {len(page["Labels"]) for page in pages[:-1]} == {most} and 0 < len(pages[-1]["Labels"]) <= most


def test_more_than_a_thousand_results_a_page_are_a_thousand(films: Films, collins: bytes) -> None:
    films.add("brief.mp4", film([portrait(collins)] * 8))
    first = films.of("LabelDetection", "brief.mp4", MinConfidence=0)
    assert len(first["Labels"]) == 1000 and "NextToken" in first
    assert len(films.call("GetLabelDetection", JobId=first["JobId"], MaxResults=2**31 - 1)["Labels"]) == 1000
    everything = films.pages("LabelDetection", first["JobId"])
    assert everything[0]["Labels"] == first["Labels"] and len(everything) > 1


def test_a_token_belongs_to_one_way_of_reading_one_job(films: Films, client: Any, labels: str, programme: str) -> None:
    token = films.call("GetLabelDetection", JobId=labels, MaxResults=1)["NextToken"]
    second = films.call("GetLabelDetection", JobId=labels, NextToken=token)
    defaults = {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
    assert films.call("GetLabelDetection", JobId=labels, NextToken=token, **defaults) == second
    other = films.of("LabelDetection", programme, MinConfidence=20)["JobId"]
    for job_id, ways in ((labels, {"SortBy": "NAME"}), (labels, {"AggregateBy": "SEGMENTS"}), (other, {})):
        with pytest.raises(client.exceptions.InvalidPaginationTokenException):
            films.call("GetLabelDetection", JobId=job_id, NextToken=token, **ways)
    moderation = films.of("ContentModeration", programme, MinConfidence=0)["JobId"]
    with pytest.raises(client.exceptions.InvalidPaginationTokenException):
        films.call("GetContentModeration", JobId=moderation, NextToken=token)


@pytest.mark.parametrize("job", JOBS)
def test_a_repeated_request_starts_no_second_job(films: Films, client: Any, collection: str, job: str) -> None:
    films.add("nothing.mp4", b"nothing")
    required = _required(job, collection)
    token = f"token-{uuid4()}"
    first = films.start(job, "nothing.mp4", ClientRequestToken=token, **required)
    assert films.start(job, "nothing.mp4", ClientRequestToken=token, **required) == first
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException, match=token):
        films.start(job, "nothing.mp4", ClientRequestToken=token, JobTag="other", **required)
    others = [
        films.start(job, "nothing.mp4", **required),
        films.start(job, "nothing.mp4", ClientRequestToken=f"token-{uuid4()}", **required),
    ]
    assert len({first, *others}) == 3
    for job_id in (first, *others):
        films.ended(job, job_id)


def test_tokens_of_two_operations_do_not_meet(films: Films) -> None:
    films.add("nothing.mp4", b"nothing")
    token = {"ClientRequestToken": f"token-{uuid4()}"}
    assert films.start("FaceDetection", "nothing.mp4", **token) != films.start("TextDetection", "nothing.mp4", **token)


@pytest.mark.parametrize("job", JOBS)
def test_videos_that_are_refused_at_once(films: Films, client: Any, collection: str, job: str) -> None:
    required = _required(job, collection)
    for place in (films.video("absent.mp4"), {"S3Object": {"Bucket": "absent", "Name": "x"}}, {"S3Object": {}}):
        with pytest.raises(client.exceptions.InvalidS3ObjectException):
            films.call(f"Start{job}", Video=place, **required)
    with pytest.raises(client.exceptions.InvalidParameterException):
        films.call(f"Start{job}", Video={}, **required)
    with (films.folder / "large.mp4").open("wb") as large:
        large.truncate(MOST_BYTES + 1)
    message = f"Video size in bytes: {MOST_BYTES + 1} is more than the maximum limit of: {MOST_BYTES} bytes."
    with pytest.raises(client.exceptions.VideoTooLargeException, match=message):
        films.start(job, "large.mp4", **required)
    if job == "FaceSearch":
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="absent"):
            films.start(job, "large.mp4", CollectionId="absent")


def test_odd_requests_are_kept_as_they_are_or_refused(films: Films, client: Any) -> None:
    films.add("nothing.mp4", b"nothing")
    odd = {"GeneralLabels": {"LabelInclusionFilters": ["", "'_'", "()"], "LabelExclusionFilters": ["No such label"]}}
    films.ended("LabelDetection", films.start("LabelDetection", "nothing.mp4", Settings=odd))
    for box in ({"Left": 1e308, "Top": 0.0, "Width": 1e308, "Height": 1.0}, {"Left": 0.0, "Top": 0.0}):
        with pytest.raises(client.exceptions.InvalidParameterException):
            films.start("TextDetection", "nothing.mp4", Filters={"RegionsOfInterest": [{"BoundingBox": box}]})
    topic = {"SNSTopicArn": "arn:aws:sns:eu-central-1:000000000000:a\0b", "RoleArn": ROLE}
    with pytest.raises(client.exceptions.InvalidParameterException):
        films.start("FaceDetection", "nothing.mp4", NotificationChannel=topic)


def test_so_many_jobs_at_a_time(films: Films, collection: str, one_more_api: Any, worker_held: Any) -> None:
    films.add("nothing.mp4", b"nothing")
    with one_more_api(OPENREK_JOB_LIMIT="2") as client, worker_held():
        limited = replace(films, client=client)
        started = {job: limited.start(job, "nothing.mp4") for job in ("FaceDetection", "TextDetection")}
        for job in JOBS:
            with pytest.raises(client.exceptions.LimitExceededException):
                limited.start(job, "nothing.mp4", **_required(job, collection))
    for job, job_id in started.items():
        films.ended(job, job_id)
    films.ended("LabelDetection", films.start("LabelDetection", "nothing.mp4"))


BROKEN = {
    "not a video": lambda: b"This is a text, not a video.\n" * 100,
    "empty": lambda: b"",
    "without a video stream": clips.sound_only,
    "truncated, with its index at the end": lambda: clips.made(Clip())[:-2000],
    "truncated, with its index first": lambda: clips.made(Clip(container_options={"movflags": "faststart"}))[:-2000],
    "of another codec": lambda: clips.made(Clip(codec="mpeg4")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_job_on_what_is_no_whole_video_fails_and_says_why(films: Films, name: str) -> None:
    films.add("broken.mp4", BROKEN[name]())
    answer = films.ended("LabelDetection", films.start("LabelDetection", "broken.mp4", JobTag="x"))
    assert (answer["JobStatus"], answer["Labels"], answer["JobTag"]) == ("FAILED", [], "x")
    expected = {
        "without a video stream": "no video stream",
        "truncated, with its index first": "truncated",
        "of another codec": "mpeg4",
    }.get(name, "damaged or incomplete")
    assert expected in answer["StatusMessage"]


def test_frames_of_a_variable_rate_are_told_by_their_own_times(films: Films, collins: bytes, hopper: bytes) -> None:
    """Which frame is shown at each fifth of a second: 0, 40, 40, 560, 560, 560, 560, 1310 ... 1310, 2000 ..."""
    shown = [0, 40, 500, 560, 1300, 1310, 2000, 2900]
    clip = replace(FILM, times=shown, time_base=Fraction(1, 1000), key_every=1)
    faces = scenes((portrait(collins), 4), (sign("Nobody"), 1), (portrait(hopper), 1), (sign("Nobody"), 1))
    films.add("variable.mp4", film([*faces, portrait(collins)], clip))
    answer = films.of("FaceDetection", "variable.mp4")
    assert times(answer["Faces"])[:4] == [0, 40, 560, 1310]
    assert set(times(answer["Faces"])[4:]) <= {2900}


def test_a_film_that_was_taken_with_the_phone_turned(films: Films, collins: bytes) -> None:
    upright = portrait(collins, left=80).transpose(1, 0, 2)[:, ::-1]
    films.add("turned.mp4", film([upright] * 2, replace(FILM, width=240, height=320, turned=90)))
    answer = films.of("FaceDetection", "turned.mp4")
    metadata = answer["VideoMetadata"]
    assert (metadata["FrameWidth"], metadata["FrameHeight"]) == (320, 240)
    box = answer["Faces"][0]["Face"]["BoundingBox"]
    assert 0.35 < box["Left"] + box["Width"] / 2 < 0.75 and box["Top"] + box["Height"] / 2 < 0.6
    assert abs(answer["Faces"][0]["Face"]["Pose"]["Roll"]) < 20


def test_frames_smaller_than_pictures_may_be(films: Films, collins: bytes) -> None:
    films.add("small.mp4", film([portrait(collins)[::4, ::4].copy()] * 2, replace(FILM, width=80, height=60)))
    jobs = ("FaceDetection", "LabelDetection", "ContentModeration", "TextDetection")
    films.side_by_side({job: (job, "small.mp4", {}) for job in jobs})


def test_a_film_behind_an_s3_endpoint_in_an_older_version(films: Films, s3_server: str, collins: bytes) -> None:
    bucket = f"films-{uuid4()}"
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=s3_server)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [
        s3.put_object(Bucket=bucket, Key="a b/ü.mp4", Body=film([picture] * 2))["VersionId"]
        for picture in (portrait(collins), sign("Nobody"))
    ]
    behind_s3 = replace(films, bucket=bucket)
    assert behind_s3.of("FaceDetection", "a b/ü.mp4")["Faces"] == []
    place = {"Bucket": bucket, "Name": "a b/ü.mp4", "Version": versions[0]}
    job_id = films.call("StartFaceDetection", Video={"S3Object": place})["JobId"]
    answer = films.ended("FaceDetection", job_id)
    assert answer["Video"] == {"S3Object": place}
    assert len(answer["Faces"]) == len(set(times(answer["Faces"]))) > 0
    s3.delete_object(Bucket=bucket, Key="a b/ü.mp4")
    with pytest.raises(films.client.exceptions.InvalidS3ObjectException):
        behind_s3.start("FaceDetection", "a b/ü.mp4")
