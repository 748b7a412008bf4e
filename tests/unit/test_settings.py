import re
from pathlib import Path

import pytest

from openrek.errors import SettingError
from openrek.settings import (
    LONGEST_SOCKET_PATH_BYTES,
    Settings,
    environment_of_children,
    markdown,
    postgres_sockets,
    variable,
)

ROOT = Path(__file__).resolve().parents[2]
HOME = Path("/srv/openrek")  # short, unlike some temporary folders: sockets of a long home lie elsewhere


def test_defaults_lie_in_the_home_folder() -> None:
    settings = Settings.from_environment({}, {"home": HOME})
    assert settings.models_dir == HOME / "models"
    assert settings.database_url == f"postgresql://openrek@/openrek?host={HOME}/run-postgres"
    assert settings.inference_url == f"unix://{HOME}/run/inference.sock"
    assert (settings.port, settings.region) == (9555, "us-east-1")


def test_an_argument_goes_before_the_environment_which_goes_before_the_default() -> None:
    environment = {"OPENREK_HOME": str(HOME), "OPENREK_PORT": "1", "OPENREK_REGION": "eu-west-1", "REDIS_URL": ""}
    settings = Settings.from_environment(environment, {"port": 2, "host": None})
    assert (settings.port, settings.region, settings.host) == (2, "eu-west-1", "127.0.0.1")
    assert settings.home == HOME
    assert settings.redis_url == f"unix://{HOME}/run/valkey.sock", "an empty variable counts as not given"


def test_a_given_address_is_not_ours_to_start(tmp_path: Path) -> None:
    settings = Settings.from_environment({"DATABASE_URL": "postgresql://db/x"}, {"home": tmp_path})
    assert not settings.is_own("database_url")
    assert settings.is_own("redis_url")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENREK_PORT", "http"),
        ("OPENREK_PORT", "65536"),
        ("OPENREK_ACCOUNT", "12345"),
        ("OPENREK_API_PROCESSES", "0"),
        ("OPENREK_VECTORINDEX_POLL_SECONDS", "-1"),
        ("OPENREK_VECTORINDEX_URL", "http://a:1,"),
        ("OPENREK_VECTORINDEX_URL", "http://a:1,http://a:1"),
        ("OPENREK_VECTORINDEX_SERVERS", "0"),
        ("OPENREK_STOP_SECONDS", "soon"),
        ("OPENREK_LOG_LEVEL", "loud"),
        ("OPENREK_INFERENCE_DEVICE", "abacus"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"{name} must be .*{value}"):
        Settings.from_environment({name: value}, {"home": tmp_path})


def test_a_webhook_is_signed_and_alone() -> None:
    hook, secret = {"OPENREK_WEBHOOK_URL": "https://hook"}, {"OPENREK_WEBHOOK_SECRET": "hush"}
    settings = Settings.from_environment(hook | secret, {"home": HOME})
    assert settings.webhook_secret == "hush" and "hush" not in repr(settings)
    for wrong, named in (
        (hook, "OPENREK_WEBHOOK_SECRET"),
        ({"OPENREK_WEBHOOK_URL": "hook"} | secret, "OPENREK_WEBHOOK_URL"),
        (hook | secret | {"OPENREK_SNS_ENDPOINT_URL": "https://sns"}, "OPENREK_SNS_ENDPOINT_URL"),
    ):
        with pytest.raises(SettingError, match=named):
            Settings.from_environment(wrong, {"home": HOME})


def test_vectors_may_have_several_servers() -> None:
    own = Settings.from_environment({"OPENREK_VECTORINDEX_SERVERS": "2"}, {"home": HOME})
    assert own.vectorindex_urls == tuple(f"unix://{HOME}/run/vectorindex-{number}.sock" for number in (1, 2))
    assert own.is_own("vectorindex_url")
    given = Settings.from_environment({"OPENREK_VECTORINDEX_URL": "http://a:1, http://b:1"}, {"home": HOME})
    assert given.vectorindex_urls == ("http://a:1", "http://b:1")
    assert not given.is_own("vectorindex_url")


def test_children_read_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENREK_API_THREADS", "3")
    settings = Settings.from_environment(overrides={"home": tmp_path, "host": "::1", "port": 1234})
    assert Settings.from_environment(environment_of_children(settings)) == settings


def test_sockets_of_a_long_home_lie_in_a_short_folder_of_its_own() -> None:
    long, other = Path("/") / ("a" * 90), Path("/") / ("b" * 90)
    socket = postgres_sockets(long) / ".s.PGSQL.5432"
    assert len(str(socket)) <= LONGEST_SOCKET_PATH_BYTES
    assert postgres_sockets(long) != postgres_sockets(other)


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:9555"),
        ("0.0.0.0", "http://127.0.0.1:9555"),
        ("::", "http://[::1]:9555"),
        ("rek.example", "http://rek.example:9555"),
    ],
)
def test_the_endpoint_can_be_reached_from_this_machine(host: str, endpoint: str) -> None:
    assert Settings.from_environment({}, {"host": host}).endpoint == endpoint


def test_a_home_with_a_space_makes_a_valid_database_url() -> None:
    assert Settings.from_environment({}, {"home": Path("/a b")}).database_url.endswith("host=/a%20b/run-postgres")


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == markdown(), "run: openrek settings > docs/settings.md"


def test_the_page_names_every_setting() -> None:
    for name in Settings.__dataclass_fields__:
        assert f"| `{variable(name)}` |" in markdown()


def test_no_other_module_reads_the_environment() -> None:
    packages = ("openrek", "api", "inference", "vectorindex", "storage", "workers")
    readers = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\b(environ|getenv)\b", path.read_text())
    }
    assert readers == {"openrek/settings.py"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_without_authentication_only_loopback_is_listened_on(host: str) -> None:
    environment = {"OPENREK_AUTH": "none"}
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert Settings.from_environment(environment, {"host": loopback}).auth == "none"
    with pytest.raises(SettingError, match="OPENREK_HOST"):
        Settings.from_environment(environment, {"host": host})
