"""Access keys as an API process knows them: each is looked up once a second, however many requests it signs."""

import time
from functools import lru_cache

from api.auth import Credential, Lookup
from storage import access_keys
from storage.database import Pool

KEPT_SECONDS = 1.0
"""For so long a revoked key may still be accepted, and one that was tried before it was made refused."""
_MOST_KEPT = 1024


def lookup(pool: Pool, sealing_key: bytes) -> Lookup:
    """The look-up of access keys that signatures are checked with; a key stands for its account's root user."""

    @lru_cache(_MOST_KEPT)
    def found_in(_period: int, access_key_id: str) -> Credential | None:
        found = pool.read(access_keys.find, access_key_id, sealing_key)
        if found is None:
            return None
        arn = f"arn:aws:iam::{found.account}:root"
        return Credential(found.secret, found.account, arn, operations=found.operations)

    return lambda access_key_id: found_in(int(time.monotonic() / KEPT_SECONDS), access_key_id)
