"""Access keys: made, listed and revoked by the operator; the first one by the first start."""

import argparse
import time

from openrek import credentials, home, secret_key
from openrek.known_keys import KEPT_SECONDS
from openrek.settings import Settings
from storage import access_keys
from storage.database import open_pool


def create(chosen: argparse.Namespace, settings: Settings) -> int:
    """Make a key and print it as an AWS credentials file would hold it; its secret is shown only now."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        made = access_keys.create(
            connection, settings.account, secret_key.read(settings.secret_key_file), chosen.operations
        )
    print(credentials.text(made.access_key_id, made.secret), end="")
    return 0


def show(_: argparse.Namespace, settings: Settings) -> int:
    """Print one line for each key."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        keys = access_keys.all_of(connection)
    for key in keys:
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
        limit = f"  only {','.join(key.operations)}" if key.operations is not None else ""
        print(f"{key.access_key_id}  account {key.account}  created {key.created_at:%Y-%m-%d %H:%M}  {state}{limit}")
    return 0


def revoke(chosen: argparse.Namespace, settings: Settings) -> int:
    """Make a key invalid; it is refused everywhere when this returns."""
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        access_keys.revoke(connection, chosen.access_key_id)
    time.sleep(KEPT_SECONDS)  # until no API process knows it any more, so that what is printed is true
    print(f"{chosen.access_key_id} is revoked")
    return 0


def make_first(_: argparse.Namespace, settings: Settings) -> int:
    """See to it that the home's credentials file holds a key that this database knows as valid.

    A key that is unknown there (another database) or was revoked is replaced by a new one.
    """
    path = home.credentials(settings.home)
    secret_key.create_if_missing(settings.secret_key_file)
    sealing_key = secret_key.read(settings.secret_key_file)
    with open_pool(settings.database_url, 1) as pool, pool.connection() as connection:
        present = credentials.access_key_id(path)
        if present is None or access_keys.find(connection, present, sealing_key) is None:
            made = access_keys.create(connection, settings.account, sealing_key)
            connection.commit()
            secret_key.write_private(path, credentials.text(made.access_key_id, made.secret))
            print(f"wrote the access key {made.access_key_id} to {path}")
    return 0
