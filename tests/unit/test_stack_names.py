"""How many processes of a kind `openrek serve` starts, and what they are called."""

import os

import pytest

from openrek.settings import Settings
from openrek.stack import apis, workers


@pytest.mark.parametrize(
    ("cores", "names"), [(1, ["api"]), (2, ["api-1", "api-2"]), (64, [f"api-{n}" for n in range(1, 5)])]
)
def test_an_api_process_for_each_core_up_to_four(monkeypatch: pytest.MonkeyPatch, cores: int, names: list[str]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert apis(Settings.from_environment({})) == names


def test_as_many_as_asked_for() -> None:
    settings = Settings.from_environment({"OPENREK_API_PROCESSES": "1", "OPENREK_WORKER_PROCESSES": "2"})
    assert apis(settings) == ["api"] and workers(settings) == ["worker-1", "worker-2"]
