"""The server that is measured, as a client knows it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config


@dataclass(frozen=True)
class Endpoint:
    url: str
    region: str
    credentials: Path
    profile: str = "default"

    def session(self) -> botocore.session.Session:
        """A session that has these credentials and no other: of the profile, or of the default one if that is none."""
        session = botocore.session.Session()
        session.set_config_variable("credentials_file", str(self.credentials))
        session.set_config_variable("profile", self.profile)
        if self.profile not in session.available_profiles:
            session.set_config_variable("profile", "default")
        return session

    def client(self, connections: int = 10, **options: Any) -> Any:
        """A boto3 Rekognition client that keeps up to `connections` open; `options` are those of botocore's Config."""
        session = boto3.Session(botocore_session=self.session(), region_name=self.region)
        config = Config(max_pool_connections=connections, **options)
        return session.client("rekognition", endpoint_url=self.url, config=config)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--endpoint", default="http://127.0.0.1:9555", help="default %(default)s")
    parser.add_argument("--region", default="us-east-1", help="default %(default)s")
    parser.add_argument(
        "--credentials",
        type=Path,
        default=Path.home() / ".openrek" / "credentials",
        help="shared-credentials file (default %(default)s)",
    )


def chosen(arguments: argparse.Namespace) -> Endpoint:
    return Endpoint(arguments.endpoint, arguments.region, arguments.credentials)
