"""How answers travel between the model server and its clients: msgpack of the dataclasses in types.py."""

from typing import Any

import msgspec
import numpy as np

from inference.types import FacesResult, ProtectiveEquipmentResult


def encode(value: object) -> bytes:
    return _ENCODER.encode(value)


def decode_faces(data: bytes) -> FacesResult:
    return _FACES.decode(data)


def decode_protective_equipment(data: bytes) -> ProtectiveEquipmentResult:
    return _PROTECTIVE_EQUIPMENT.decode(data)


def _vector_to_bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return value.astype("<f4", copy=False).tobytes()
    raise TypeError(f"{type(value).__name__} does not travel")


def _vector_from_bytes(_kind: type, value: Any) -> object:
    return np.frombuffer(value, "<f4")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_vector_to_bytes)
_FACES = msgspec.msgpack.Decoder(FacesResult, dec_hook=_vector_from_bytes)
_PROTECTIVE_EQUIPMENT = msgspec.msgpack.Decoder(ProtectiveEquipmentResult)
