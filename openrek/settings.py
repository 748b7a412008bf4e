"""Every setting of OpenRek, read once from the environment. No other module reads it."""

import hashlib
import ipaddress
import os
import tempfile
import types
import typing
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from openrek.errors import SettingError

LONGEST_SOCKET_PATH_BYTES = 100  # the kernel takes 107 bytes (103 on macOS)
LONGEST_SOCKET_NAME = "/run-postgres/.s.PGSQL.5432"


@dataclass(frozen=True)
class Settings:
    """Each field's type carries its documentation, and how its default reads where that depends on the home folder."""

    home: Annotated[Path, "Folder for everything OpenRek writes.", "`~/.openrek`"]
    database_url: Annotated[
        str,
        "PostgreSQL to use. When given, `openrek serve` starts none.",
        "the PostgreSQL in the home folder",
    ]
    redis_url: Annotated[
        str,
        "Redis or Valkey to use as the queue. When given, `openrek serve` starts none.",
        "the Valkey in the home folder",
    ]
    inference_url: Annotated[
        str,
        "Model server, `http://host:port` or `unix:///path`. When given, `openrek serve` starts none.",
        "a socket in the home folder",
    ]
    vectorindex_url: Annotated[
        str,
        "Vector index servers, each `http://host:port` or `unix:///path`, several with commas between them. Every "
        "process of one installation needs the same. When given, `openrek serve` starts none.",
        "sockets in the home folder",
    ]
    models_dir: Annotated[Path, "Folder of the model packs.", "`models` in the home folder"]
    secret_key_file: Annotated[
        Path,
        "File with the 32-byte key that encrypts stored secrets and seals page tokens. Every API process of one "
        "installation needs the same. Made at first start.",
        "`secret.key` in the home folder",
    ]
    host: Annotated[str, "Address that the API listens on."] = "127.0.0.1"
    port: Annotated[int, "Port that the API listens on."] = 9555
    region: Annotated[
        str, "AWS region shown at start and used by commands that name none. The endpoint answers for every region."
    ] = "us-east-1"
    account: Annotated[str, "AWS account number (12 digits) used by commands that name none."] = "000000000000"
    auth: Annotated[
        str,
        "How callers are known: `sigv4`, or `none` for tests, when everybody is let in and only loopback listened on.",
    ] = "sigv4"
    s3_endpoint_url: Annotated[
        str | None, "S3 endpoint to read objects from, for buckets that are not folders on this machine."
    ] = None
    human_loop_endpoint_url: Annotated[
        str | None,
        "Endpoint that speaks the runtime API of Amazon Augmented AI. The reviews that requests ask for start there.",
    ] = None
    max_body_bytes: Annotated[int, "Largest request body that is read."] = 32 * 1024 * 1024
    api_processes: Annotated[
        int | None, "API processes that `openrek serve` starts.", "one for each core, at most 4"
    ] = None
    api_threads: Annotated[int, "Requests that one API process handles at a time."] = 16
    api_queue_limit: Annotated[
        int, "Requests that one API process holds at all; one more is answered with a throttling error."
    ] = 256
    account_requests_per_second: Annotated[
        float | None, "Requests that one account may send per operation, to each API process; more are refused."
    ] = None
    collection_limit: Annotated[int | None, "Collections that one account may have in a region."] = None
    face_limit: Annotated[int, "Faces that one collection may hold."] = 20_000_000
    user_limit: Annotated[int, "Users that one collection may hold."] = 10_000_000
    database_connections: Annotated[int, "Most database connections of one process."] = 8
    database_statement_seconds: Annotated[
        float,
        "Longest time that one database statement of a request may take, waiting for locks included. Then the request "
        "fails with an error on which SDKs try again.",
    ] = 10.0
    model_pack: Annotated[str, "Model pack to load."] = "base"
    face_packs: Annotated[
        str,
        "More packs, separated by commas, whose face embedders are loaded too, for collections of their face-model "
        "versions: names, or paths of catalogues.",
        "none",
    ] = ""
    inference_device: Annotated[
        str,
        "What the model server's networks run on: cpu, cuda or tensorrt through ONNX Runtime, torch-cuda (in half "
        "precision) or torch-cpu through PyTorch (needs the extra `cuda`). See docs/gpu.md.",
    ] = "cpu"
    inference_threads: Annotated[
        int | None, "CPU threads of all networks and the pixel work together.", "one for each core"
    ] = None
    inference_queue_limit: Annotated[
        int, "Pictures that the model server has in work; one more is answered with a throttling error."
    ] = 64
    inference_queue_megapixels: Annotated[
        int, "Million pixels of all pictures that the model server has in work, beside the limit of their number."
    ] = 256
    inference_kept_megapixels: Annotated[
        int,
        "Million pixels of the decoded pictures that the model server keeps, with what was found in them, so that "
        "several operations on one picture decode and detect once. 0 keeps none.",
    ] = 16
    vectorindex_erase_seconds: Annotated[
        float, "Longest time for which a snapshot of the vector index server still holds what was deleted from it."
    ] = 60.0
    vectorindex_device: Annotated[
        str, "Where vectors are searched: cpu, or cuda (needs the extra `cuda`), in half precision with exact scores."
    ] = "cpu"
    vectorindex_servers: Annotated[
        int, "Vector index servers that `openrek serve` starts. Collections are spread over them."
    ] = 1
    vectorindex_copies: Annotated[
        int,
        "Vector index servers that hold a collection at all times. Should none of them be there, another one opens it "
        "when it is searched.",
    ] = 1
    vectorindex_memory_megabytes: Annotated[
        int | None,
        "Most that one vector index server holds of collections; those searched least recently are let go, and opened "
        "again by their next search. One that is larger is held alone.",
        "half of the memory of the machine or container, divided by `OPENREK_VECTORINDEX_SERVERS`",
    ] = None
    vectorindex_poll_seconds: Annotated[
        float, "Seconds between two looks of the vector index server for changes. Searches do not depend on it."
    ] = 1.0
    worker_processes: Annotated[
        int, "Worker processes that `openrek serve` starts. Each looks at one part of a video at a time."
    ] = 1
    job_limit: Annotated[int, "Unfinished jobs on videos that one account may have in a region."] = 20
    job_lease_seconds: Annotated[
        float, "A worker that says nothing for so long has what it was at given to another."
    ] = 15.0
    job_results_days: Annotated[float, "Days for which jobs on videos and their results are kept once they ended."] = (
        7.0
    )
    sns_endpoint_url: Annotated[
        str | None,
        "Endpoint that speaks SNS, where the ends of jobs are told to the topics that requests name. The region is the "
        "topic's; credentials come from where boto3 looks for them.",
    ] = None
    webhook_url: Annotated[
        str | None, "Address that the ends of jobs are posted to instead, where requests name a topic: docs/jobs.md."
    ] = None
    webhook_secret: Annotated[
        str | None, "Secret that what is posted is signed with (HMAC-SHA256). Needed with `OPENREK_WEBHOOK_URL`."
    ] = field(default=None, repr=False)
    video_part_seconds: Annotated[
        float, "Videos are split into parts of about this length, which workers take side by side."
    ] = 20.0
    video_frames_per_second: Annotated[
        float, "Frames that are looked at of each second of a video, for labels, faces, people and celebrities."
    ] = 5.0
    video_moderation_frames_per_second: Annotated[float, "The same for moderation."] = 1.0
    video_text_frames_per_second: Annotated[float, "The same for text."] = 1.0
    video_frames_in_flight: Annotated[
        int, "Frames that are at the model server at a time, for each part that a worker looks at."
    ] = 4
    stop_seconds: Annotated[float, "Longest time that `openrek serve` gives its processes to stop."] = 15.0
    log_level: Annotated[str, "Least severe messages that are logged: debug, info, warning or error."] = "info"

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
    ) -> Self:
        """The settings of this process; a value in `overrides` that is not None goes before its variable.

        Raises SettingError when a variable has a value that cannot be used.
        """
        given = {name: value for name, value in (overrides or {}).items() if value is not None}
        home = given.get("home") or environment.get("OPENREK_HOME") or Path.home() / ".openrek"
        home = Path(home).expanduser().absolute()
        values = {"vectorindex_servers": cls.vectorindex_servers}
        for name, kind in typing.get_type_hints(cls).items():
            text = environment.get(variable(name))
            if text:
                values[name] = _parse(name, kind, text)
        defaults = _home_defaults(home, values["vectorindex_servers"])
        settings = cls(**{**defaults, **values, **given, "home": home})
        _check(settings)
        return settings

    @property
    def endpoint(self) -> str:
        """The API's URL for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def more_face_packs(self) -> tuple[str, ...]:
        """The packs of `face_packs`."""
        return tuple(name.strip() for name in self.face_packs.split(",") if name.strip())

    def is_own(self, name: str) -> bool:
        """Whether the address `name` is the one inside the home folder, so that its server is ours to start."""
        return bool(getattr(self, name) == _home_defaults(self.home, self.vectorindex_servers)[name])

    @property
    def vectorindex_urls(self) -> tuple[str, ...]:
        """The addresses of the vector index servers."""
        return tuple(url.strip() for url in self.vectorindex_url.split(","))


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}.get(name, f"OPENREK_{name.upper()}")


def one_thread_for_numpy() -> None:
    """Holds matrix products to the calling thread. NumPy reads this when it is loaded, so not afterwards."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"


def environment_of_children(settings: Settings) -> dict[str, str]:
    """The environment in which a process started by us reads the same settings."""
    given_on_the_command_line = {
        name: str(getattr(settings, name)) for name in ("home", "host", "port", "region", "auth")
    }
    return {**os.environ, **{variable(name): value for name, value in given_on_the_command_line.items()}}


def socket_base(home: Path) -> Path:
    """The folder above the folders of Unix sockets of one home: the home itself, or a private one under the system's
    temporary folder when the home's path is too long for a socket's address."""
    if len(os.fsencode(f"{home}{LONGEST_SOCKET_NAME}")) <= LONGEST_SOCKET_PATH_BYTES:
        return home
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"openrek-{digest}"


def sockets(home: Path) -> Path:
    """Folder of our own processes' sockets."""
    return socket_base(home) / "run"


def postgres_sockets(home: Path) -> Path:
    """Folder of PostgreSQL's socket, apart from ours, since another user may have to run it."""
    return socket_base(home) / "run-postgres"


def markdown() -> str:
    """The page docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, read once at start. An empty one counts as not given.",
        "This page is printed by `openrek settings`.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, kind in typing.get_type_hints(Settings, include_extras=True).items():
        doc, *shown = kind.__metadata__
        lines.append(f"| `{variable(name)}` | {shown[0] if shown else _shown(getattr(Settings, name))} | {doc} |")
    return "\n".join(lines) + "\n"


def _shown(default: Any) -> str:
    return "none" if default is None else f"`{default}`"


def _home_defaults(home: Path, vectorindex_servers: int) -> dict[str, Any]:
    numbers = [""] if vectorindex_servers == 1 else [f"-{number}" for number in range(1, vectorindex_servers + 1)]
    host = urllib.parse.quote(str(postgres_sockets(home)))
    return {
        "home": home,
        "database_url": f"postgresql://openrek@/openrek?host={host}",
        "redis_url": f"unix://{urllib.parse.quote(str(sockets(home)))}/valkey.sock",
        "inference_url": f"unix://{sockets(home)}/inference.sock",
        "vectorindex_url": ",".join(f"unix://{sockets(home)}/vectorindex{number}.sock" for number in numbers),
        "models_dir": home / "models",
        "secret_key_file": home / "secret.key",
    }


def _parse(name: str, kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(choice for choice in typing.get_args(kind) if choice is not types.NoneType)
    if kind is Path:
        return Path(text).expanduser().absolute()
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise SettingError(f"{variable(name)} must be {expected}, not {text!r}") from None


def _check(settings: Settings) -> None:
    def require(name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise SettingError(f"{variable(name)} must be {expected}, not {getattr(settings, name)!r}")

    require("port", 0 < settings.port < 65536, "between 1 and 65535")
    require("account", len(settings.account) == 12 and settings.account.isdecimal(), "12 digits")
    require("log_level", settings.log_level in ("debug", "info", "warning", "error"), "debug, info, warning or error")
    require("auth", settings.auth in ("sigv4", "none"), "sigv4 or none")
    if settings.auth == "none":
        require("host", _is_loopback(settings.host), "an address of this machine alone while OPENREK_AUTH is none")
    devices = ("cpu", "cuda", "tensorrt", "torch-cpu", "torch-cuda")
    require("inference_device", settings.inference_device in devices, "one of " + ", ".join(devices))
    require("vectorindex_device", settings.vectorindex_device in ("cpu", "cuda"), "cpu or cuda")
    for name in (
        "max_body_bytes",
        "api_processes",
        "api_threads",
        "api_queue_limit",
        "collection_limit",
        "face_limit",
        "user_limit",
        "database_connections",
        "inference_threads",
        "inference_queue_limit",
        "inference_queue_megapixels",
        "vectorindex_servers",
        "vectorindex_copies",
        "vectorindex_memory_megabytes",
        "worker_processes",
        "job_limit",
        "video_frames_in_flight",
    ):
        require(name, getattr(settings, name) is None or getattr(settings, name) >= 1, "1 or more")
    require("inference_kept_megapixels", settings.inference_kept_megapixels >= 0, "0 or more")
    for name in (
        "account_requests_per_second",
        "database_statement_seconds",
        "vectorindex_poll_seconds",
        "job_lease_seconds",
        "job_results_days",
        "video_part_seconds",
        "video_frames_per_second",
        "video_moderation_frames_per_second",
        "video_text_frames_per_second",
        "stop_seconds",
    ):
        require(name, getattr(settings, name) is None or getattr(settings, name) > 0, "more than 0")
    if settings.webhook_url is not None:
        require("webhook_url", settings.webhook_url.startswith(("http://", "https://")), "an http or https address")
        require("webhook_url", settings.sns_endpoint_url is None, "absent where OPENREK_SNS_ENDPOINT_URL is given")
        if not settings.webhook_secret:
            raise SettingError("OPENREK_WEBHOOK_URL needs OPENREK_WEBHOOK_SECRET, which signs what is posted")
    urls = settings.vectorindex_urls
    require(
        "vectorindex_url", all(urls) and len(set(urls)) == len(urls), "different addresses with commas between them"
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
