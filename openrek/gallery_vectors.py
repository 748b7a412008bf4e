"""The file with the faces of an exported gallery: embeddings, so that photographs need not travel."""

import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from openrek.errors import UnusableGallery
from storage.celebrities import GalleryFace
from storage.faces import Box4

FILE = "vectors.npz"

_KINDS = {"celebrity_ids": ("U", 1), "image_ids": ("u1", 2), "boxes": ("f4", 2), "confidences": ("f4", 1)}
_LENGTH_TOLERANCE = 1e-3


def write(path: Path, face_model_version: str, faces: Mapping[str, Sequence[GalleryFace]]) -> None:
    """Write the faces of celebrities, by id: arrays of one row for each face, and the version of the face model."""
    every = [(celebrity_id, face) for celebrity_id, theirs in faces.items() for face in theirs]
    boxes = [(face.box.left, face.box.top, face.box.width, face.box.height) for _, face in every]
    arrays: dict[str, Any] = {
        "face_model_version": np.array(face_model_version),
        "celebrity_ids": np.array([celebrity_id for celebrity_id, _ in every], "U"),
        "image_ids": np.frombuffer(b"".join(face.image_id.bytes for _, face in every), "u1").reshape(-1, 16),
        "boxes": np.array(boxes, "f4").reshape(-1, 4),
        "confidences": np.array([face.confidence for _, face in every], "f4"),
        "embeddings": np.stack([face.embedding for _, face in every]) if every else np.empty((0, 0), "f4"),
    }
    np.savez(path, **arrays)


def read(path: Path, face_model_version: str) -> dict[str, list[GalleryFace]]:
    """The faces of celebrities, by id. Raises UnusableGallery, also when they are of another face model."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("face_model_version", "embeddings", *_KINDS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnusableGallery(f"{path} is no file of exported faces: {error}") from error
    theirs = str(arrays["face_model_version"])
    if theirs != face_model_version:
        raise UnusableGallery(f"{path} has faces of face model {theirs}, not {face_model_version}: import photographs")
    if not _is_sound(arrays):
        raise UnusableGallery(f"{path} is damaged")
    faces: dict[str, list[GalleryFace]] = defaultdict(list)
    for row, celebrity_id in enumerate(arrays["celebrity_ids"].tolist()):
        box = Box4(*arrays["boxes"][row].tolist())
        image_id, confidence = UUID(bytes=arrays["image_ids"][row].tobytes()), float(arrays["confidences"][row])
        faces[celebrity_id].append(GalleryFace(image_id, box, confidence, arrays["embeddings"][row]))
    return dict(faces)


def _is_sound(arrays: Mapping[str, Any]) -> bool:
    embeddings, rows = arrays["embeddings"], len(arrays["embeddings"]) if arrays["embeddings"].ndim else -1
    for name, (kind, dimensions) in _KINDS.items():
        array = arrays[name]
        if not np.issubdtype(array.dtype, np.dtype(kind).type) or array.ndim != dimensions or len(array) != rows:
            return False
    if embeddings.dtype != np.float32 or embeddings.ndim != 2:
        return False
    if arrays["image_ids"].shape[1:] != (16,) or arrays["boxes"].shape[1:] != (4,):
        return False
    lengths = np.linalg.norm(embeddings, axis=1)
    finite = all(np.isfinite(arrays[name]).all() for name in ("boxes", "confidences"))
    return finite and bool((np.abs(lengths - 1.0) < _LENGTH_TOLERANCE).all())
