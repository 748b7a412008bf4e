"""The AWS shared-credentials file that the first start writes."""

import configparser
import io
from pathlib import Path

PROFILE = "default"


def access_key_id(path: Path) -> str | None:
    """The access key id in a credentials file; None when there is no such file."""
    profiles = configparser.ConfigParser(interpolation=None)
    profiles.read(path)
    return profiles.get(PROFILE, "aws_access_key_id", fallback=None)


def text(access_key_id: str, secret: str) -> str:
    """The content of a credentials file with one key."""
    profiles = configparser.ConfigParser(interpolation=None)
    profiles[PROFILE] = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret}
    written = io.StringIO()
    profiles.write(written)
    return written.getvalue().strip() + "\n"
