"""DetectModerationLabels through boto3."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from api import validation
from benchmarks.inputs import hostile_pictures
from inference.taxonomy.moderation import TREE

REVIEW = {"HumanLoopName": "review-1", "FlowDefinitionArn": "arn:aws:sagemaker:eu-central-1:000000000000:flow/x"}


def test_portraits_are_clean(client: Any, collins: bytes, hopper: bytes, group: bytes) -> None:
    for data in (collins, hopper, group):
        answer = client.detect_moderation_labels(Image={"Bytes": data})
        assert answer["ModerationLabels"] == [] and answer["ContentTypes"] == []
        assert answer["ModerationModelVersion"] == "7.0"


def test_labels_come_with_their_parents_surest_and_deepest_first(client: Any, collins: bytes) -> None:
    found = client.detect_moderation_labels(Image={"Bytes": collins}, MinConfidence=0)["ModerationLabels"]
    order = [(-label["Confidence"], -label["TaxonomyLevel"]) for label in found]
    assert order == sorted(order)
    confidences = {label["Name"]: label["Confidence"] for label in found}
    assert len(confidences) == len(found)
    for label in found:
        assert TREE.level(label["Name"]) == label["TaxonomyLevel"]
        assert (label["ParentName"] == "") == (label["TaxonomyLevel"] == 1)
        if label["ParentName"]:
            assert confidences[label["ParentName"]] >= label["Confidence"]


def test_the_least_confidence_cuts(client: Any, collins: bytes) -> None:
    everything = client.detect_moderation_labels(Image={"Bytes": collins}, MinConfidence=0)["ModerationLabels"]
    bar = everything[len(everything) // 2]["Confidence"]
    some = client.detect_moderation_labels(Image={"Bytes": collins}, MinConfidence=bar)["ModerationLabels"]
    assert some == [label for label in everything if label["Confidence"] >= bar]


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_what_is_no_decent_picture_is_refused(client: Any, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.detect_moderation_labels(Image={"Bytes": hostile_pictures.REFUSED[name]()})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("name", hostile_pictures.ACCEPTED)
def test_what_is_only_odd_is_answered(client: Any, name: str) -> None:
    answer = client.detect_moderation_labels(Image={"Bytes": hostile_pictures.ACCEPTED[name]()}, MinConfidence=0)
    answer.pop("ResponseMetadata")
    assert validation.check_output("DetectModerationLabels", answer) == [] and answer["ModerationLabels"]


def test_without_an_endpoint_there_is_no_review(client: Any, collins: bytes) -> None:
    with pytest.raises(ClientError, match="HumanLoopQuotaExceededException") as refused:
        client.detect_moderation_labels(Image={"Bytes": collins}, HumanLoopConfig=REVIEW)
    assert "configured" in refused.value.response["Error"]["Message"]


class FakeReviews(ThreadingHTTPServer):
    """A fake of the review service, which does not run here: it takes loops, and refuses a name it knows."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FakeReviewsHandler)
        self.started: list[dict[str, Any]] = []


class _FakeReviewsHandler(BaseHTTPRequestHandler):
    server: FakeReviews

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = any(one["HumanLoopName"] == wanted["HumanLoopName"] for one in self.server.started)
        self.server.started.append(wanted)
        answer = {"Message": "known already"} if known else {"HumanLoopArn": f"arn:loop/{wanted['HumanLoopName']}"}
        body = json.dumps(answer).encode()
        self.send_response(409 if known else 200)
        if known:
            self.send_header("x-amzn-ErrorType", "ConflictException")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def reviews() -> Iterator[FakeReviews]:
    server = FakeReviews()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_review_starts_with_the_answer_and_without_the_picture(
    reviews: FakeReviews, one_more_api: Any, collins: bytes
) -> None:
    place = f"http://127.0.0.1:{reviews.server_address[1]}"
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with one_more_api(OPENREK_HUMAN_LOOP_ENDPOINT_URL=place, **keys) as client:
        config = REVIEW | {"DataAttributes": {"ContentClassifiers": ["FreeOfPersonallyIdentifiableInformation"]}}
        answer = client.detect_moderation_labels(Image={"Bytes": collins}, HumanLoopConfig=config)
        output = answer["HumanLoopActivationOutput"]
        assert output["HumanLoopArn"] == "arn:loop/review-1" and output["HumanLoopActivationReasons"]
        assert json.loads(output["HumanLoopActivationConditionsEvaluationResults"])
        (started,) = reviews.started
        content = json.loads(started["HumanLoopInput"]["InputContent"])
        assert content["aiServiceResponse"]["ModerationModelVersion"] == "7.0"
        assert "Bytes" not in content["aiServiceRequest"]["Image"]
        assert started["DataAttributes"] == config["DataAttributes"]
        with pytest.raises(ClientError, match="InvalidParameterException"):
            client.detect_moderation_labels(Image={"Bytes": collins}, HumanLoopConfig=REVIEW)
