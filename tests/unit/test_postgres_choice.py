"""As whom PostgreSQL runs; that it does run so is tested with the whole stack."""

import os
from pathlib import Path

import pytest

from openrek import postgres

NAMELESS = 4_000_000


@pytest.mark.parametrize(
    ("user", "permitted", "prefix", "runs_as"),
    [
        (0, True, postgres.NAMESPACE, None),
        (0, False, (), postgres.NOBODY),
        (postgres.NOBODY, False, (), None),
        (NAMELESS, True, postgres.NAMESPACE, None),
        (NAMELESS, False, (), None),
    ],
)
def test_root_and_users_without_a_name_get_a_namespace_where_they_may(
    user: int,
    permitted: bool,
    prefix: tuple[str, ...],
    runs_as: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(postgres, "_succeeds", lambda _: permitted)
    chosen = postgres.choose(tmp_path / "data", tmp_path / "sockets")
    assert (chosen.prefix, chosen.user) == (prefix, runs_as)
