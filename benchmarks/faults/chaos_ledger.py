"""What clients know about the faces of a collection, and whether an answer agrees with it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["indexing", "present", "deleting", "deleted"]


@dataclass(frozen=True)
class Entry:
    """One face under its external id. While `indexing` or `deleting`, and if given up then, it may be there or not."""

    owner: int
    picture: bytes
    state: State
    face_id: str | None = None


View = Mapping[str, Entry]


class Ledger:
    """The faces of one collection by external id, each used once. Thread safe; `changed` is set by every change."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self.changed = threading.Event()
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def view(self) -> View:
        """All entries as they are now."""
        with self._lock:
            return dict(self._entries)

    def begin(self, external_id: str, owner: int, picture: bytes) -> None:
        """Note that a face is being indexed."""
        with self._lock:
            self._entries[external_id] = Entry(owner, picture, "indexing")

    def move(self, external_id: str, state: State, face_id: str | None = None) -> None:
        """Note what happened to a face; `face_id` when it becomes known."""
        with self._lock:
            entry = self._entries[external_id]
            self._entries[external_id] = replace(entry, state=state, face_id=face_id or entry.face_id)
        self.changed.set()

    def present(self, owner: int | None = None) -> dict[str, Entry]:
        """The faces that are there for sure, only those of one owner if given."""
        return {
            external_id: entry
            for external_id, entry in self.view().items()
            if entry.state == "present" and owner in (None, entry.owner)
        }


def disagreements(before: View, after: View, found: Iterable[tuple[str, str]], without: str | None = None) -> list[str]:
    """What is wrong with an answer that was asked for after `before` was true and came before `after` was.

    `found`: (external id, face id) of every face in the answer, which should hold them all but the face of the
    external id `without`.
    """
    wrong = []
    seen: dict[str, str] = {}
    for external_id, face_id in found:
        if external_id in seen:
            wrong.append(f"{external_id} is there twice, as {seen[external_id]} and {face_id}")
        seen[external_id] = face_id
        if external_id not in after:
            wrong.append(f"{external_id} was never sent")
        elif external_id in before and before[external_id].state == "deleted":
            wrong.append(f"{external_id} is there again after its deletion was acknowledged")
    for external_id, entry in before.items():
        if entry.state != "present" or after[external_id].state != "present" or external_id == without:
            continue
        if external_id not in seen:
            wrong.append(f"{external_id} is missing, though it was acknowledged as {entry.face_id}")
        elif seen[external_id] != entry.face_id:
            wrong.append(f"{external_id} is {seen[external_id]}, though it was acknowledged as {entry.face_id}")
    return wrong
