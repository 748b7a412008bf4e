"""Downloads over https that continue where a broken or killed one stopped."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from inference.packs.errors import SourceUnavailable

_BLOCK_BYTES = 1 << 20
_ATTEMPTS = 4
_TIMEOUT_SECONDS = 60
_RANGE_NOT_SATISFIABLE = 416


def download(url: str, to: Path, note: Callable[[str], None]) -> Path:
    """Fetches `url` into `to`, unless it is there; a part that arrived before is in `<to>.partial` and is kept.

    Raises SourceUnavailable when the server refuses or the connection breaks time after time.
    """
    if to.exists():
        return to
    partial = to.with_name(f"{to.name}.partial")
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(2 ** (attempt - 1))
        try:
            _continue(url, partial, note)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE:
                partial.unlink()
            elif error.code < http.client.INTERNAL_SERVER_ERROR:
                raise SourceUnavailable(source=url, reason=str(error)) from error
            failure: Exception = error
        except (OSError, http.client.HTTPException) as error:
            failure = error
        else:
            return partial.replace(to)
    raise SourceUnavailable(source=url, reason=f"{failure} ({_ATTEMPTS} attempts)") from failure


def _continue(url: str, partial: Path, note: Callable[[str], None]) -> None:
    """One attempt: asks for the bytes that are missing; a server without ranges sends everything again."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with partial.open("ab" if have else "wb") as file:
            while block := answer.read(_BLOCK_BYTES):
                have += file.write(block)
                note(f"{have / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{have / 1e6:.1f} MB")
    if total is not None and have != total:
        raise http.client.IncompleteRead(b"", total - have)
