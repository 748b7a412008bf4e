"""The operations that are built, by name: functions from context and validated request to the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.context import Context
from api.operations import (
    celebrities,
    collections,
    detection,
    faces,
    labels,
    moderation,
    protective_equipment,
    search,
    tagging,
    text,
    users,
    video_labels,
)

Handler = Callable[[Context, dict[str, Any]], dict[str, Any]]

HANDLERS: dict[str, Handler] = {
    "AssociateFaces": users.associate_faces,
    "CompareFaces": detection.compare_faces,
    "CreateCollection": collections.create_collection,
    "CreateUser": users.create_user,
    "DeleteCollection": collections.delete_collection,
    "DeleteFaces": faces.delete_faces,
    "DeleteUser": users.delete_user,
    "DescribeCollection": collections.describe_collection,
    "DetectFaces": detection.detect_faces,
    "DetectLabels": labels.detect_labels,
    "DetectModerationLabels": moderation.detect_moderation_labels,
    "DetectText": text.detect_text,
    "DetectProtectiveEquipment": protective_equipment.detect_protective_equipment,
    "DisassociateFaces": users.disassociate_faces,
    "GetCelebrityInfo": celebrities.get_celebrity_info,
    "GetLabelDetection": video_labels.get_label_detection,
    "IndexFaces": faces.index_faces,
    "ListCollections": collections.list_collections,
    "ListFaces": faces.list_faces,
    "ListTagsForResource": tagging.list_tags_for_resource,
    "ListUsers": users.list_users,
    "RecognizeCelebrities": celebrities.recognize_celebrities,
    "SearchFaces": search.search_faces,
    "SearchFacesByImage": search.search_faces_by_image,
    "SearchUsers": search.search_users,
    "SearchUsersByImage": search.search_users_by_image,
    "StartLabelDetection": video_labels.start_label_detection,
    "TagResource": tagging.tag_resource,
    "UntagResource": tagging.untag_resource,
}
