"""The `openrek` command."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from inference.packs.errors import PackError
from openrek.errors import OperatorError
from openrek.settings import Settings, markdown
from storage.errors import StorageError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed (the reason is printed), 2 wrong usage."""
    chosen = parser().parse_args(arguments)
    overrides = {name: getattr(chosen, name, None) for name in ("home", "host", "port", "region", "account", "auth")}
    try:
        command: Command = chosen.command
        status = command(chosen, Settings.from_environment(overrides=overrides))
        sys.stdout.flush()
        return status
    except (OperatorError, StorageError, PackError) as error:
        print(f"openrek: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader had enough, as `| head` has. Python would complain once more when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def parser() -> argparse.ArgumentParser:
    """The parser of all sub-commands; each sets `command`."""
    top = argparse.ArgumentParser(
        prog="openrek",
        description="A self-hosted endpoint that speaks the Amazon Rekognition API.",
        epilog="Settings come from environment variables: see `openrek settings`.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _serve_parser(commands)
    _models_parser(commands)
    _keys_parser(commands)
    _buckets_parser(commands)
    _celebrities_parser(commands)
    _collections_parser(commands)
    _jobs_parser(commands)
    _add(commands, "migrate", _migrate, "bring the database's tables up to date", "openrek migrate")
    _add(commands, "prepare", _prepare, "migrate, and make the first access key and its credentials file")
    _add(commands, "settings", _settings, "print every setting as a Markdown page", "openrek settings")
    _add(commands, "operations", _operations, "print the table of all operations as Markdown", "openrek operations")
    _demo_parser(commands)
    _bench_parser(commands)
    _process_parsers(commands)
    return top


def _add(
    commands: Commands,
    name: str,
    command: Command | None,
    summary: str,
    example: str | None = None,
) -> argparse.ArgumentParser:
    added = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"Example: {example or f'openrek {name}'}",
    )
    if command:
        added.set_defaults(command=command)
        added.add_argument("--home", type=Path, help="folder for everything OpenRek writes (default ~/.openrek)")
    return added


def _later(module: str, function: str) -> Command:
    """A command of one of our modules, which is imported when it is called: most commands need few of them."""

    def command(chosen: argparse.Namespace, settings: Settings) -> int:
        called: Command = getattr(import_module(f"openrek.{module}"), function)
        return called(chosen, settings)

    return command


def _serve_parser(commands: Commands) -> None:
    serve = _add(commands, "serve", _serve, "start everything on this machine", "openrek serve --port 9555")
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 9555)")
    _auth_option(serve)
    serve.add_argument("--demo", action="store_true", help="show what it does once it is ready, then go on serving")


def _auth_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--auth", choices=("sigv4", "none"), help="none lets everybody in, on loopback only (default sigv4)"
    )


def _models_parser(commands: Commands) -> None:
    nouns = _add(commands, "models", None, "fetch and check model packs", "openrek models pull base").add_subparsers(
        required=True, metavar="ACTION"
    )
    pull = _add(nouns, "pull", _later("models", "pull"), "fetch, check and install packs", "openrek models pull base")
    pull.add_argument("packs", nargs="+", metavar="pack", help="name of a pack, such as base, or path of a catalogue")
    pull.add_argument(
        "--accept-licence", action="append", default=[], metavar="NAME", help="licence of the pack that you accept"
    )
    _add(nouns, "list", _later("models", "show"), "show the packs that are known and installed", "openrek models list")
    verify = _add(
        nouns, "verify", _later("models", "verify"), "hash the files of a pack again", "openrek models verify base"
    )
    verify.add_argument("pack", help="name of the pack")


def _keys_parser(commands: Commands) -> None:
    nouns = _add(commands, "keys", None, "manage access keys", "openrek keys create").add_subparsers(
        required=True, metavar="ACTION"
    )
    create = _add(
        nouns, "create", _later("keys", "create"), "make an access key", "openrek keys create --account 111122223333"
    )
    create.add_argument("--account", help="AWS account number that the key belongs to (12 digits)")
    create.add_argument(
        "--operations",
        type=_operation_names,
        metavar="NAME,...",
        help="all that the key may call, such as DetectFaces,ListFaces (default: everything)",
    )
    _add(nouns, "list", _later("keys", "show"), "list the access keys", "openrek keys list")
    revoke = _add(
        nouns, "revoke", _later("keys", "revoke"), "make a key invalid", "openrek keys revoke AKIA0123456789ABCDEF"
    )
    revoke.add_argument("access_key_id")


def _operation_names(text: str) -> list[str]:
    from api.model import OPERATIONS

    names = text.split(",")
    if unknown := [name for name in names if name not in OPERATIONS]:
        raise argparse.ArgumentTypeError(f"no operation of the service: {', '.join(unknown)}")
    return names


def _buckets_parser(commands: Commands) -> None:
    nouns = _add(
        commands, "buckets", None, "name folders as S3 buckets", "openrek buckets add photos ~/Pictures"
    ).add_subparsers(required=True, metavar="ACTION")
    add = _add(
        nouns, "add", _later("buckets", "add"), "name a folder as a bucket", "openrek buckets add photos ~/Pictures"
    )
    add.add_argument("name", help="name of the bucket")
    add.add_argument("directory", type=Path, help="folder with the bucket's objects")
    remove = _add(
        nouns, "remove", _later("buckets", "remove"), "forget a bucket (not its files)", "openrek buckets remove photos"
    )
    remove.add_argument("name", help="name of the bucket")
    for noun in (
        add,
        remove,
        _add(nouns, "list", _later("buckets", "show"), "list the buckets", "openrek buckets list"),
    ):
        noun.add_argument("--account", help="AWS account number that sees the bucket")
        noun.add_argument("--region", help="AWS region that the bucket is in")


def _celebrities_parser(commands: Commands) -> None:
    nouns = _add(
        commands, "celebrities", None, "manage the people that RecognizeCelebrities knows", "openrek celebrities list"
    ).add_subparsers(required=True, metavar="ACTION")
    load = _add(
        nouns,
        "import",
        _later("celebrities", "load"),
        "add or renew people from photographs",
        "openrek celebrities import people/",
    )
    load.add_argument("source", type=Path, help="folder with a folder for each person, or a table (CSV)")
    show = _add(nouns, "list", _later("celebrities", "show"), "list the celebrities", "openrek celebrities list")
    remove = _add(
        nouns,
        "remove",
        _later("celebrities", "remove"),
        "remove a celebrity with all vectors",
        "openrek celebrities remove 3Ab9xQ2",
    )
    one = remove.add_mutually_exclusive_group(required=True)
    one.add_argument("celebrity", nargs="?", help="name or id")
    one.add_argument("--all", action="store_true", help="remove the whole gallery")
    export = _add(
        nouns,
        "export",
        _later("celebrities", "export"),
        "write the gallery to a folder, embeddings in place of photographs",
        "openrek celebrities export gallery/",
    )
    export.add_argument("folder", type=Path, help="folder to make and write to")
    for noun in (load, show, remove, export):
        noun.add_argument("--account", help="AWS account number that the gallery belongs to")
        noun.add_argument("--region", help="AWS region that the gallery is in")


def _collections_parser(commands: Commands) -> None:
    nouns = _add(commands, "collections", None, "look after collections", "openrek collections list").add_subparsers(
        required=True, metavar="ACTION"
    )
    show = _add(nouns, "list", _later("collections", "show"), "list the collections", "openrek collections list")
    export = _add(
        nouns,
        "export",
        _later("collection_moves", "export"),
        "write a collection to a file, for another machine",
        "openrek collections export staff staff.rekcoll",
    )
    _name_of_collection(export)
    export.add_argument("file", type=Path, help="file to write (mode 0600): faces, vectors, users and tags")
    export.add_argument(
        "--with-crops", action="store_true", help="also the crops that are kept: pictures of faces, no longer encrypted"
    )
    import_ = _add(
        nouns,
        "import",
        _later("collection_moves", "import_"),
        "make a collection from a file",
        "openrek collections import staff.rekcoll --as staff-2",
    )
    import_.add_argument("file", type=Path, help="file that `openrek collections export` wrote")
    import_.add_argument("--as", dest="new_name", metavar="NAME", help="name of the collection, if not the one it had")
    verify = _add(
        nouns,
        "verify",
        _later("collection_checks", "verify"),
        "prove that the index and the rows of a collection agree",
        "openrek collections verify staff",
    )
    _name_of_collection(verify)
    keep = _add(
        nouns,
        "keep-crops",
        _later("collections", "keep_crops"),
        "keep encrypted crops of the faces indexed from now on, or remove those kept",
        "openrek collections keep-crops staff on",
    )
    _name_of_collection(keep)
    keep.add_argument("kept", choices=("on", "off"), help="off also removes those that were kept")
    for noun in (show, export, import_, verify, keep, _reembed_parser(nouns)):
        noun.add_argument("--account", help="AWS account number that the collection belongs to")
        noun.add_argument("--region", help="AWS region that the collection is in")


def _reembed_parser(nouns: Commands) -> argparse.ArgumentParser:
    reembed = _add(
        nouns,
        "reembed",
        _later("reembedding", "run"),
        "move a collection to another face model, from kept crops or from its images",
        "openrek collections reembed staff --to 7.2 --images photos/staff",
    )
    _name_of_collection(reembed)
    reembed.add_argument(
        "--to", dest="version", required=True, metavar="VERSION", help="face-model version that the model server has"
    )
    reembed.add_argument("--images", metavar="BUCKET[/PREFIX]", help="where the images lie that were indexed")
    reembed.add_argument(
        "--drop-missing", action="store_true", help="delete the faces that have neither a crop nor an image"
    )
    return reembed


def _name_of_collection(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help="name of the collection")


def _jobs_parser(commands: Commands) -> None:
    nouns = _add(commands, "jobs", None, "see and cancel jobs on videos", "openrek jobs list").add_subparsers(
        required=True, metavar="ACTION"
    )
    list_ = _add(nouns, "list", _later("jobs", "show_all"), "list the latest jobs", "openrek jobs list --limit 100")
    list_.add_argument("--limit", type=int, default=20, help="how many, latest first (default 20)")
    show = _add(nouns, "show", _later("jobs", "show"), "show a job", "openrek jobs show 0f3c...9a --wait")
    show.add_argument("--wait", action="store_true", help="show the progress until it has ended")
    cancel = _add(
        nouns, "cancel", _later("jobs", "cancel"), "end a running job as failed", "openrek jobs cancel 0f3c...9a"
    )
    for noun in (show, cancel):
        noun.add_argument("job_id", metavar="JOB_ID", help="id of the job")
    for noun in (list_, show, cancel):
        noun.add_argument("--account", help="AWS account number that the job belongs to")
        noun.add_argument("--region", help="AWS region that the job is in")


def _demo_parser(commands: Commands) -> None:
    demo = _add(commands, "demo", _demo, "show what a running server does", "openrek demo --output demo")
    demo.add_argument("--host", help="address of the server (default 127.0.0.1)")
    demo.add_argument("--port", type=int, help="port of the server (default 9555)")
    demo.add_argument("--output", type=Path, default=Path("demo"), help="folder for what it makes (default ./demo)")


def _bench_parser(commands: Commands) -> None:
    from benchmarks.harness.kinds import KINDS

    bench = _add(commands, "bench", None, "measure this machine or an endpoint", "openrek bench protocol")
    nouns = bench.add_subparsers(required=True, metavar="WHAT")
    for kind, (_, summary, options) in KINDS.items():
        noun = _add(nouns, kind, _later("bench", "run"), f"measure {summary}", f"openrek bench {kind} {options}")
        noun.set_defaults(kind=kind)
        _bench_options(noun)
    report = _add(
        nouns,
        "report",
        _later("bench", "write_report"),
        "write a page with tables and plots on all stored runs",
        "openrek bench report --output REPORT.md",
    )
    report.add_argument("--results", type=Path, help="folder of the runs (default HOME/bench)")
    report.add_argument("--output", type=Path, help="file to write (default REPORT.md beside the runs)")


def _bench_options(noun: argparse.ArgumentParser) -> None:
    noun.add_argument(
        "--definition", type=Path, metavar="FILE", help="what to measure (default the one that comes along)"
    )
    noun.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="endpoint to measure, repeated for several in turns (default a stack of its own, thrown away afterwards)",
    )
    noun.add_argument("--region", help="AWS region that requests are signed for")
    noun.add_argument(
        "--credentials", type=Path, metavar="FILE", help="shared-credentials file; profile NAME or default"
    )
    noun.add_argument(
        "--pack",
        action="append",
        default=[],
        metavar="NAME",
        help="model pack of its own stack; of accuracy repeated, for a stack each",
    )
    noun.add_argument("--data", type=Path, metavar="FOLDER", help="your own pictures, clips or labelled sets")
    noun.add_argument("--name", help="name of the stored run (default that of the definition)")
    noun.add_argument("--results", type=Path, metavar="FOLDER", help="where runs are stored (default HOME/bench)")
    noun.add_argument("--json", action="store_true", help="print the stored run instead of tables")
    noun.add_argument("--fresh", action="store_true", help="begin anew instead of continuing an unfinished run")


def _process_parsers(commands: Commands) -> None:
    api = _add(commands, "api", _later("parts", "api"), "run one API process", "openrek api --host 0.0.0.0 --port 9555")
    api.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    api.add_argument("--port", type=int, help="port to listen on (default 9555)")
    _auth_option(api)
    api.add_argument("--socket", type=int, metavar="FD", help="listening socket to use, inherited from the parent")
    _add(commands, "inference", _later("parts", "inference"), "run the model server")
    vectorindex = _add(commands, "vectorindex", _later("parts", "vectorindex"), "run a vector index server")
    vectorindex.add_argument(
        "--url", help="which of the addresses in OPENREK_VECTORINDEX_URL it serves (default the only one)"
    )
    worker = _add(commands, "worker", _later("parts", "worker"), "run a worker for background jobs")
    worker.add_argument("--name", default="worker", help="name, its own on this machine (default worker)")


def _serve(chosen: argparse.Namespace, settings: Settings) -> int:
    from openrek import stack

    return stack.run(settings, chosen.demo)


def _migrate(_: argparse.Namespace, settings: Settings) -> int:
    from storage import migrations

    done = migrations.apply(settings.database_url, lambda step: print(f"applied {step.name}"))
    print(f"the database is up to date ({len(done)} applied now)")
    return 0


def _prepare(chosen: argparse.Namespace, settings: Settings) -> int:
    from openrek import keys

    return _migrate(chosen, settings) or keys.make_first(chosen, settings)


def _settings(_: argparse.Namespace, __: Settings) -> int:
    print(markdown(), end="")
    return 0


def _operations(_: argparse.Namespace, __: Settings) -> int:
    from openrek import operations

    print(operations.markdown(), end="")
    return 0


def _demo(chosen: argparse.Namespace, settings: Settings) -> int:
    from openrek import home
    from openrek.demo import run as demo

    return demo.run(settings.endpoint, settings.region, home.credentials(settings.home), chosen.output)
