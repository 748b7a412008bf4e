"""The entry of each process: its room's own entry, given the settings."""

import argparse
import os
import socket
from importlib.metadata import version

from openrek import home, logs, processes, secret_key
from openrek.errors import OperatorError
from openrek.settings import Settings, one_thread_for_numpy

READINESS_SECONDS = 2.0
DAY_SECONDS = 24 * 3600.0
PART_READINESS_SECONDS = 1.5  # so that a part that is missing is named before the time is up
# Of an API process, which has a body several times: as it came, as JSON, and the picture in it.
KEPT_BY_THE_API, LARGEST_BLOCK_OF_THE_API = 32 << 20, 8 << 20


def api(chosen: argparse.Namespace, settings: Settings) -> int:
    """One API process, on the listening socket of its parent or one of its own."""
    from api.app import create_app, serve
    from api.auth import anyone, sigv4
    from api.context import ApiSettings, Services
    from api.pagination import TokenSealer
    from inference import memory, similarity
    from inference.client import InferenceClient
    from inference.packs import catalogue
    from openrek import known_keys
    from openrek.readiness import checks
    from storage.database import open_pool
    from storage.objects import ObjectStore
    from vectorindex.client import IndexClient
    from workers.app import waker

    logs.configure("api", settings.log_level)
    memory.keep_little(KEPT_BY_THE_API, LARGEST_BLOCK_OF_THE_API)
    similarity.use_packs([settings.model_pack, *settings.more_face_packs])
    key = secret_key.read(settings.secret_key_file)
    with open_pool(settings.database_url, settings.database_connections, settings.database_statement_seconds) as pool:
        services = Services(
            pool=pool,
            inference=InferenceClient(settings.inference_url),
            index=IndexClient(*settings.vectorindex_urls),
            objects=ObjectStore(pool, settings.s3_endpoint_url),
            tokens=TokenSealer(key),
            secret_key=key,
            wake_workers=waker(settings.redis_url),
            settings=ApiSettings(
                version=version("openrek"),
                face_model_version=catalogue.load(settings.model_pack).face_model_version,
                max_body_bytes=settings.max_body_bytes,
                threads=settings.api_threads,
                in_progress_limit=settings.api_queue_limit,
                readiness_timeout_seconds=READINESS_SECONDS,
                account_requests_per_second=settings.account_requests_per_second,
                most_collections=settings.collection_limit,
                most_faces_in_a_collection=settings.face_limit,
                most_users_in_a_collection=settings.user_limit,
                human_loop_endpoint_url=settings.human_loop_endpoint_url,
                most_unfinished_jobs=settings.job_limit,
            ),
        )
        parts = checks(pool, services.inference, services.index, settings.redis_url, PART_READINESS_SECONDS)
        authenticate = sigv4(known_keys.lookup(pool, key))
        if settings.auth == "none":
            authenticate = anyone(settings.account, settings.region)
        app = create_app(services, authenticate, parts=parts)
        bound = socket.socket(fileno=chosen.socket) if chosen.socket is not None else None
        serve(app, host=settings.host, port=settings.port, bound=bound, stop_seconds=int(settings.stop_seconds / 4))
    return 0


def inference(_: argparse.Namespace, settings: Settings) -> int:
    """The model server."""
    # It takes as many cores as it may with threads of its own; NumPy's would spin beside them.
    one_thread_for_numpy()
    from inference.networks import ModelServerSettings
    from inference.server import run

    logs.configure("inference", settings.log_level)
    run(
        ModelServerSettings(
            url=settings.inference_url,
            models_dir=settings.models_dir,
            pack=settings.model_pack,
            face_packs=settings.more_face_packs,
            device=settings.inference_device,
            threads=settings.inference_threads or len(os.sched_getaffinity(0)),
            queue_limit=settings.inference_queue_limit,
            queue_pixels=settings.inference_queue_megapixels * 1_000_000,
            kept_pixels=settings.inference_kept_megapixels * 1_000_000,
        ),
        settings.log_level,
    )
    return 0


def vectorindex(chosen: argparse.Namespace, settings: Settings) -> int:
    """One of the vector index servers."""
    # Searches at once share the cores; NumPy would take all of them for each.
    one_thread_for_numpy()
    from vectorindex.server import run

    urls = settings.vectorindex_urls
    url = chosen.url or urls[0]
    if url not in urls or (len(urls) > 1 and not chosen.url):
        raise OperatorError(f"say with --url which of the addresses in OPENREK_VECTORINDEX_URL to serve: {urls}")
    megabytes = settings.vectorindex_memory_megabytes
    logs.configure("vectorindex", settings.log_level)
    run(
        url,
        settings.database_url,
        home.vector_snapshots(settings.home, urls.index(url)),
        settings.vectorindex_poll_seconds,
        settings.log_level,
        servers=urls,
        copies=settings.vectorindex_copies,
        memory_bytes=megabytes * 2**20 if megabytes else processes.memory() // 2 // settings.vectorindex_servers,
        statement_seconds=settings.database_statement_seconds,
        erase_seconds=settings.vectorindex_erase_seconds,
        device=settings.vectorindex_device,
    )
    return 0


def worker(chosen: argparse.Namespace, settings: Settings) -> int:
    """One worker for background jobs."""
    one_thread_for_numpy()
    from inference import memory, similarity
    from inference.client import InferenceClient
    from storage.database import open_pool
    from storage.objects import ObjectStore
    from vectorindex.client import IndexClient
    from workers import app
    from workers.notifications import Destinations
    from workers.services import WorkerServices, WorkerSettings

    logs.configure(chosen.name, settings.log_level)
    memory.keep_little()
    similarity.use_packs([settings.model_pack, *settings.more_face_packs])
    with open_pool(settings.database_url, app.CONNECTIONS, app.STATEMENT_SECONDS) as pool:
        services = WorkerServices(
            pool=pool,
            inference=InferenceClient(settings.inference_url),
            index=IndexClient(*settings.vectorindex_urls),
            objects=ObjectStore(pool, settings.s3_endpoint_url),
            settings=WorkerSettings(
                part_seconds=settings.video_part_seconds,
                frames_per_second=settings.video_frames_per_second,
                moderation_frames_per_second=settings.video_moderation_frames_per_second,
                text_frames_per_second=settings.video_text_frames_per_second,
                frames_in_flight=settings.video_frames_in_flight,
                lease_seconds=settings.job_lease_seconds,
                results_seconds=settings.job_results_days * DAY_SECONDS,
            ),
            notifications=Destinations(
                sns_endpoint_url=settings.sns_endpoint_url,
                webhook_url=settings.webhook_url,
                webhook_secret=settings.webhook_secret or "",
            ),
            wake_workers=app.waker(settings.redis_url),
        )
        app.run(settings.redis_url, services, settings.log_level, chosen.name)
    return 0
