"""One form of log line for every process, and log files that stay small."""

import logging
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

LARGEST_LOG_BYTES = 20 * 1024 * 1024


def configure(part: str, level: str) -> None:
    """Log to standard error as `time LEVEL part logger: message`, from `level` ("debug" ... "error") on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format=f"%(asctime)s %(levelname)s {part} %(name)s: %(message)s",
        force=True,
    )
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def rotate(path: Path) -> None:
    """Move the content of a log over LARGEST_LOG_BYTES to `<path>.1`. Its writers append, so they go on in place.

    While there is no room for the copy the log stays as it is.
    """
    if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
        with suppress(OSError):
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            os.truncate(path, 0)


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines of a log, of at most 8 kB."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
