"""What may be unwelcome in a picture: explicit and suggestive scenes, weapons, alcohol and the like."""

import asyncio
from dataclasses import dataclass

import numpy as np

from inference.batcher import Batcher
from inference.cores import Cores
from inference.models import body_parts, explicit_classifier
from inference.models.body_parts import BodyParts
from inference.models.explicit_classifier import Explicitness
from inference.models.image_classifier import Classes
from inference.models.object_detector import CLASSES, Objects
from inference.pictures import Picture
from inference.pipelines import scene
from inference.pipelines.scene import SceneNetworks
from inference.taxonomy.moderation import ILLUSTRATED, TREE
from inference.types import Confident, ModerationResult, Pixels

PERSON_SCORE = 0.45
"""Of a person that the detector sees; without one, bare cardboard, sand and snakes look like skin to the networks."""


@dataclass(frozen=True)
class ModerationNetworks:
    """The queues of the networks; that of the optional pack is None where it is not installed."""

    explicit: Batcher[Pixels, Explicitness]
    body_parts: Batcher[Pixels, BodyParts] | None
    scene: SceneNetworks
    chores: Cores


async def moderate(picture: Picture, networks: ModerationNetworks) -> ModerationResult:
    """The moderation labels of a picture, ancestors included, surest first. Raises Overloaded."""
    return await picture.once("moderation", lambda: _moderate(picture, networks))


async def _moderate(picture: Picture, networks: ModerationNetworks) -> ModerationResult:
    explicitness, parts, seen, classes = await asyncio.gather(
        _explicitness(picture.pixels, networks),
        _body_parts(picture.pixels, networks),
        scene.objects(picture, networks.scene),
        scene.classes(picture, networks.scene),
    )
    found = judge(explicitness, parts, _person_score(seen), classes)
    labels = [
        Confident(name, confidence)
        for name, confidence in sorted(TREE.closed(found).items(), key=lambda item: (-item[1], -TREE.level(item[0])))
    ]
    drawn = TREE.confidence("drawn", explicitness.drawn + explicitness.drawn_explicit)
    return ModerationResult(tuple(labels), (Confident(ILLUSTRATED, drawn),))


def judge(explicitness: Explicitness, parts: BodyParts | None, person: float, classes: Classes) -> dict[str, float]:
    """The confidences, 0..100, of what the networks see themselves; ancestors follow from them."""
    explicit = explicitness.explicit + explicitness.drawn_explicit
    who = "with_a_person" if person >= PERSON_SCORE else "without_a_person"
    found = {
        "Explicit": TREE.confidence(f"explicit_{who}", explicit),
        "Swimwear or Underwear": TREE.confidence("suggestive", explicitness.suggestive),
    }
    probabilities = _softmax(classes.logits)
    for label, numbers in TREE.classes.items():
        seen = TREE.confidence("classes", float(probabilities[list(numbers)].sum()))
        found[label] = max(seen, found.get(label, 0.0))
    if parts is not None:
        for label, names in TREE.body_parts.items():
            found[label] = TREE.confidence(f"body_parts_{who}", parts.best(names))
    return found


def _person_score(seen: Objects) -> float:
    of_people = seen.scores[seen.classes == CLASSES.index("person")]
    return float(of_people.max(initial=0.0))


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64) - logits.max())
    probabilities: np.ndarray = raised / raised.sum()
    return probabilities


async def _explicitness(image: Pixels, networks: ModerationNetworks) -> Explicitness:
    """The mean over the views."""
    views = await networks.chores.run(explicit_classifier.views, image)
    seen = await networks.explicit.submit_all(views)
    return Explicitness(*np.mean([list(vars(one).values()) for one in seen], axis=0).tolist())


async def _body_parts(image: Pixels, networks: ModerationNetworks) -> BodyParts | None:
    if networks.body_parts is None:
        return None
    fitted = await networks.chores.run(body_parts.fit, image)
    return await networks.body_parts.submit(fitted)
