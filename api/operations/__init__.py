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
    video_celebrities,
    video_face_search,
    video_faces,
    video_labels,
    video_moderation,
    video_persons,
    video_segments,
    video_text,
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
    "DetectProtectiveEquipment": protective_equipment.detect_protective_equipment,
    "DetectText": text.detect_text,
    "DisassociateFaces": users.disassociate_faces,
    "GetCelebrityInfo": celebrities.get_celebrity_info,
    "GetCelebrityRecognition": video_celebrities.get_celebrity_recognition,
    "GetContentModeration": video_moderation.get_content_moderation,
    "GetFaceDetection": video_faces.get_face_detection,
    "GetFaceSearch": video_face_search.get_face_search,
    "GetLabelDetection": video_labels.get_label_detection,
    "GetPersonTracking": video_persons.get_person_tracking,
    "GetSegmentDetection": video_segments.get_segment_detection,
    "GetTextDetection": video_text.get_text_detection,
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
    "StartCelebrityRecognition": video_celebrities.start_celebrity_recognition,
    "StartContentModeration": video_moderation.start_content_moderation,
    "StartFaceDetection": video_faces.start_face_detection,
    "StartFaceSearch": video_face_search.start_face_search,
    "StartLabelDetection": video_labels.start_label_detection,
    "StartPersonTracking": video_persons.start_person_tracking,
    "StartSegmentDetection": video_segments.start_segment_detection,
    "StartTextDetection": video_text.start_text_detection,
    "TagResource": tagging.tag_resource,
    "UntagResource": tagging.untag_resource,
}
