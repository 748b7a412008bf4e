"""Model packs: fetched and checked by the operator, never at run time."""

import argparse

from inference.packs import catalogue, store
from inference.packs.catalogue import Pack
from openrek.settings import Settings


def pull(chosen: argparse.Namespace, settings: Settings) -> int:
    """Install what packs lack; quick when there is nothing to do."""
    for pack in [catalogue.load(name) for name in chosen.packs]:
        if store.verify(settings.models_dir, pack):
            _pull(chosen, settings, pack)
    return 0


def _pull(chosen: argparse.Namespace, settings: Settings, pack: Pack) -> None:
    from inference.packs.progress import terminal
    from inference.packs.pull import pull as fetch_and_import

    with terminal(f"model pack {pack.name}") as progress:
        done = fetch_and_import(settings.models_dir, pack, accept_licences=chosen.accept_licence, progress=progress)
    print(f"model pack {pack.name}: {len(done)} networks installed in {settings.models_dir}", flush=True)


def show(_: argparse.Namespace, settings: Settings) -> int:
    """Print each known pack and each other one that is installed, with the networks and licences of the known ones."""
    there = {pack.pack: pack for pack in store.installed(settings.models_dir)}
    for name in sorted({*catalogue.names(), *there}):
        state = f"installed, {there[name].size_bytes / 1e6:.0f} MB" if name in there else "not installed"
        print(f"{name}  {state}")
        if name in catalogue.names():
            for network in catalogue.load(name).networks:
                print(f"  {network.name:20}  {network.licence.spdx:18}  {network.task}")
    return 0


def verify(chosen: argparse.Namespace, settings: Settings) -> int:
    """Hash the files of a pack again; 1 when one is missing, damaged or outdated."""
    problems = store.verify(settings.models_dir, catalogue.load(chosen.pack))
    print("\n".join(problems) or f"model pack {chosen.pack}: every file is as it should be")
    return 1 if problems else 0
