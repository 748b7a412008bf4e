"""Gets a model pack: fetches its sources, imports its networks, checks each and puts it in place.

It can be killed at any time and run again: files that were fetched and networks that were installed stay.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from inference.packs import checks, sources, store
from inference.packs.catalogue import Network, Pack, Source
from inference.packs.errors import LicenceNotAccepted, PackError, UnreadableModel
from inference.packs.importers import imported
from inference.packs.progress import Event, Progress, silent

_PARALLEL_DOWNLOADS = 4


def pull(
    models_dir: Path, pack: Pack, *, accept_licences: Collection[str] = (), progress: Progress = silent
) -> list[str]:
    """Installs what is missing, damaged or outdated of the pack and returns the names of the networks it installed.

    All sources are fetched and checked before the first network is imported. Raises LicenceNotAccepted,
    SourceUnavailable, DigestMismatch, UnreadableModel, CheckFailed.
    """
    _require_licence(pack, accept_licences)
    with store.locked(models_dir):
        wanted = [network for network in pack.networks if store.problem(models_dir, pack, network)]
        needed = [pack.source(name) for name in dict.fromkeys(network.source for network in wanted)]
        steps = _Steps(progress, len(needed) + len(wanted))
        files = _fetch_all(needed, models_dir / store.DOWNLOADS, pack.folder, steps)
        for network in wanted:
            _import(models_dir, pack, network, files[network.source], steps)
    return [network.name for network in wanted]


class _Steps:
    """Counts finished steps for the progress display; used from the download threads."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, Lock()

    def report(self, text: str, stage: str) -> None:
        with self.lock:
            self.done += stage == "finish"
            self.progress(Event(text, self.done, self.total, stage))


def _require_licence(pack: Pack, accepted: Collection[str]) -> None:
    agreement = pack.accept_licence
    if agreement and agreement.name not in accepted:
        raise LicenceNotAccepted(pack=pack.name, licence=agreement.name, text=agreement.text.strip())


def _fetch_all(needed: list[Source], cache: Path, folder: Path, steps: _Steps) -> dict[str, dict[str, Path]]:
    cache.mkdir(parents=True, exist_ok=True)
    sources.remove_leftovers(cache)

    def fetch(source: Source) -> dict[str, Path]:
        title = f"{source.kind} {source.package or source.url or source.path} {source.version}".strip()
        steps.report(f"fetching {title}", "begin")
        paths = sources.fetch(source, cache, folder, lambda text: steps.report(f"fetching {title}: {text}", "advance"))
        steps.report(f"fetched {title}", "finish")
        return paths

    try:
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            return dict(zip([source.name for source in needed], pool.map(fetch, needed), strict=True))
    finally:
        sources.remove_leftovers(cache)


def _import(models_dir: Path, pack: Pack, network: Network, files: dict[str, Path], steps: _Steps) -> None:
    steps.report(f"importing {network.name}", "begin")
    taken = tuple(files[name] for name in network.files)
    try:
        model = imported(network, taken)
    except PackError:
        raise
    except Exception as error:
        raise UnreadableModel(file=", ".join(network.files), reason=f"{type(error).__name__}: {error}") from error
    record = checks.check(pack, network, model, taken)
    store.install(models_dir, pack, network, model, record)
    steps.report(f"{network.name} ({len(model) / 1e6:.1f} MB, {network.licence.spdx})", "finish")
