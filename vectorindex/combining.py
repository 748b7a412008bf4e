"""Callers of one function share its calls: while some run, all who come are gathered for the next one.

There is no waiting knob: a caller who finds a free lane is served at once. (After flat combining, Hendler and others,
2010: whoever has the turn does the work of all who wait.)
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Entry(Generic[Question, Answer]):
    question: Question
    taken: bool = False
    done: bool = False
    answer: Answer | None = None
    error: BaseException | None = None


class Combined(Generic[Question, Answer]):
    """`answer_all` takes 1 to `most` questions and returns one answer for each; `lanes` of its calls run at once."""

    def __init__(self, answer_all: Callable[[list[Question]], list[Answer]], lanes: int, most: int) -> None:
        self._answer_all = answer_all
        self._most = most
        self._free_lanes = lanes
        self._waiting: list[_Entry[Question, Answer]] = []
        self._changed = threading.Condition()

    def __call__(self, question: Question) -> Answer:
        """The answer for one question. Raises what `answer_all` raised for it and those it went with."""
        own: _Entry[Question, Answer] = _Entry(question)
        with self._changed:
            self._waiting.append(own)
        while not own.done:
            if batch := self._next_batch(own):
                self._answer(batch)
        if own.error is not None:
            raise own.error
        return cast(Answer, own.answer)

    def _next_batch(self, own: _Entry[Question, Answer]) -> list[_Entry[Question, Answer]]:
        """Waits for a free lane, and takes it with those who wait; none when `own` is done before that."""
        with self._changed:
            self._changed.wait_for(lambda: own.done or (self._free_lanes and not own.taken))
            if own.done:
                return []
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._free_lanes -= 1
            for entry in batch:
                entry.taken = True
            return batch

    def _answer(self, batch: list[_Entry[Question, Answer]]) -> None:
        answers: list[Answer | None] = [None] * len(batch)
        failure: BaseException | None = None
        try:
            answers[:] = self._answer_all([entry.question for entry in batch])
        except BaseException as error:
            failure = error
        with self._changed:
            self._free_lanes += 1
            for entry, answer in zip(batch, answers, strict=True):
                entry.answer, entry.error, entry.done = answer, failure, True
            self._changed.notify_all()
