"""What can be found in videos, by kind of job."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from inference.video.types import Part, VideoInfo
from storage.jobs import Job, Result
from workers.analyses import celebrities, face_search, faces, labels, moderation, persons, text
from workers.services import WorkerServices


@dataclass(frozen=True)
class Analysis:
    """`look` gives the encoded observations of one part of a video, each of a single frame or of neighbouring ones, in
    order; `conclude` makes the results, in the order of time, from those of all parts. All that has a state over time
    is in `conclude`, so results do not depend on how a video was split or by how many workers it was seen."""

    look: Callable[[BinaryIO, Part, Job, WorkerServices], Iterator[bytes]]
    conclude: Callable[[Iterable[bytes], Job, VideoInfo, WorkerServices], Iterator[Result]]


ANALYSES: Mapping[str, Analysis] = {
    "celebrities": Analysis(celebrities.look, celebrities.conclude),
    "face_search": Analysis(face_search.look, face_search.conclude),
    "faces": Analysis(faces.look, faces.conclude),
    "labels": Analysis(labels.look, labels.conclude),
    "moderation": Analysis(moderation.look, moderation.conclude),
    "persons": Analysis(persons.look, persons.conclude),
    "text": Analysis(text.look, text.conclude),
}
