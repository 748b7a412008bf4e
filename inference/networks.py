"""Every network of a pack, loaded, each behind its batch queue."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from inference import figures, similarity
from inference.batcher import Batcher
from inference.engine import PARALLEL_BATCHES
from inference.models import (
    body_pose,
    emotion,
    face_attributes,
    face_detector,
    face_embedder,
    face_mesh,
    image_classifier,
    iris,
    object_detector,
    protective_equipment_detector,
)
from inference.packs.errors import ModelMissing
from inference.packs.store import network_path
from inference.pipelines.face_attributes import AttributeNetworks
from inference.pipelines.faces import FaceNetworks
from inference.pipelines.protective_equipment import EquipmentNetworks, OwnDetector
from inference.pipelines.scene import SceneNetworks

CROPS_PER_PICTURE = 16
"""Room in the queues of networks that see crops, for each picture that may be in work."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ModelServerSettings:
    """`url`: unix:///path or http://host:port. `device`: a key of engine.DEVICES. `threads`: CPU threads of one
    network, and of the pixel work. `queue_limit` pictures, with `queue_pixels` pixels in all, are in work at once; more
    are refused. Decoded pictures with `kept_pixels` pixels in all are kept for the operations that come next."""

    url: str
    models_dir: Path
    pack: str = similarity.DEFAULT_PACK
    device: str = "cpu"
    threads: int = 2
    queue_limit: int = 64
    queue_pixels: int = 256_000_000
    kept_pixels: int = 32_000_000


class Network(Protocol[Item, Result]):
    """What every file of `models` loads."""

    max_batch: int

    def predict(self, batch: list[Item], /) -> list[Result]: ...


@dataclass(frozen=True)
class Networks:
    """The queues of all networks, by the task they are for. `chores` runs the pixel work beside them."""

    faces: FaceNetworks
    scene: SceneNetworks
    equipment: EquipmentNetworks
    chores: Executor


class Loader:
    """Loads the networks of one pack by name and puts a batch queue before each."""

    def __init__(self, settings: ModelServerSettings) -> None:
        self.settings = settings
        self.chores = ThreadPoolExecutor(settings.threads, thread_name_prefix="pixels")

    def path(self, network: str) -> Path:
        """Raises packs.errors.ModelMissing."""
        return network_path(self.settings.models_dir, self.settings.pack, network)

    def optional_path(self, pack: str, network: str) -> Path | None:
        """The network of a pack that is used where it is installed."""
        try:
            return network_path(self.settings.models_dir, pack, network)
        except ModelMissing:
            return None

    def queue(self, network: Network[Item, Result], per_picture: int) -> Batcher[Item, Result]:
        """With room for so many items for each picture that may be in work."""
        limit = self.settings.queue_limit * per_picture
        return Batcher(network.predict, network.max_batch, limit, PARALLEL_BATCHES[self.settings.device])


def load(settings: ModelServerSettings) -> Networks:
    """Loads all networks of a pack. Raises packs.errors.ModelMissing, errors.EngineUnavailable."""
    loader = Loader(settings)
    faces, seen = _faces(loader), _scene(loader)
    return Networks(faces=faces, scene=seen, equipment=_equipment(loader, faces, seen), chores=loader.chores)


def _faces(loader: Loader) -> FaceNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    path, queue = loader.path, loader.queue
    detector = face_detector.load(path("face_detector"), device, threads)
    return FaceNetworks(
        detector=queue(detector, 1),
        embedder=queue(face_embedder.load(path("face_embedder"), device, threads), CROPS_PER_PICTURE),
        attributes=AttributeNetworks(
            mesh=queue(face_mesh.load(path("face_mesh"), device, threads), CROPS_PER_PICTURE),
            iris=queue(iris.load(path("iris"), device, threads), 2 * CROPS_PER_PICTURE),
            age_and_gender=queue(face_attributes.load(path("face_attributes"), device, threads), CROPS_PER_PICTURE),
            emotion=queue(emotion.load(path("emotion"), device, threads), CROPS_PER_PICTURE),
        ),
        calibration=similarity.of_pack(loader.settings.pack),
        chores=loader.chores,
        square=detector.max_batch > 1,
    )


def _scene(loader: Loader) -> SceneNetworks:
    device, threads = loader.settings.device, loader.settings.threads
    detector = object_detector.load(loader.path("object_detector"), device, threads)
    classifier = image_classifier.load(loader.path("image_classifier"), device, threads)
    return SceneNetworks(
        detector=loader.queue(detector, 1 + figures.MOST_TILES),
        classifier=loader.queue(classifier, 2 * CROPS_PER_PICTURE),
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


def _own_equipment_detector(loader: Loader) -> OwnDetector | None:
    path = loader.optional_path("protective_equipment", "protective_equipment_detector")
    if path is None:
        return None
    network = protective_equipment_detector.load(path, loader.settings.device, loader.settings.threads)
    return OwnDetector(loader.queue(network, 1), network.side)
