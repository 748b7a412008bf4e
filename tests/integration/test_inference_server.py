"""The model server with its real networks, over its socket."""

import gc
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request

from inference import networks, raw_frames, similarity
from inference.client import InferenceClient
from inference.cores import Cores
from inference.engine import DEVICES, TORCH_DEVICES, Session
from inference.errors import (
    EngineUnavailable,
    ImageTooSmall,
    InferenceUnavailable,
    InvalidImage,
    Overloaded,
    UnknownFaceModel,
)
from inference.networks import ModelServerSettings
from inference.packs.errors import ModelMissing
from inference.packs.store import network_path
from inference.pictures import Picture
from inference.server import create_app
from inference.types import Face

WAIT_SECONDS = 20.0


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class RunningServer:
    """The server in a thread of this process, so that a test can look inside."""

    def __init__(self, folder: Path, models_dir: Path, **limits: int) -> None:
        self.path = folder / "inference.sock"
        self.settings = ModelServerSettings(url=f"unix://{self.path}", models_dir=models_dir, **limits)
        self.app: Starlette = create_app(self.settings)
        self._server = uvicorn.Server(uvicorn.Config(self.app, uds=str(self.path), log_config=None))
        self._thread = threading.Thread(target=self._server.run)
        self.client = InferenceClient(self.settings.url)

    def __enter__(self) -> "RunningServer":
        self._thread.start()
        _wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(WAIT_SECONDS)

    def hold(self, network: str) -> tuple[threading.Event, list[int]]:
        """Makes a network wait for the returned event before each batch, and note the sizes of its batches.

        It waits on threads of its own, since what it held up of the others would be missing elsewhere.
        """
        batcher = attrgetter(network)(self.app.state.networks)
        batcher._cores = Cores(2)
        gate, sizes, predict = threading.Event(), [], batcher._predict

        def held(batch: list[object]) -> list[object]:
            sizes.append(len(batch))
            assert gate.wait(WAIT_SECONDS)
            answers: list[object] = predict(batch)
            return answers

        batcher._predict = held
        return gate, sizes

    def queue_steps(self) -> None:
        """From now on the steps of a picture go through the queues of the networks, as for a device."""
        state = self.app.state
        state.networks = replace(state.networks, whole_pictures=False)

    @property
    def in_work(self) -> int:
        return int(self.app.state.pictures_in_work)


@pytest.fixture
def server(service_folder: Path, models_dir: Path) -> Iterator[RunningServer]:
    with RunningServer(service_folder, models_dir) as running:
        yield running


def _row_of(data: bytes, count: int) -> bytes:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    row = Image.new("RGB", (picture.width * count, picture.height))
    for n in range(count):
        row.paste(picture, (picture.width * n, 0))
    encoded = io.BytesIO()
    row.save(encoded, "PNG")
    return encoded.getvalue()


def _largest(faces: tuple[Face, ...]) -> Face:
    assert [face.box.area for face in faces] == sorted((face.box.area for face in faces), reverse=True)
    return faces[0]


def test_the_same_person_is_near_and_another_far(server: RunningServer, collins: bytes, hopper: bytes) -> None:
    mirrored = io.BytesIO()
    Image.open(io.BytesIO(collins)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored, "PNG")
    pictures = (collins, mirrored.getvalue(), hopper)
    one, same, other = (_largest(server.client.faces(data, embed="largest").faces) for data in pictures)
    assert one.embedding is not None and same.embedding is not None and other.embedding is not None
    assert one.embedding.dtype == np.float32 and one.embedding.shape == (128,)
    calibration = similarity.of_pack("base")
    assert calibration.similarity(float(one.embedding @ same.embedding)) > 99
    assert calibration.similarity(float(one.embedding @ other.embedding)) < 50


def test_a_frame_is_seen_as_the_picture_of_it_is(server: RunningServer, collins: bytes) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(collins)).convert("RGB"))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    client, picture = server.client, file.getvalue()
    for task in (client.labels, client.moderation, client.text, client.protective_equipment):
        assert task(pixels) == task(picture)
    (one,), (other,) = (client.faces(given, embed="all").faces for given in (picture, pixels))
    assert one.embedding is not None and np.array_equal(one.embedding, other.embedding)
    assert replace(one, embedding=None) == replace(other, embedding=None)
    # Another way up in memory, and smaller than a picture may be.
    assert client.faces(pixels.transpose(1, 0, 2)).width == pixels.shape[0]
    assert client.faces(pixels[:40, :30]).height == 40


def test_a_picture_in_one_piece_is_seen_as_one_in_steps_is(server: RunningServer, collins: bytes) -> None:
    rows = _row_of(collins, 3)

    def seen(shade: int) -> list[object]:
        given = rows + bytes([shade])  # another file, so that nothing is remembered
        tasks = (server.client.labels, server.client.moderation, server.client.text, server.client.protective_equipment)
        faces = server.client.faces(given, attributes=("all",)).faces
        return [*(task(given) for task in tasks), faces]

    whole = seen(0)
    server.queue_steps()
    assert seen(1) == whole


def test_frames_are_not_kept(server: RunningServer, collins: bytes) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(collins)).convert("RGB"))
    server.client.faces(pixels)
    assert not server.app.state.pictures._kept
    assert server.in_work == 0


def test_frames_that_are_not_what_they_say(server: RunningServer) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(server.path)), base_url="http://inference") as http:
        for size, body, error in (
            ("100x100", bytes(29_999), "InvalidImage"),
            ("100x100", bytes(30_001), "InvalidImage"),
            ("20000x20000", bytes(3_000_000), "ImageDimensionsTooLarge"),
            ("100", bytes(30_000), "InvalidImage"),
        ):
            sent = {"content-type": raw_frames.CONTENT_TYPE, raw_frames.SIZE_HEADER: size}
            answer = http.post("/labels", headers=sent, content=body)
            assert (answer.status_code, answer.json()["error"]) == (422, error)
        # A frame's bytes without its content type are no picture.
        assert http.post("/labels", content=bytes(30_000)).json()["error"] == "InvalidImage"
    assert server.in_work == 0
    assert server.client.labels(np.zeros((100, 100, 3), np.uint8)).labels is not None


def test_what_is_not_asked_for_is_not_computed(server: RunningServer, collins: bytes) -> None:
    _, sizes = server.hold("faces.embedder")
    (face,) = server.client.faces(collins).faces
    assert face.embedding is None and sizes == []


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        ((), set()),
        (("default",), {"mesh", "iris"}),
        (("default", "mouth_open", "eyes_open", "eyeglasses", "sunglasses"), {"mesh", "iris"}),
        (("default", "face_occluded", "eye_direction"), {"mesh", "iris"}),
        (("default", "beard"), {"mesh", "iris", "age_and_gender"}),
        (("default", "gender"), {"mesh", "iris", "age_and_gender"}),
        (("default", "smile"), {"mesh", "iris", "emotion"}),
        (("all",), {"mesh", "iris", "age_and_gender", "emotion"}),
    ],
)
def test_only_the_networks_behind_the_asked_attributes_run(
    server: RunningServer, collins: bytes, asked: tuple[str, ...], run: set[str]
) -> None:
    ran = {}
    for network in ("mesh", "iris", "age_and_gender", "emotion"):
        gate, ran[network] = server.hold(f"faces.attributes.{network}")
        gate.set()
    server.client.faces(collins, attributes=asked)
    assert {network for network, sizes in ran.items() if sizes} == run


def test_faces_of_one_and_of_several_pictures_share_batches(server: RunningServer, collins: bytes) -> None:
    server.queue_steps()
    gate, sizes = server.hold("faces.embedder")
    batcher = server.app.state.networks.faces.embedder
    rows = _row_of(collins, 3)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(server.client.faces, rows, embed="all") for _ in range(4)]
        # two lanes took the faces of the first; the other nine wait
        _wait_until(lambda: sum(sizes) + batcher.waiting == 12)
        gate.set()
        embeddings = [face.embedding for answer in answers for face in answer.result(WAIT_SECONDS).faces]
    assert sorted(sizes, reverse=True) == [8, 2, 1, 1]
    assert all(vector is not None and float(vector @ embeddings[0]) > 0.98 for vector in embeddings)


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_a_face_that_fills_the_picture_is_not_taken_for_a_turned_one(
    server: RunningServer, collins: bytes, hopper: bytes, margin: float
) -> None:
    """Seen whole the detector is not sure of it, and surer of it upside down and small than upright and large."""
    for data in (collins, hopper):
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        box = server.client.faces(data).faces[0].box
        left, top = (box.left - margin * box.width) * picture.width, (box.top - margin * box.height) * picture.height
        wide, high = (1 + 2 * margin) * box.width * picture.width, (1 + 2 * margin) * box.height * picture.height
        encoded = io.BytesIO()
        picture.crop((round(left), round(top), round(left + wide), round(top + high))).resize((200, 200)).save(
            encoded, "PNG"
        )
        face = _largest(server.client.faces(encoded.getvalue()).faces)
        points = {point.kind: point for point in face.landmarks}
        assert points["eye_left"].x < points["eye_right"].x
        assert max(points["eye_left"].y, points["eye_right"].y) < points["mouth_left"].y


def test_a_picture_that_comes_again_is_not_detected_in_again(server: RunningServer, collins: bytes) -> None:
    gate, sizes = server.hold("faces.detector")
    gate.set()
    first, again = server.client.faces(collins), server.client.faces(collins, embed="largest")
    assert sizes == [1]
    assert [face.box for face in first.faces] == [face.box for face in again.faces]
    assert len(server.client.faces(_row_of(collins, 2)).faces) == 2 and sizes == [1, 1]


def test_several_operations_on_one_picture_look_at_it_once(server: RunningServer, collins: bytes) -> None:
    ran = {}
    for network in ("faces.detector", "scene.detector", "scene.classifier"):
        gate, ran[network] = server.hold(network)
        gate.set()
    assert server.client.labels(collins).labels and server.client.moderation(collins).labels
    once = {"faces.detector": [1], "scene.detector": [1], "scene.classifier": [1]}
    assert ran == once
    assert server.client.faces(collins).faces and len(server.client.protective_equipment(collins).persons) == 1
    assert ran["faces.detector"] == ran["scene.detector"] == [1]


def test_beyond_its_places_the_server_refuses_at_once(service_folder: Path, models_dir: Path, collins: bytes) -> None:
    with RunningServer(service_folder, models_dir, queue_limit=2) as server, ThreadPoolExecutor(2) as threads:
        gate, _ = server.hold("faces.detector")
        taken = [threads.submit(server.client.faces, collins) for _ in range(2)]
        _wait_until(lambda: server.in_work == 2)
        with pytest.raises(Overloaded):
            server.client.faces(collins)
        gate.set()
        assert all(len(answer.result(WAIT_SECONDS).faces) == 1 for answer in taken)
        assert server.in_work == 0


def test_more_faces_than_there_is_room_for_are_an_overload(
    service_folder: Path, models_dir: Path, collins: bytes
) -> None:
    face = Image.open(io.BytesIO(collins)).convert("RGB").resize((200, 200))
    crowd = Image.new("RGB", (1200, 1000))
    for n in range(30):
        crowd.paste(face, (n % 6 * 200, n // 6 * 200))
    encoded = io.BytesIO()
    crowd.save(encoded, "PNG")
    with RunningServer(service_folder, models_dir, queue_limit=1) as server:
        server.queue_steps()
        gate, _ = server.hold("faces.embedder")
        with pytest.raises(Overloaded):
            server.client.faces(encoded.getvalue(), embed="all")
        gate.set()
        assert len(server.client.faces(collins, embed="all").faces) == 1


def test_large_pictures_take_more_room(service_folder: Path, models_dir: Path, collins: bytes) -> None:
    pixels = 512 * 512
    with RunningServer(service_folder, models_dir, queue_pixels=2 * pixels) as server, ThreadPoolExecutor(2) as threads:
        gate, _ = server.hold("faces.detector")
        taken = [threads.submit(server.client.faces, collins)]
        _wait_until(lambda: server.in_work == 1)
        with pytest.raises(Overloaded, match=str(pixels)):
            server.client.faces(_row_of(collins, 2))
        taken.append(threads.submit(server.client.faces, collins))
        _wait_until(lambda: server.in_work == 2)
        gate.set()
        assert all(len(answer.result(WAIT_SECONDS).faces) == 1 for answer in taken)
        assert len(server.client.faces(_row_of(collins, 4)).faces) == 4, "alone, any picture finds room"


def test_the_work_of_a_caller_that_hung_up_is_dropped(server: RunningServer, collins: bytes) -> None:
    gate, sizes = server.hold("faces.embedder")
    batcher = server.app.state.networks.faces.embedder
    batcher._max_batch = 1
    request = b"POST /faces?embed=all HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    rows = _row_of(collins, 9)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(server.path))
        caller.sendall(request % len(rows) + rows)
        _wait_until(lambda: len(sizes) == 2 and batcher.waiting == 7)
    _wait_until(lambda: server.in_work == 0)
    _wait_until(lambda: batcher.waiting == 0)
    gate.set()
    assert len(server.client.faces(collins, embed="all").faces) == 1
    assert sum(sizes) == 3, "two faces had begun, seven were dropped, one came after"


def test_bad_pictures_and_unknown_models_are_told_apart(server: RunningServer, collins: bytes) -> None:
    with pytest.raises(InvalidImage):
        server.client.faces(b"no picture")
    with pytest.raises(InvalidImage):
        server.client.faces(b"")
    with pytest.raises(ImageTooSmall):
        server.client.faces(collins, min_side=513)
    with pytest.raises(UnknownFaceModel):
        server.client.faces(collins, face_model_version="6.0")
    assert server.client.status()["pictures_in_work"] == 0


def test_a_refused_picture_is_let_go_at_once(server: RunningServer, collins: bytes) -> None:
    """An error knows its frames, and some of these know the error: a ring, which only the garbage collector undoes."""

    def held() -> list[object]:
        return [one for one in gc.get_objects() if isinstance(one, (Image.Image, Picture, InvalidImage, Request))]

    gc.collect()
    others = held()
    known = {id(one) for one in others}
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(InvalidImage):
                server.client.faces(collins[: len(collins) // 2])
        _wait_until(lambda: all(id(one) in known for one in held()))
    finally:
        gc.enable()


def test_a_server_that_is_gone_is_unavailable(service_folder: Path, models_dir: Path, collins: bytes) -> None:
    with RunningServer(service_folder, models_dir) as server:
        assert server.client.status()["face_model_version"] == "7.1"
    with pytest.raises(InferenceUnavailable):
        InferenceClient(server.settings.url, patience_seconds=0.1).faces(collins)


def test_a_request_waits_for_a_server_that_is_being_started_again(
    service_folder: Path, models_dir: Path, collins: bytes
) -> None:
    patient = InferenceClient(f"unix://{service_folder}/inference.sock", patience_seconds=30.0)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(patient.faces, collins)
        with RunningServer(service_folder, models_dir):
            assert len(waiting.result(30).faces) == 1


def test_a_device_that_is_not_there_is_refused_never_replaced(models_dir: Path) -> None:
    """The same interface on every device; here only the CPU can run, so the others must say so."""
    path = network_path(models_dir, "base", "face_detector")
    for device in (*DEVICES, *TORCH_DEVICES):
        if device.endswith("cpu"):
            assert Session(path, device, 1).device == "cpu"
        else:
            with pytest.raises(EngineUnavailable, match=device):
                Session(path, device, 1)


def test_a_missing_network_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="openrek models pull base"):
        networks.load(ModelServerSettings(url="unix:///nowhere", models_dir=tmp_path))
