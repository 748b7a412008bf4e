"""The main jobs through boto3, on photographs that are free to share."""

from pathlib import Path
from typing import Any

import boto3
from botocore.session import Session

from openrek.demo import faces, page
from openrek.demo.rows import print_table


def run(endpoint: str, region: str, credentials_path: Path, output_dir: Path) -> int:
    """Runs the demo against a server, prints a table of its answers and writes annotated pictures to `output_dir`.

    Returns the exit code: 0 when every answer was as it should be, else 1.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    client = _client(endpoint, region, credentials_path)
    rows = [*faces.rows(client, output_dir), *page.rows(client, output_dir)]
    print_table(rows)
    print(f"\nAnnotated pictures: {', '.join(str(path) for path in sorted(output_dir.glob('*.png')))}")
    print(f"What the image operations say of them: {output_dir / page.NAME}")
    wrong = [row for row in rows if row.answer.startswith("WRONG")]
    print(f"Demo done: {len(rows) - len(wrong)} of {len(rows)} answers as they should be.", flush=True)
    return 1 if wrong else 0


def _client(endpoint: str, region: str, credentials_path: Path) -> Any:
    session = Session()
    session.set_config_variable("credentials_file", str(credentials_path))
    session.set_config_variable("profile", "default")
    return boto3.Session(botocore_session=session, region_name=region).client("rekognition", endpoint_url=endpoint)
