import contextlib
import os
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import numpy as np
import pytest
from clips import Clip, of_pictures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.video.container import probe, split
from inference.video.frames import frames
from storage import buckets
from storage.database import Pool
from storage.errors import BucketNotFound, ObjectChanged, ObjectNotFound, ObjectStoreUnavailable, ObjectTooLarge
from storage.objects import ObjectStore
from storage.tenant import Tenant

SECRET = b"not yours"
ROOM = 100


@pytest.fixture
def folder(tmp_path: Path, pool: Pool, tenant: Tenant) -> Path:
    """A registered bucket `b` with a secret beside it."""
    (tmp_path / "secret.jpg").write_bytes(SECRET)
    (tmp_path / "bucket" / "sub").mkdir(parents=True)
    (tmp_path / "bucket" / "sub" / "a b.jpg").write_bytes(b"picture")
    with pool.connection() as connection:
        buckets.add(connection, tenant, "b", tmp_path / "bucket")
    return tmp_path / "bucket"


@pytest.fixture
def store(pool: Pool) -> ObjectStore:
    return ObjectStore(pool, None)


@pytest.mark.usefixtures("folder")
class TestFolder:
    def test_files_are_objects(self, store: ObjectStore, tenant: Tenant) -> None:
        for version in (None, "null"):
            assert store.read(tenant, "b", "sub/a b.jpg", version, ROOM) == b"picture"

    def test_objects_open_as_files(self, store: ObjectStore, tenant: Tenant) -> None:
        with store.open(tenant, "b", "sub/a b.jpg", None, 7) as file:
            assert file.size == 7
            assert file.read(3) + file.read() == b"picture"
        with pytest.raises(ObjectTooLarge) as refusal:
            store.open(tenant, "b", "sub/a b.jpg", None, 6)
        assert (refusal.value.values["size"], refusal.value.values["max_bytes"]) == (7, 6)
        for name in ("../secret.jpg", "missing.jpg", "sub"):
            with pytest.raises(ObjectNotFound):
                store.open(tenant, "b", name, None, ROOM)

    def test_a_file_that_changes_while_open(self, folder: Path, store: ObjectStore, tenant: Tenant) -> None:
        (folder / "large").write_bytes(bytes(300_000))
        with store.open(tenant, "b", "large", None, 300_000) as file:
            file.read(1)
            (folder / "large").write_bytes(b"1" * 300_000)
            os.utime(folder / "large", (1, 1))
            file.seek(200_000)
            with pytest.raises(ObjectChanged):
                file.read(1)

    def test_names_are_listed_by_their_beginning(self, folder: Path, store: ObjectStore, tenant: Tenant) -> None:
        (folder / "subway.jpg").write_bytes(b"train")
        assert sorted(store.names(tenant, "b")) == ["sub/a b.jpg", "subway.jpg"]
        assert list(store.names(tenant, "b", "sub/")) == ["sub/a b.jpg"]
        assert list(store.names(tenant, "b", "no")) == []
        with pytest.raises(BucketNotFound):
            store.names(tenant, "elsewhere")

    def test_buckets_of_others_do_not_exist(self, store: ObjectStore, tenant: Tenant) -> None:
        for owner in (Tenant(tenant.account, "us-east-1"), Tenant("999999999999", tenant.region)):
            with pytest.raises(BucketNotFound):
                store.read(owner, "b", "sub/a b.jpg", None, ROOM)

    def test_there_are_no_versions(self, store: ObjectStore, tenant: Tenant) -> None:
        with pytest.raises(ObjectNotFound):
            store.read(tenant, "b", "sub/a b.jpg", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", ROOM)

    def test_size_is_limited_inclusively(self, store: ObjectStore, tenant: Tenant) -> None:
        assert store.read(tenant, "b", "sub/a b.jpg", None, 7) == b"picture"
        with pytest.raises(ObjectTooLarge):
            store.read(tenant, "b", "sub/a b.jpg", None, 6)

    @pytest.mark.parametrize(
        "name",
        [
            "../secret.jpg",
            "sub/../../secret.jpg",
            "sub/../sub/a b.jpg",
            "/sub/a b.jpg",
            "//sub/a b.jpg",
            "./sub/a b.jpg",
            "sub//a b.jpg",
            "sub/a b.jpg/",
            "sub",
            "sub/",
            "..",
            ".",
            "/",
            "sub/a b.jpg\0",
            "sub\0/a b.jpg",
            "\0",
            "sub/a b.jpg/x",
            "x" * 300,
            "x/" * 3000 + "x",
            "\ud800",
            "missing.jpg",
        ],
    )
    def test_other_names_lead_nowhere(self, store: ObjectStore, tenant: Tenant, name: str) -> None:
        with pytest.raises(ObjectNotFound):
            store.read(tenant, "b", name, None, ROOM)

    def test_absolute_path_of_a_file_leads_nowhere(self, store: ObjectStore, tenant: Tenant, folder: Path) -> None:
        for name in (str(folder.parent / "secret.jpg"), str(folder / "sub" / "a b.jpg")):
            with pytest.raises(ObjectNotFound):
                store.read(tenant, "b", name, None, ROOM)

    def test_links_lead_only_to_what_is_inside(self, store: ObjectStore, tenant: Tenant, folder: Path) -> None:
        (folder / "inside").symlink_to("sub")
        (folder / "inside.jpg").symlink_to(folder / "sub" / "a b.jpg")
        for name in ("inside/a b.jpg", "inside.jpg"):
            assert store.read(tenant, "b", name, None, ROOM) == b"picture"
        (folder / "out.jpg").symlink_to("../secret.jpg")
        (folder / "out").symlink_to(folder.parent)
        (folder / "through").symlink_to("out")
        (folder / "dangling").symlink_to("nothing")
        (folder / "loop").symlink_to("loop")
        for name in (
            "out.jpg",
            "out/secret.jpg",
            "through/secret.jpg",
            "out/bucket/sub/a b.jpg/..",
            "dangling",
            "loop",
        ):
            with pytest.raises(ObjectNotFound):
                store.read(tenant, "b", name, None, ROOM)

    def test_folder_may_itself_be_a_link(
        self, store: ObjectStore, pool: Pool, tenant: Tenant, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "link").symlink_to(folder)
        with pool.connection() as connection:
            buckets.add(connection, tenant, "linked", tmp_path / "link")
        assert store.read(tenant, "linked", "sub/a b.jpg", None, ROOM) == b"picture"

    def test_a_link_swapped_in_after_the_check_is_not_followed(
        self, store: ObjectStore, tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "swapped").mkdir()
        (folder / "swapped" / "secret.jpg").write_bytes(b"mine")
        resolve = os.path.realpath

        def resolve_then_swap(path: Path, *, strict: bool = False) -> str:
            resolved = resolve(path, strict=strict)
            if path.name == "secret.jpg":
                (folder / "swapped").rename(folder / "before")
                (folder / "swapped").symlink_to(folder.parent)
            return resolved

        monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
        with pytest.raises(ObjectNotFound):
            store.read(tenant, "b", "swapped/secret.jpg", None, ROOM)
        assert (folder / "swapped").is_symlink()

    def test_pipes_and_unreadable_things_do_not_hang(self, store: ObjectStore, tenant: Tenant, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        with pytest.raises(ObjectNotFound):
            store.read(tenant, "b", "pipe", None, ROOM)

    def test_no_file_is_left_open(self, store: ObjectStore, tenant: Tenant, folder: Path) -> None:
        def open_files() -> int:
            return len(os.listdir("/proc/self/fd"))

        (folder / "out").symlink_to(folder.parent)
        os.mkfifo(folder / "pipe")
        store.read(tenant, "b", "sub/a b.jpg", None, ROOM)
        before = open_files()
        for _ in range(5):
            store.open(tenant, "b", "sub/a b.jpg", None, ROOM).close()
            with pytest.raises(ObjectTooLarge):
                store.open(tenant, "b", "sub/a b.jpg", None, 3)
        for name in ("sub/a b.jpg", "sub/none", "out/secret.jpg", "pipe", "sub") * 5:
            with pytest.raises((ObjectNotFound, ObjectTooLarge)):
                store.read(tenant, "b", name, None, 3)
        assert open_files() <= before

    @given(
        st.lists(st.sampled_from(["..", ".", "", "sub", "out", "bucket", "secret.jpg", "a b.jpg", "\0"]), min_size=1)
    )
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_name_reads_the_secret(self, store: ObjectStore, tenant: Tenant, folder: Path, parts: list[str]) -> None:
        if not (folder / "out").is_symlink():
            (folder / "out").symlink_to("..")
        with contextlib.suppress(ObjectNotFound):
            assert store.read(tenant, "b", "/".join(parts), None, ROOM) == b"picture"


def _large_video() -> bytes:
    """Two minutes of noise, about 40 MB, its index at the end."""
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(30)]
    clip = Clip(rate=Fraction(25), key_every=50, options={"crf": "1", "preset": "ultrafast"})
    return of_pictures([pictures[n % len(pictures)] for n in range(3000)], clip)


class TestS3:
    @pytest.fixture
    def client(self, s3_endpoint_url: str) -> Any:
        return boto3.client("s3", endpoint_url=s3_endpoint_url, region_name="eu-central-1")

    @pytest.fixture
    def bucket(self, client: Any) -> str:
        name = f"bucket-{uuid4()}"
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        return name

    @pytest.fixture
    def store(self, pool: Pool, s3_endpoint_url: str) -> ObjectStore:
        return ObjectStore(pool, s3_endpoint_url)

    def test_objects_and_their_versions(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        old, new = (
            client.put_object(Bucket=bucket, Key="a/b ü.jpg", Body=body)["VersionId"] for body in (b"old", b"new")
        )
        marker = client.delete_object(Bucket=bucket, Key="a/b ü.jpg")["VersionId"]
        assert store.read(tenant, bucket, "a/b ü.jpg", old, ROOM) == b"old"
        assert store.read(tenant, bucket, "a/b ü.jpg", new, ROOM) == b"new"
        for version in (None, marker, str(uuid4()), "nonsense"):
            with pytest.raises(ObjectNotFound):
                store.read(tenant, bucket, "a/b ü.jpg", version, ROOM)

    def test_objects_open_as_files(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        content = os.urandom(1_000_000)
        client.put_object(Bucket=bucket, Key="o", Body=content)
        client.put_object(Bucket=bucket, Key="empty", Body=b"")
        with store.open(tenant, bucket, "o", None, len(content)) as file:
            assert file.size == len(content)
            file.seek(-1000, os.SEEK_END)
            assert file.read() == content[-1000:]
            file.seek(0)
            assert file.read() == content
        with store.open(tenant, bucket, "empty", None, ROOM) as file:
            assert (file.size, file.read()) == (0, b"")
        with pytest.raises(ObjectTooLarge) as refusal:
            store.open(tenant, bucket, "o", None, len(content) - 1)
        assert refusal.value.values["size"] == len(content)
        for place in ((bucket, "none"), (bucket, f"../{bucket}/o"), ("no-such-bucket", "o")):
            with pytest.raises(ObjectNotFound):
                store.open(tenant, *place, None, ROOM)

    def test_an_object_that_changes_while_open(
        self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str
    ) -> None:
        client.put_object(Bucket=bucket, Key="o", Body=bytes(500_000))
        with store.open(tenant, bucket, "o", None, 500_000) as file:
            file.read(1)
            client.put_object(Bucket=bucket, Key="o", Body=b"1" * 500_000)
            file.seek(400_000)
            with pytest.raises(ObjectChanged):
                file.read(1)

    def test_a_version_once_opened_stays(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        client.put_object(Bucket=bucket, Key="o", Body=b"0" * 500_000)
        with store.open(tenant, bucket, "o", None, 500_000) as file:
            client.put_object(Bucket=bucket, Key="o", Body=b"1" * 500_000)
            client.delete_object(Bucket=bucket, Key="o")
            assert file.read() == b"0" * 500_000

    def test_one_part_of_a_video_is_a_small_share_of_it(
        self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str
    ) -> None:
        video = _large_video()
        client.put_object(Bucket=bucket, Key="video.mp4", Body=video)
        read: list[int] = []
        with store.open(tenant, bucket, "video.mp4", None, len(video)) as file:
            fetch = file._fetch
            file._fetch = lambda start, end: read.append(end - start) or fetch(start, end)
            info = probe(file)
            parts = split(file, 10)
            seen = list(frames(file, parts[len(parts) // 2], 1))
        assert info.duration_ms == 120_000 and 8 <= len(parts) <= 12
        assert len(seen) == pytest.approx(120 / len(parts), abs=3)
        assert sum(read) < len(video) * 0.35, f"{sum(read)} bytes in {len(read)} requests of {len(video)}"
        assert len(read) < 60

    def test_names_are_listed_page_by_page(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        names = [f"a/{number}" for number in range(1001)]
        for name in [*names, "b"]:
            client.put_object(Bucket=bucket, Key=name, Body=b"")
        assert sorted(store.names(tenant, bucket, "a/")) == sorted(names)
        with pytest.raises(BucketNotFound):
            list(store.names(tenant, f"{bucket}-2"))

    def test_missing_things(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="secret", Body=SECRET)
        for name in ("none", f"../{bucket}/secret", "x/../secret"):
            with pytest.raises(ObjectNotFound):
                store.read(tenant, bucket, name, None, ROOM)
        with pytest.raises(BucketNotFound):
            store.read(tenant, "no-such-bucket", "secret", None, ROOM)

    def test_size_is_limited_inclusively(self, store: ObjectStore, tenant: Tenant, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="o", Body=bytes(ROOM))
        assert store.read(tenant, bucket, "o", None, ROOM) == bytes(ROOM)
        with pytest.raises(ObjectTooLarge):
            store.read(tenant, bucket, "o", None, ROOM - 1)

    def test_registered_folder_goes_before_the_endpoint(
        self, store: ObjectStore, pool: Pool, tenant: Tenant, client: Any, bucket: str, tmp_path: Path
    ) -> None:
        client.put_object(Bucket=bucket, Key="o", Body=b"from s3")
        (tmp_path / "o").write_bytes(b"from the folder")
        with pool.connection() as connection:
            buckets.add(connection, tenant, bucket, tmp_path)
        assert store.read(tenant, bucket, "o", None, ROOM) == b"from the folder"

    def test_endpoint_that_does_not_answer(
        self, pool: Pool, tenant: Tenant, s3_endpoint_url: str, unused_port: int
    ) -> None:
        store = ObjectStore(pool, f"http://127.0.0.1:{unused_port}")
        with pytest.raises(ObjectStoreUnavailable):
            store.read(tenant, "bucket", "o", None, ROOM)

    @pytest.fixture
    def unused_port(self) -> int:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as listener:
            return int(listener.getsockname()[1])
