"""Every network of a pack, loaded, each behind its batch queue."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from inference import figures, similarity
from inference.batcher import Batcher
from inference.cores import Cores
from inference.engine import PARALLEL_BATCHES
from inference.models import (
    body_parts,
    body_pose,
    emotion,
    explicit_classifier,
    face_attributes,
    face_detector,
    face_embedder,
    face_mesh,
    image_classifier,
    iris,
    object_detector,
    protective_equipment_detector,
    text_detector,
    text_orientation,
    text_recognizer,
)
from inference.packs import catalogue
from inference.packs.errors import ModelMissing
from inference.packs.store import network_path
from inference.pipelines import labels
from inference.pipelines.face_attributes import AttributeNetworks
from inference.pipelines.faces import FaceNetworks
from inference.pipelines.labels import LabelNetworks
from inference.pipelines.moderation import ModerationNetworks
from inference.pipelines.persons import PersonNetworks
from inference.pipelines.protective_equipment import EquipmentNetworks, OwnDetector
from inference.pipelines.scene import SceneNetworks
from inference.pipelines.text import TextNetworks
from inference.types import Embedding, Pixels

CROPS_PER_PICTURE = 16
"""Room in the queues of networks that see crops, for each picture that may be in work."""
BOXES_PER_PICTURE = 300
"""The same for networks that read text."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ModelServerSettings:
    """`url`: unix:///path or http://host:port. `pack` and `face_packs` are names of packs or paths of catalogues; of
    the latter only the face embedders are loaded. `device`: a key of engine.DEVICES. `threads`: CPU threads of all
    networks and the pixel work together. `queue_limit` pictures, with `queue_pixels` pixels in all, are in work at
    once; more are refused. Decoded pictures with `kept_pixels` pixels in all are kept for the operations that come
    next."""

    url: str
    models_dir: Path
    pack: str = similarity.DEFAULT_PACK
    face_packs: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 2
    queue_limit: int = 64
    queue_pixels: int = 256_000_000
    kept_pixels: int = 16_000_000


class Network(Protocol[Item, Result]):
    """What every file of `models` loads."""

    max_batch: int

    def predict(self, batch: list[Item], /) -> list[Result]: ...


@dataclass(frozen=True)
class Networks:
    """The queues of all networks, by the task they are for. `chores` runs the pixel work beside them, and where
    `whole_pictures` is set all that is done for a picture."""

    faces: FaceNetworks
    scene: SceneNetworks
    labels: LabelNetworks
    moderation: ModerationNetworks
    text: TextNetworks
    equipment: EquipmentNetworks
    persons: PersonNetworks
    chores: Cores
    whole_pictures: bool


class Loader:
    """Loads the networks of one pack by name and puts a batch queue before each."""

    def __init__(self, settings: ModelServerSettings) -> None:
        self.settings = settings
        self.pack = catalogue.load(settings.pack)
        self.chores = Cores(settings.threads)

    def path(self, network: str) -> Path:
        """Raises packs.errors.ModelMissing."""
        return network_path(self.settings.models_dir, self.pack.name, network)

    def optional_path(self, pack: str, network: str) -> Path | None:
        """The network of a pack that is used where it is installed."""
        try:
            return network_path(self.settings.models_dir, pack, network)
        except ModelMissing:
            return None

    def queue(self, network: Network[Item, Result], per_picture: int) -> Batcher[Item, Result]:
        """With room for so many items for each picture that may be in work.

        On the CPU all networks share the cores with the pixel work; elsewhere each runs one batch at a time.
        """
        limit = self.settings.queue_limit * per_picture
        if self.settings.device == "cpu":
            return Batcher(network.predict, network.max_batch, limit, self.chores.count, self.chores)
        return Batcher(network.predict, network.max_batch, limit, PARALLEL_BATCHES[self.settings.device])


def load(settings: ModelServerSettings) -> Networks:
    """Loads all networks of a pack, and the face embedders of more.

    Raises packs.errors.UnknownPack, packs.errors.ModelMissing, errors.EngineUnavailable; ValueError when two packs have
    one face-model version.
    """
    # There is a thread for each core already; OpenCV's own would come on top.
    cv2.setNumThreads(1)
    loader = Loader(settings)
    faces, seen = _faces(loader), _scene(loader)
    scores, probabilities = (
        similarity.curve(settings.pack, measure) for measure in ("object_score", "class_probability")
    )
    return Networks(
        faces=faces,
        scene=seen,
        labels=labels.of_pack(seen, faces, scores, probabilities),
        moderation=_moderation(loader, seen),
        text=_text(loader),
        equipment=_equipment(loader, faces, seen),
        persons=PersonNetworks(seen, faces, scores, loader.chores),
        chores=loader.chores,
        whole_pictures=settings.device == "cpu",
    )


def _faces(loader: Loader) -> FaceNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    path, queue = loader.path, loader.queue
    embedders = _embedders(loader)
    detector = face_detector.load(path("face_detector"), device, threads)
    return FaceNetworks(
        detector=queue(detector, 1),
        embedder=embedders[loader.pack.face_model_version],
        attributes=AttributeNetworks(
            mesh=queue(face_mesh.load(path("face_mesh"), device), CROPS_PER_PICTURE),
            iris=queue(iris.load(path("iris"), device), 2 * CROPS_PER_PICTURE),
            age_and_gender=queue(face_attributes.load(path("face_attributes"), device, threads), CROPS_PER_PICTURE),
            emotion=queue(emotion.load(path("emotion"), device), CROPS_PER_PICTURE),
        ),
        calibration=similarity.of_pack(loader.settings.pack),
        chores=loader.chores,
        embedders=embedders,
        square=detector.max_batch > 1,
    )


def _embedders(loader: Loader) -> dict[str, Batcher[Pixels, Embedding]]:
    """The face embedders of all packs, by face-model version."""
    settings = loader.settings
    packs = [loader.pack, *map(catalogue.load, settings.face_packs)]
    embedders = {}
    for pack in packs:
        path = network_path(settings.models_dir, pack.name, "face_embedder")
        form = pack.network("face_embedder").input
        network = face_embedder.load(path, settings.device, settings.threads, form)
        embedders[pack.face_model_version] = loader.queue(network, CROPS_PER_PICTURE)
    if len(embedders) < len(packs):
        raise ValueError(f"of the packs {', '.join(pack.name for pack in packs)} two have one face-model version")
    return embedders


def _scene(loader: Loader) -> SceneNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    detector = object_detector.load(loader.path("object_detector"), device, threads)
    classifier = image_classifier.load(loader.path("image_classifier"), device, threads)
    return SceneNetworks(
        detector=loader.queue(detector, 1 + figures.MOST_TILES),
        classifier=loader.queue(classifier, 2 * CROPS_PER_PICTURE),
        chores=loader.chores,
    )


def _moderation(loader: Loader, seen: SceneNetworks) -> ModerationNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    explicit = explicit_classifier.load(loader.path("explicit_classifier"), device, threads)
    path = loader.optional_path("nudenet", "body_parts")
    return ModerationNetworks(
        explicit=loader.queue(explicit, 2),
        body_parts=None if path is None else loader.queue(body_parts.load(path, device, threads), 1),
        scene=seen,
        chores=loader.chores,
    )


def _equipment(loader: Loader, faces: FaceNetworks, seen: SceneNetworks) -> EquipmentNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    return EquipmentNetworks(
        pose=loader.queue(body_pose.load(loader.path("body_pose"), device, threads), figures.MOST_CANDIDATES),
        own=_own_equipment_detector(loader),
        faces=faces,
        scene=seen,
        chores=loader.chores,
    )


def _text(loader: Loader) -> TextNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    path, queue = loader.path, loader.queue
    return TextNetworks(
        detector=queue(text_detector.load(path("text_detector"), device, threads), CROPS_PER_PICTURE),
        orientation=queue(text_orientation.load(path("text_orientation"), device), BOXES_PER_PICTURE),
        recognizer=queue(text_recognizer.load(path("text_recognizer"), device, threads), BOXES_PER_PICTURE),
        chores=loader.chores,
    )


def _own_equipment_detector(loader: Loader) -> OwnDetector | None:
    path = loader.optional_path("protective_equipment", "protective_equipment_detector")
    if path is None:
        return None
    network = protective_equipment_detector.load(path, loader.settings.device, loader.settings.threads)
    return OwnDetector(loader.queue(network, 1), network.side)
