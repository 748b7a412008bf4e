"""The table of all operations in the README, made from the handlers' docstrings."""

import inspect
import re

from api.model import OPERATIONS
from api.operations import HANDLERS
from inference.packs import catalogue

NOT_BUILT = "not yet: answers `UnsupportedOperationException`"


def markdown() -> str:
    """One row for each operation of the service model, sorted by name."""
    built = len(HANDLERS)
    rows = [f"| {name} | {_what(name)} | {_networks(name)} |" for name in sorted(OPERATIONS)]
    return "\n".join(
        [
            f"{built} of {len(OPERATIONS)} operations do their work; all are routed, signed, parsed and validated.",
            "",
            "| operation | what it does | networks (pack) |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _what(name: str) -> str:
    if name not in HANDLERS:
        return NOT_BUILT
    return (inspect.getdoc(HANDLERS[name]) or "").partition("\n\n")[0].replace("\n", " ")


def _networks(name: str) -> str:
    if name not in HANDLERS:
        return ""
    found = re.search(r"^Networks: (.*)\.$", inspect.getdoc(HANDLERS[name]) or "", re.MULTILINE)
    if found is None:
        return "none"
    return ", ".join(f"{network} ({_pack(network)})" for network in found[1].split(", "))


def _pack(network: str) -> str:
    """The first pack that brings a network. Raises ValueError when a docstring names one that no pack has."""
    for pack in catalogue.names():
        if network in (known.name for known in catalogue.load(pack).networks):
            return pack
    raise ValueError(f"no pack has the network {network}")
