"""The operations that are built, by name: functions from context and validated request to the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.context import Context
from api.operations import collections, detection, faces, search, tagging

Handler = Callable[[Context, dict[str, Any]], dict[str, Any]]

HANDLERS: dict[str, Handler] = {
    "CompareFaces": detection.compare_faces,
    "CreateCollection": collections.create_collection,
    "DeleteCollection": collections.delete_collection,
    "DeleteFaces": faces.delete_faces,
    "DescribeCollection": collections.describe_collection,
    "DetectFaces": detection.detect_faces,
    "IndexFaces": faces.index_faces,
    "ListCollections": collections.list_collections,
    "ListFaces": faces.list_faces,
    "ListTagsForResource": tagging.list_tags_for_resource,
    "SearchFaces": search.search_faces,
    "SearchFacesByImage": search.search_faces_by_image,
    "TagResource": tagging.tag_resource,
    "UntagResource": tagging.untag_resource,
}
