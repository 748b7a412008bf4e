"""The file that a collection travels in.

    magic      "openrek collection 1\\n"
    record     kind, one byte; length of the content, 4 bytes, little endian; content
    h          the first: the header, a MessagePack map as of `Header`
    u, f, c    users, faces and crops in this order: MessagePack arrays of maps as of `MovedUser`, `MovedFace`, `Crop`;
               vectors are little-endian float32, ids are texts, times MessagePack timestamps, crops PNG files
    e          the last: the SHA-256 of all bytes before this record

Written and read in blocks, so no more than one is in memory.
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from openrek.errors import OperatorError
from storage.transfer import MovedFace, MovedUser

MAGIC = b"openrek collection 1\n"
_RECORD = struct.Struct("<cI")
_HEADER, _USERS, _FACES, _CROPS, _END = b"h", b"u", b"f", b"c", b"e"
_MEMBERS = {_USERS: "users", _FACES: "faces", _CROPS: "crops"}
_BLOCK_ROWS = {_USERS: 1000, _FACES: 1000, _CROPS: 100}
_READ_BYTES = 1 << 20


class FileUnusable(OperatorError):
    """The file of a collection is damaged or cannot be read or written; the message names it."""


@dataclass(frozen=True)
class Header:
    """What is in the file. `dimension` is the length of the embeddings, None without faces."""

    name: str
    face_model_version: str
    dimension: int | None
    created_at: datetime
    face_count: int
    user_count: int
    crop_count: int
    tags: dict[str, str]


@dataclass(frozen=True)
class Crop:
    """The aligned crop of a face, a PNG file."""

    face_id: UUID
    png: bytes


@dataclass(frozen=True)
class Block:
    """Some rows, all of one kind."""

    users: list[MovedUser] = field(default_factory=list)
    faces: list[MovedFace] = field(default_factory=list)
    crops: list[Crop] = field(default_factory=list)


def write(
    path: Path,
    header: Header,
    users: Iterable[MovedUser],
    faces: Iterable[MovedFace],
    crops: Iterable[Crop],
) -> None:
    """Put the file in place whole or not at all, readable by its owner alone. Raises FileUnusable if it exists."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.exists():
            raise FileUnusable(f"{path} is there already")
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            digest = hashlib.sha256()
            for part in _parts(header, {_USERS: users, _FACES: faces, _CROPS: crops}):
                digest.update(part)
                file.write(part)
            file.write(_RECORD.pack(_END, digest.digest_size) + digest.digest())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def check(path: Path) -> Header:
    """Read all of a file and return its header. Raises FileUnusable if a single byte is not as it was written."""
    digest = hashlib.sha256(MAGIC)
    header: Header | None = None
    with _opened(path) as file:
        for kind, length in _records(path, file):
            before = digest.digest()
            digest.update(_RECORD.pack(kind, length))
            if kind == _END:
                if header is None or file.read(length) != before or file.read(1):
                    break
                return header
            content = b""
            while length:
                content = _exactly(path, file, min(length, _READ_BYTES) if header else length)
                digest.update(content)
                length -= len(content)
            header = header or _decode(path, _HEADER, content)
    raise FileUnusable(f"{path} is damaged: its checksum is wrong")


def blocks(path: Path) -> Iterator[Block]:
    """The rows of a checked file: users, then faces, then crops, some at a time. Raises FileUnusable."""
    with _opened(path) as file:
        for kind, length in _records(path, file):
            if kind == _END:
                return
            content = _exactly(path, file, length)
            if kind in _MEMBERS:
                yield Block(**{_MEMBERS[kind]: _decode(path, kind, content)})


def _parts(header: Header, rows: dict[bytes, Iterable[Any]]) -> Iterator[bytes]:
    yield MAGIC
    yield _record(_HEADER, header)
    for kind, of_kind in rows.items():
        iterator = iter(of_kind)
        while block := list(islice(iterator, _BLOCK_ROWS[kind])):
            yield _record(kind, block)


def _record(kind: bytes, content: object) -> bytes:
    encoded = _ENCODER.encode(content)
    return _RECORD.pack(kind, len(encoded)) + encoded


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error}") from error


def _records(path: Path, file: BufferedReader) -> Iterator[tuple[bytes, int]]:
    """Kinds and lengths; the content of each is to be read before the next is asked for."""
    if file.read(len(MAGIC)) != MAGIC:
        raise FileUnusable(f"{path} is no collection, or one of another format")
    size = os.fstat(file.fileno()).st_size
    while True:
        kind, length = _RECORD.unpack(_exactly(path, file, _RECORD.size))
        if (kind not in _DECODERS and kind != _END) or length > size - file.tell():
            raise FileUnusable(f"{path} is damaged or ends early")
        yield kind, length


def _exactly(path: Path, file: BufferedReader, length: int) -> bytes:
    content = file.read(length)
    if len(content) != length:
        raise FileUnusable(f"{path} ends early")
    return content


def _decode(path: Path, kind: bytes, content: bytes) -> Any:
    try:
        return _DECODERS[kind].decode(content)
    except (msgspec.DecodeError, ValueError) as error:
        raise FileUnusable(f"{path} is damaged: {error}") from error


def _vector_to_bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return value.astype("<f4", copy=False).tobytes()
    raise TypeError(f"{type(value).__name__} does not travel")


def _vector_from_bytes(_kind: type, value: Any) -> object:
    return np.frombuffer(value, "<f4").astype(np.float32, copy=False)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_vector_to_bytes)
_DECODERS: dict[bytes, msgspec.msgpack.Decoder[Any]] = {
    _HEADER: msgspec.msgpack.Decoder(Header),
    _USERS: msgspec.msgpack.Decoder(list[MovedUser], dec_hook=_vector_from_bytes),
    _FACES: msgspec.msgpack.Decoder(list[MovedFace], dec_hook=_vector_from_bytes),
    _CROPS: msgspec.msgpack.Decoder(list[Crop]),
}
