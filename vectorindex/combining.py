"""Callers of one function share its calls: while some run, all who come are gathered for the next one.

There is no waiting knob: a caller who finds a free lane is served at once. (After flat combining, Hendler and others,
2010: whoever has the turn does the work of all who wait.) Those who were answered wake one another in turn, and the
last one the lane's next owner: all at once they would compete for the interpreter, with each other and with that one.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False, slots=True)
class _Entry(Generic[Question, Answer]):
    """A caller who waits, at `called`, for the answer or for a lane to find it in."""

    question: Question
    called: threading.Lock = field(default_factory=_closed)
    answer: Answer | None = None
    error: BaseException | None = None
    # Once there is an answer: what its owner does first.
    wake_next: Callable[[], None] | None = None


class Combined(Generic[Question, Answer]):
    """`answer_all` takes 1 to `most` questions and returns one answer for each; `lanes` of its calls run at once."""

    def __init__(self, answer_all: Callable[[list[Question]], list[Answer]], lanes: int, most: int) -> None:
        self._answer_all = answer_all
        self._most = most
        self._free_lanes = lanes
        # Those whose question nobody took yet. While there are any, no lane is free.
        self._waiting: list[_Entry[Question, Answer]] = []
        self._lock = threading.Lock()

    def __call__(self, question: Question) -> Answer:
        """The answer for one question. Raises what `answer_all` raised for it and those it went with."""
        with self._lock:
            is_alone = self._free_lanes > 0
            if is_alone:
                self._free_lanes -= 1
            else:
                own: _Entry[Question, Answer] = _Entry(question)
                self._waiting.append(own)
        if is_alone:
            try:
                return self._answer_all([question])[0]
            finally:
                self._pass_lane_on()
        own.called.acquire()
        wake_next = own.wake_next or self._answer_with_others(own)
        wake_next()
        if own.error is not None:
            raise own.error
        return cast(Answer, own.answer)

    def _answer_with_others(self, own: _Entry[Question, Answer]) -> Callable[[], None]:
        """Uses the lane that `own` was given, also for those who wait; returns what to do first then."""
        with self._lock:
            others, self._waiting = self._waiting[: self._most - 1], self._waiting[self._most - 1 :]
        batch = [own, *others]
        try:
            for entry, answer in zip(batch, self._answer_all([entry.question for entry in batch]), strict=True):
                entry.answer = answer
        except BaseException as error:
            for entry in batch:
                entry.error = error
        first, *rest = [*(entry.called.release for entry in others), self._pass_lane_on]
        for entry, wake_next in zip(others, rest, strict=True):
            entry.wake_next = wake_next
        return first

    def _pass_lane_on(self) -> None:
        """To the one who waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.pop(0).called.release()
            else:
                self._free_lanes += 1
