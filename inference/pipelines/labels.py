"""Labels of one picture: what every tagger says, brought together under one hierarchy; and the picture's properties.

A tagger is any network that has something to say of a whole picture in names of the taxonomy. Those of a pack are made
below; another one, such as an open-vocabulary network over all names, is one more entry of LabelNetworks.taggers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from inference import image_properties, sightings
from inference.batcher import together
from inference.cores import Cores
from inference.image_properties import View
from inference.pictures import Picture
from inference.pipelines import people, scene
from inference.pipelines.faces import FaceNetworks
from inference.pipelines.request import LabelsRequest
from inference.pipelines.scene import SceneNetworks
from inference.sightings import Sightings
from inference.similarity import Curve
from inference.types import Label, LabelsResult, Pixels

LEAST_FOREGROUND_CONFIDENCE = 55.0

Tagger = Callable[[Picture], Awaitable[Sightings]]


@dataclass(frozen=True)
class LabelNetworks:
    """What the boxes of `finder`, which is one of `taggers`, hold is a picture's foreground."""

    taggers: tuple[Tagger, ...]
    finder: Tagger
    chores: Cores


def of_pack(scenes: SceneNetworks, faces: FaceNetworks, scores: Curve, probabilities: Curve) -> LabelNetworks:
    """With the taggers of a pack: object detector, image classifier, face networks. The curves calibrate the scores of
    the first and the probabilities of the second."""

    async def look(picture: Picture) -> Sightings:
        return sightings.of_objects(sightings.distinct(await scene.objects(picture, scenes)), scores)

    async def objects(picture: Picture) -> Sightings:
        return await picture.once("labels of objects", lambda: look(picture))

    async def classes(picture: Picture) -> Sightings:
        return sightings.of_classes(await scene.classes(picture, scenes), probabilities)

    async def persons(picture: Picture) -> Sightings:
        return await people.find_people(picture, await objects(picture), faces)

    return LabelNetworks((objects, classes, persons), objects, scenes.chores)


async def find_labels(picture: Picture, request: LabelsRequest, networks: LabelNetworks) -> LabelsResult:
    """What was asked for of a picture. Raises Overloaded, and KeyError for a tagger's name that is no label."""
    taggers = networks.taggers if request.labels else (networks.finder,)
    said = dict(zip(taggers, await together(_say(tagger, picture) for tagger in taggers), strict=True))
    labels = sightings.to_labels(said.values(), request.min_confidence) if request.labels else ()
    if not request.properties:
        return LabelsResult(labels)
    return await networks.chores.run(
        _with_properties, picture.pixels, labels, said[networks.finder], request.max_colors
    )


async def _say(tagger: Tagger, picture: Picture) -> Sightings:
    return await tagger(picture)


def _with_properties(image: Pixels, labels: tuple[Label, ...], found: Sightings, most_colors: int) -> LabelsResult:
    """The labels with the colours of what the finder found, none for the other boxes; and the picture's properties."""
    foreground = [
        instance.box
        for some in found.instances.values()
        for instance in some
        if instance.confidence >= LEAST_FOREGROUND_CONFIDENCE
    ]
    seen = image_properties.view(image)
    coloured = tuple(_coloured(label, seen, most_colors if label.name in found.instances else 0) for label in labels)
    return LabelsResult(coloured, image_properties.measure(seen, foreground, most_colors))


def _coloured(label: Label, seen: View, most_colors: int) -> Label:
    boxes = [instance.box for instance in label.instances]
    colors = image_properties.box_colors(seen, boxes, most_colors)
    pairs = zip(label.instances, colors, strict=True)
    return replace(label, instances=tuple(replace(instance, colors=some) for instance, some in pairs))
