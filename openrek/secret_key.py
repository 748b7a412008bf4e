"""The key of an installation: encrypts the stored secrets of access keys and seals page tokens."""

import os
import secrets
from pathlib import Path

from openrek.errors import HomeUnusable

KEY_BYTES = 32


def create_if_missing(path: Path) -> None:
    """Write a random key (64 hexadecimal digits, mode 0600) unless the file is there."""
    if not path.exists():
        write_private(path, secrets.token_hex(KEY_BYTES) + "\n")


def read(path: Path) -> bytes:
    """The 32 bytes of the key. Raises HomeUnusable."""
    try:
        key = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise HomeUnusable(f"the secret key {path} cannot be read: {error}") from error
    if len(key) != KEY_BYTES:
        raise HomeUnusable(f"the secret key {path} must be {2 * KEY_BYTES} hexadecimal digits")
    return key


def write_private(path: Path, text: str) -> None:
    """Put a file in place whole or not at all, readable by its owner alone (mode 0600), also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
