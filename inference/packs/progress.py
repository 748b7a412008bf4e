"""Tells the person who waits for a pull how far it is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm


@dataclass(frozen=True)
class Event:
    """Work on one source or network: begun, got somewhere, or finished (`done` of `total` steps so far)."""

    text: str
    done: int
    total: int
    stage: str  # "begin" | "advance" | "finish"


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Progress that nobody watches."""


@contextmanager
def terminal(title: str) -> Iterator[Progress]:
    """A progress bar on a terminal's stderr; plain lines, one per finished step, when it is not a terminal."""
    if not sys.stderr.isatty():
        yield _print_lines
        return
    with tqdm(desc=title, unit="step", bar_format="{desc}: {n_fmt}/{total_fmt} |{bar:20}| {elapsed}{postfix}") as bar:

        def show(event: Event) -> None:
            bar.total = event.total
            bar.n = event.done
            bar.set_postfix_str(event.text, refresh=True)

        yield show


def _print_lines(event: Event) -> None:
    if event.stage != "advance":
        mark = f"[{event.done}/{event.total}]" if event.stage == "finish" else "       "
        print(f"{mark} {event.text}", file=sys.stderr, flush=True)
