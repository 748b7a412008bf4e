"""Constraint validation: the wording, the paths, the patterns."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from typing import Any

import pytest

from api import validation
from api.errors import ValidationException
from api.model import OPERATIONS, SERVICE


def message(operation: str, request: dict[str, Any]) -> str | None:
    try:
        validation.check(OPERATIONS[operation], request)
    except ValidationException as error:
        return error.message
    return None


FACE = "6b0d3c1e-52aa-4b0f-9a55-0f2d8b7c6a11"
ONE = "1 validation error detected: "


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("ListCollections", {}, None),
        (
            "CreateCollection",
            {},
            ONE + "Value null at 'collectionId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "DetectFaces",
            {"Image": {"Bytes": b""}},
            ONE + "Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'image.bytes' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "DetectFaces",
            {"Image": {"Bytes": bytes(7_843_602)}},
            ONE + "Value 'java.nio.HeapByteBuffer[pos=0 lim=7843602 cap=7843602]' at 'image.bytes' failed to satisfy "
            "constraint: Member must have length less than or equal to 5242880",
        ),
        (
            "CreateCollection",
            {"CollectionId": "a b"},
            ONE + "Value 'a b' at 'collectionId' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-]+",
        ),
        (
            "CreateCollection",
            {"CollectionId": ""},
            "2 validation errors detected: Value '' at 'collectionId' failed to satisfy constraint: Member must have "
            "length greater than or equal to 1; Value '' at 'collectionId' failed to satisfy constraint: Member must "
            r"satisfy regular expression pattern: [a-zA-Z0-9_.\-]+",
        ),
        (
            "SearchFaces",
            {"CollectionId": "c", "FaceId": FACE, "MaxFaces": 4097, "FaceMatchThreshold": 100.5},
            "2 validation errors detected: Value '4097' at 'maxFaces' failed to satisfy constraint: Member must have "
            "value less than or equal to 4096; Value '100.5' at 'faceMatchThreshold' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
        (
            "DetectFaces",
            {"Image": {}, "Attributes": ["ALL", "SOME"]},
            ONE + "Value 'SOME' at 'attributes.2.member' failed to satisfy constraint: Member must satisfy enum value "
            f"set: [{', '.join(SERVICE.shape_for('Attribute').enum)}]",
        ),
        (
            "DeleteFaces",
            {"CollectionId": "c", "FaceIds": []},
            ONE + "Value '[]' at 'faceIds' failed to satisfy constraint: Member must have length greater than or equal "
            "to 1",
        ),
        (
            "DeleteFaces",
            {"CollectionId": "c", "FaceIds": [FACE, None, "X"]},
            "2 validation errors detected: Value null at 'faceIds.2.member' failed to satisfy constraint: Member must "
            "not be null; Value 'X' at 'faceIds.3.member' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ),
        (
            "CreateCollection",
            {"CollectionId": "c", "Tags": {"aws:no": "v", "k": "!"}},
            "2 validation errors detected: Value '{aws:no=v, k=!}' at 'tags' failed to satisfy constraint: Map keys "
            "must satisfy constraint: [Member must have length greater than or equal to 1, Member must have length "
            "less than or equal to 128, Member must satisfy regular expression pattern: "
            r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$]; Value '!' at 'tags.k.member' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$",
        ),
        (
            "DetectText",
            {"Image": {"S3Object": {"Bucket": "b"}}, "Filters": {"WordFilter": {"MinBoundingBoxHeight": 1.5}}},
            "2 validation errors detected: Value 'b' at 'image.s3Object.bucket' failed to satisfy constraint: Member "
            "must have length greater than or equal to 3; Value '1.5' at 'filters.wordFilter.minBoundingBoxHeight' "
            "failed to satisfy constraint: Member must have value less than or equal to 1",
        ),
    ],
)
def test_messages(operation: str, request_: dict[str, Any], expected: str | None) -> None:
    assert message(operation, request_) == expected


def test_required_members_inside_lists() -> None:
    request = {"DatasetArn": "x", "Changes": {}}
    assert "'changes.groundTruth' failed to satisfy constraint: Member must not be null" in str(
        message("UpdateDatasetEntries", request)
    )


def test_a_flood_of_violations_is_cut_off() -> None:
    text = message("DetectFaces", {"Image": {}, "Attributes": ["?"] * 100_000})
    assert text is not None and text.startswith("100 validation errors detected: ")
    assert len(text) < 50_000


def test_a_long_value_is_cut_off() -> None:
    text = message("CreateCollection", {"CollectionId": "!" * 1_000_000})
    assert text is not None and len(text) < 10_000


SHAPES = map(SERVICE.shape_for, SERVICE.shape_names)
WITH_PATTERN = {str(shape.name): str(shape.metadata["pattern"]) for shape in SHAPES if "pattern" in shape.metadata}
PATTERNS = sorted(set(WITH_PATTERN.values()))


def test_the_model_uses_no_java_syntax_that_the_translation_does_not_know() -> None:
    for pattern in PATTERNS:
        assert not re.search(r"&&|\[[^\]]*(?<!\\)\[|\(\?(?!!)|[*+?]\+", pattern), pattern
        assert set(re.findall(r"\\([a-zA-Z])", pattern)) <= set("dwSup"), pattern
        assert set(re.findall(r"\\p\{(\w+)\}", pattern)) <= set("LNZ"), pattern


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_do_not_backtrack_without_end(pattern: str) -> None:
    compiled = validation.java_pattern(pattern)
    for text in ("a" * 50_000 + "\x01", "-" * 50_000, " " * 50_000, "arn:aws:sns:" + "a:" * 20_000):
        started = time.process_time()
        compiled.fullmatch(text)
        assert time.process_time() - started < 1


def pattern_of(shape: str) -> re.Pattern[str]:
    return validation.java_pattern(WITH_PATTERN[shape])


ARN = "arn:aws:rekognition:us-east-1:111122223333:"


# fmt: off
PATTERN_CASES = [
    ("ClientRequestToken", ["a-B_9"], ["", "a b", "a\n", "\n", "é", "a:"]),
    ("CollectionId", ["a.b-c_D9"], ["", "a:b", "a/b", "é", "a\n", "٣"]),
    ("DatasetArn", [ARN + "project/p/dataset/train/1"], [ARN + "project/p/dataset/dev/1", ARN + "project/p/1"]),
    ("DatasetEntry", ['{"a":1}', "{}"], ["{", '{"a":\n1}', "{}\n", "a{}", "{\u2028}", "{\x85}"]),
    ("DatasetLabel", ["a", "é b"], ["", "a\nb", "a\u2029b", "a\rb"]),
    ("ExternalImageId", ["a:b.c"], ["a b", "a/b"]),
    ("FaceId", [FACE], [FACE.upper(), FACE + "\n", FACE[:-1]]),
    ("GeneralLabelsFilterValue", ["", "Dog's", "a,b;<=>?@[\\]^", "àâèçñó'(). _"], ["`", "a{", "ú", "!"]),
    ("HumanLoopName", ["a", "a--b9", "9"], ["", "-a", "a-", "A"]),
    ("ImageId", [FACE], ["g" + FACE[1:]]),
    ("IndexFacesModelVersion", ["7.0", "."], ["", "v7"]),
    ("JobId", ["a-b_"], ["a.b"]),
    ("JobTag", ["a_.-:+=/9"], ["a b", "", "a,b"]),
    ("KinesisDataArn", ["arn:aws:kinesis:eu-west-1:111122223333:stream/x y"], ["arn:aws:kinesis:eu-west-1:1:s/x"]),
    ("KinesisVideoArn", ["arn:aws-cn:kinesisvideo:cn-1:111122223333:stream/x"],
     ["arn:aws:kinesis:a:111122223333:x"]),
    ("KinesisVideoStreamFragmentNumber", ["0123"], ["", "1a", "٣"]),
    ("KmsKeyId", ["a", "arn:aws:kms:eu:1:key/1-2"], ["", "-a", "a b"]),
    ("LivenessS3KeyPrefix", ["", "a/é\u00a0b"], ["a b", "a\tb", "a\n"]),
    ("LivenessSessionId", [FACE], [""]),
    ("MediaAnalysisJobId", ["a_-"], ["a.b"]),
    ("MediaAnalysisJobName", ["a.b"], ["a:b"]),
    ("MediaAnalysisS3KeyPrefix", [""], ["\x0b"]),
    ("ProjectArn", [ARN + "project/my.p-1/16"], [ARN + "project/p/x", ARN + "project/p/1\n", "aws:" + ARN]),
    ("ProjectName", ["a.b"], ["a b"]),
    ("ProjectPolicyDocument", ['{\n\t"a": "é\xff"}\r'], ["", "\u0100", "\x0b", "\x00"]),
    ("ProjectPolicyName", ["a.b"], ["a/b"]),
    ("ProjectPolicyRevisionId", ["0aF"], ["", "g"]),
    ("ProjectVersionArn", [ARN + "project/p/version/v.1/1"],
     [ARN + "project/p/1", ARN + "project/p/version/v 1/1"]),
    ("ProjectVersionId", [ARN + "project/p/version/v/1"], [ARN + "project/p/version/v"]),
    ("QueryString", [" a ", "a"], ["", " ", "\t", "a\nb"]),
    ("RekognitionUniqueId", ["", "3Ir0du6"], ["a-b"]),
    ("RoleArn", ["arn:aws:iam::111122223333:role/a/b+=,.@-_"],
     ["arn:aws:iam::1:role/a", "arn:aws:iam::111122223333:user/a"]),
    ("S3Bucket", ["my.b-u_c", ""], ["a/b", "a b"]),
    ("SNSTopicArn", ["arn:aws:sns:us-east-1:111122223333:t", "arn:aws:sns::abcdefghijkl:t"],
     ["arn:aws:sqs:a:111122223333:t", "arn:aws:sns:a:11112222333é:t"]),
    ("StreamProcessorArn", [ARN + "streamprocessor/x y"], [ARN + "streamprocessor/"]),
    ("StreamProcessorName", ["a.b"], ["a b"]),
    ("TagKey", ["team", "größe", "名前 1", "a:b/c=d+e-f@g.h_", ""], ["aws:x", "a!", "a\tb", "a\nb", "a#"]),
    ("TagValue", ["", "aws:x", "٣ ½ é"], ["!", "a\n", "\u0301"]),
    ("UserId", ["u:1.2-3_"], ["u 1", "u@1"]),
    ("Version", ["1.0.0", "0.0.999"], ["01.0.0", "1.0", "1.0.1000", "1.0.0\n"]),
    ("VersionDescription", ["it's (v1), ok;? a:b_c."], ["", "a!", "é", "a\n"]),
    ("VersionName", ["v.1-a_b"], ["v 1"]),
]
# fmt: on


@pytest.mark.parametrize(("shape", "accepted", "refused"), PATTERN_CASES)
def test_each_pattern(shape: str, accepted: list[str], refused: list[str]) -> None:
    pattern = pattern_of(shape)
    assert [text for text in accepted if not pattern.fullmatch(text)] == []
    assert [text for text in refused if pattern.fullmatch(text)] == []


def test_each_pattern_is_covered_above() -> None:
    covered = {shape for shape, _, _ in PATTERN_CASES}
    assert covered == set(WITH_PATTERN)
    assert len(covered) == 42


def test_tag_characters_are_javas_letters_separators_and_numbers() -> None:
    pattern = pattern_of("TagValue")
    wrong = [
        f"{code:x}"
        for code in range(sys.maxunicode + 1)
        if (unicodedata.category(chr(code))[0] in "LZN" or chr(code) in "_.:/=+-@")
        != bool(pattern.fullmatch(chr(code)))
    ]
    assert wrong == []


def test_check_output_is_strict() -> None:
    assert validation.check_output("DeleteCollection", {"StatusCode": 200}) == []
    assert validation.check_output("DeleteCollection", {"StatusCode": None}) == []
    assert validation.check_output("DeleteCollection", {"StatusCode": "200"})
    assert validation.check_output("DeleteCollection", {"StatusCode": -1})
    assert validation.check_output("DeleteCollection", {"Status": 200})
    assert validation.check_output("DetectFaces", {"FaceDetails": [{"Confidence": 101.0}]})
    assert validation.check_output("DetectFaces", {"FaceDetails": [{"Confidence": float("nan")}]})
    assert validation.check_output("DetectFaces", {"FaceDetails": [{"Landmarks": [{"Type": "chin"}]}]})
    assert validation.check_output("DetectFaces", {"FaceDetails": [{"Landmarks": [{"Type": "nose", "X": None}]}]}) == []
