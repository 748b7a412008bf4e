"""Asks an endpoint about all pictures of a labelled set, several at a time, with a progress bar."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from tqdm import tqdm

from benchmarks.accuracy.labelled_sets import LabelledSet
from benchmarks.accuracy.verification import THREADS, large_enough

One = TypeVar("One")
Answer = TypeVar("Answer")


class Refused(Exception):
    """The endpoint answered with an error, which the message has, with what was asked about."""


def each(title: str, things: Sequence[One], ask: Callable[[One], Answer], name: Callable[[One], str]) -> list[Answer]:
    """The answers in the order of the things. Raises Refused, which names the thing, at the first error."""

    def asked(thing: One) -> Answer:
        try:
            return ask(thing)
        except ClientError as error:
            raise Refused(f"{error.response['Error']['Code']} ({name(thing)})") from error

    with ThreadPoolExecutor(THREADS) as threads:
        shown = tqdm(threads.map(asked, things), total=len(things), desc=title, file=sys.stderr, leave=False)
        try:
            return list(shown)
        except Refused:
            threads.shutdown(cancel_futures=True)
            raise


def about_items(data: LabelledSet, task: str, ask: Callable[[dict[str, Any], bytes], Answer]) -> list[Answer]:
    """`ask` is given each item with its picture, which is enlarged when it is smaller than the service takes."""

    def asked(item: dict[str, Any]) -> Answer:
        return ask(item, large_enough(data.picture(item["file"])))

    return each(f"{data.name}: {task}", data.items, asked, lambda item: str(item["file"]))
