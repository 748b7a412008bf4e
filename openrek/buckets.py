"""Folders of this machine that are named as S3 buckets."""

import argparse

from openrek.settings import Settings
from storage import buckets
from storage.database import open_pool
from storage.tenant import Tenant


def add(chosen: argparse.Namespace, settings: Settings) -> int:
    """Name a folder as a bucket of the account and region of `settings`."""
    directory = chosen.directory.expanduser().absolute()
    if not directory.is_dir():
        print(f"note: there is no folder {directory} yet")
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        added = buckets.add(connection, _tenant(settings), chosen.name, directory)
    print(f"{added.name} is {added.directory}")
    return 0


def show(_: argparse.Namespace, settings: Settings) -> int:
    """Print one line for each bucket."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        found = buckets.all_of(connection, _tenant(settings))
    for bucket in found:
        print(f"{bucket.name}  {bucket.directory}")
    return 0


def remove(chosen: argparse.Namespace, settings: Settings) -> int:
    """Forget a bucket; its folder stays as it is."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        buckets.remove(connection, _tenant(settings), chosen.name)
    print(f"{chosen.name} is no bucket any more; its files are untouched")
    return 0


def _tenant(settings: Settings) -> Tenant:
    return Tenant(settings.account, settings.region)
