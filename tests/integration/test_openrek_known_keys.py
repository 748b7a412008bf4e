"""Access keys as an API process knows them, in a real database."""

from types import SimpleNamespace
from unittest import mock

import pytest

from openrek import known_keys
from storage import access_keys
from storage.database import Pool

SEALING_KEY = bytes(range(32))


def test_a_key_is_looked_up_once_a_second_and_no_longer_accepted_then(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.2)
    monkeypatch.setattr(known_keys, "time", clock)
    with pool.connection() as connection:
        made = access_keys.create(connection, "123456789012", SEALING_KEY, ["DetectFaces"])
    with mock.patch.object(pool, "read", wraps=pool.read) as read:
        lookup = known_keys.lookup(pool, SEALING_KEY)
        found = [lookup(made.access_key_id) for _ in range(3)][-1]
        assert found is not None and found.secret == made.secret and found.operations == {"DetectFaces"}
        assert found.caller_arn == "arn:aws:iam::123456789012:root"
        assert read.call_count == 1
    with pool.connection() as connection:
        access_keys.revoke(connection, made.access_key_id)
    clock.now += known_keys.KEPT_SECONDS
    assert lookup(made.access_key_id) is None
    assert lookup("AKIAUNKNOWN000000000") is None
