"""How answers travel between the model server and its clients: msgpack of the dataclasses in types.py."""

from functools import cache
from typing import Any

import msgspec
import numpy as np

from inference.types import (
    Embedding,
    FacesResult,
    LabelsResult,
    ModerationResult,
    PersonsResult,
    ProtectiveEquipmentResult,
    TextResult,
)


def encode(value: object) -> bytes:
    return _ENCODER.encode(value)


def decode(data: bytes, kind: Any) -> Any:
    """The value of `kind`, a dataclass of types.py, or a tuple or list of such. Raises msgspec.DecodeError."""
    return _decoder(kind).decode(data)


def decode_faces(data: bytes) -> FacesResult:
    return _FACES.decode(data)


def decode_labels(data: bytes) -> LabelsResult:
    return _LABELS.decode(data)


def decode_crops(data: bytes) -> list[bytes]:
    """Raises msgspec.DecodeError."""
    return _CROPS.decode(data)


def decode_embeddings(data: bytes) -> list[Embedding]:
    return [np.frombuffer(vector, "<f4") for vector in _CROPS.decode(data)]


def decode_moderation(data: bytes) -> ModerationResult:
    return _MODERATION.decode(data)


def decode_text(data: bytes) -> TextResult:
    return _TEXT.decode(data)


def decode_protective_equipment(data: bytes) -> ProtectiveEquipmentResult:
    return _PROTECTIVE_EQUIPMENT.decode(data)


def decode_persons(data: bytes) -> PersonsResult:
    return _PERSONS.decode(data)


def _vector_to_bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return value.astype("<f4", copy=False).tobytes()
    raise TypeError(f"{type(value).__name__} does not travel")


def _vector_from_bytes(_kind: type, value: Any) -> object:
    return np.frombuffer(value, "<f4")


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind, dec_hook=_vector_from_bytes)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_vector_to_bytes)
_CROPS = msgspec.msgpack.Decoder(list[bytes])
_FACES = msgspec.msgpack.Decoder(FacesResult, dec_hook=_vector_from_bytes)
_LABELS = msgspec.msgpack.Decoder(LabelsResult)
_MODERATION = msgspec.msgpack.Decoder(ModerationResult)
_TEXT = msgspec.msgpack.Decoder(TextResult)
_PROTECTIVE_EQUIPMENT = msgspec.msgpack.Decoder(ProtectiveEquipmentResult)
_PERSONS = msgspec.msgpack.Decoder(PersonsResult, dec_hook=_vector_from_bytes)
