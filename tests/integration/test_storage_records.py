"""Tags, access keys, buckets and idempotency tokens."""

import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from storage import access_keys, buckets, idempotency, tags
from storage.database import Pool
from storage.errors import (
    AccessKeyNotFound,
    BucketExists,
    BucketNotFound,
    SealedWithAnotherKey,
    TokenReused,
    TooManyTags,
)
from storage.tenant import Tenant

SEALING_KEY = bytes(range(32))
ELSEWHERE = Tenant("123456789012", "us-east-1")


class TestTags:
    def test_are_set_replaced_and_removed(self, connection: Connection[Any], tenant: Tenant) -> None:
        tags.put(connection, tenant, "collection/c", {"b": "1", "a": "2", "C": ""})
        tags.put(connection, tenant, "collection/c", {"b": "3"})
        tags.put(connection, tenant, "collection/other", {"b": "4"})
        tags.put(connection, ELSEWHERE, "collection/c", {"b": "5"})
        assert list(tags.all_of(connection, tenant, "collection/c").items()) == [("C", ""), ("a", "2"), ("b", "3")]
        tags.remove(connection, tenant, "collection/c", ["b", "unknown"])
        assert tags.all_of(connection, tenant, "collection/c") == {"C": "", "a": "2"}
        assert tags.all_of(connection, tenant, "collection/other") == {"b": "4"}
        assert tags.all_of(connection, ELSEWHERE, "collection/c") == {"b": "5"}

    def test_are_at_most_200(self, connection: Connection[Any], tenant: Tenant) -> None:
        tags.put(connection, tenant, "r", {str(number): "" for number in range(200)})
        tags.put(connection, tenant, "r", {"199": "replaced"})
        with pytest.raises(TooManyTags):
            tags.put(connection, tenant, "r", {"0": "changed", "200": ""})
        assert len(tags.all_of(connection, tenant, "r")) == 200
        assert tags.all_of(connection, tenant, "r")["0"] == ""

    def test_limit_holds_for_taggers_at_the_same_time(self, pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
        with pool.connection() as connection:
            tags.put(connection, tenant, "r", {str(number): "" for number in range(195)})
        together = threading.Barrier(8)
        outcomes: list[str] = []

        def tag(number: int) -> None:
            with pool.connection() as connection:
                together.wait(10)
                try:
                    tags.put(connection, tenant, "r", {f"new{number}": ""})
                    outcomes.append("put")
                except TooManyTags:
                    outcomes.append("too many")

        run_in_threads([partial(tag, number) for number in range(8)])
        assert sorted(outcomes) == ["put"] * 5 + ["too many"] * 3
        with pool.connection() as connection:
            assert len(tags.all_of(connection, tenant, "r")) == 200


class TestAccessKeys:
    def test_secret_comes_back_only_with_the_sealing_key(self, connection: Connection[Any]) -> None:
        made = access_keys.create(connection, "123456789012", SEALING_KEY)
        limited = access_keys.create(connection, "123456789012", SEALING_KEY, ["ListFaces", "DetectFaces"])
        assert re.fullmatch("AKIA[A-Z2-7]{16}", made.access_key_id)
        assert re.fullmatch("[A-Za-z0-9+/]{40}", made.secret)
        assert made.secret not in repr(made)
        assert access_keys.find(connection, made.access_key_id, SEALING_KEY) == made
        assert made.operations is None and limited.operations == {"DetectFaces", "ListFaces"}
        assert access_keys.find(connection, limited.access_key_id, SEALING_KEY) == limited
        with pytest.raises(SealedWithAnotherKey):
            access_keys.find(connection, made.access_key_id, bytes(32))
        row = connection.execute("SELECT encrypted_secret FROM access_keys").fetchone()
        assert row is not None
        assert made.secret.encode() not in row[0]

    def test_sealed_secret_is_bound_to_its_row(self, connection: Connection[Any]) -> None:
        for account in ("111111111111", "222222222222"):
            access_keys.create(connection, account, SEALING_KEY)
        connection.execute(
            "UPDATE access_keys SET encrypted_secret ="
            " (SELECT encrypted_secret FROM access_keys WHERE account = '111111111111')"
        )
        moved = access_keys.all_of(connection, "222222222222")[0]
        with pytest.raises(SealedWithAnotherKey):
            access_keys.find(connection, moved.access_key_id, SEALING_KEY)

    def test_revoked_keys_are_listed_but_not_found(self, connection: Connection[Any]) -> None:
        first, second = (access_keys.create(connection, "123456789012", SEALING_KEY) for _ in range(2))
        other = access_keys.create(connection, "999999999999", SEALING_KEY)
        access_keys.revoke(connection, first.access_key_id)
        assert access_keys.find(connection, first.access_key_id, SEALING_KEY) is None
        assert access_keys.find(connection, "AKIAUNKNOWN", SEALING_KEY) is None
        assert access_keys.find(connection, second.access_key_id, SEALING_KEY) == second
        listed = access_keys.all_of(connection, "123456789012")
        assert [(key.access_key_id, key.revoked_at is None) for key in listed] == [
            (first.access_key_id, False),
            (second.access_key_id, True),
        ]
        assert other.access_key_id in {key.access_key_id for key in access_keys.all_of(connection)}
        for gone in (first.access_key_id, "AKIAUNKNOWN"):
            with pytest.raises(AccessKeyNotFound):
                access_keys.revoke(connection, gone)

    @pytest.mark.parametrize("account", ["", "12345678901", "1234567890123", "12345678901x"])
    def test_account_has_twelve_digits(self, connection: Connection[Any], account: str) -> None:
        with pytest.raises(psycopg.errors.CheckViolation):
            access_keys.create(connection, account, SEALING_KEY)


class TestBuckets:
    def test_are_known_to_their_tenant_only(self, connection: Connection[Any], tenant: Tenant, tmp_path: Path) -> None:
        added = [buckets.add(connection, tenant, name, tmp_path) for name in ("b", "a")]
        assert buckets.all_of(connection, tenant) == sorted(added, key=lambda bucket: bucket.name)
        assert buckets.find(connection, tenant, "a") == added[1]
        assert buckets.find(connection, ELSEWHERE, "a") is None
        with pytest.raises(BucketExists):
            buckets.add(connection, tenant, "a", tmp_path / "other")
        with pytest.raises(BucketNotFound):
            buckets.remove(connection, ELSEWHERE, "a")
        buckets.remove(connection, tenant, "a")
        assert buckets.find(connection, tenant, "a") is None

    def test_relative_folders_are_refused(self, connection: Connection[Any], tenant: Tenant) -> None:
        with pytest.raises(ValueError, match="absolute"):
            buckets.add(connection, tenant, "a", Path("pictures"))


class TestIdempotency:
    def test_work_is_done_once_per_token(self, connection: Connection[Any], tenant: Tenant) -> None:
        done: list[int] = []

        def work() -> dict[str, Any]:
            done.append(len(done))
            return {"JobId": f"job{len(done)}"}

        def once(token: str, digest: bytes = b"1", owner: Tenant = tenant, operation: str = "Start") -> Any:
            return idempotency.once(connection, owner, operation, token, digest, work)

        assert [once("a"), once("b"), once("a")] == [{"JobId": "job1"}, {"JobId": "job2"}, {"JobId": "job1"}]
        assert once("a", owner=ELSEWHERE) == {"JobId": "job3"}
        assert once("a", operation="Other") == {"JobId": "job4"}
        with pytest.raises(TokenReused):
            once("a", digest=b"2")
        assert len(done) == 4

    def test_failed_work_leaves_the_token_free(self, connection: Connection[Any], tenant: Tenant) -> None:
        def fail() -> dict[str, Any]:
            connection.execute("INSERT INTO tags VALUES ('a', 'r', 'half', 'done', '')")
            raise OSError("broken")

        with pytest.raises(OSError, match="broken"):
            idempotency.once(connection, tenant, "Start", "a", b"1", fail)
        assert connection.execute("SELECT count(*) FROM tags").fetchone() == (0,)
        assert idempotency.once(connection, tenant, "Start", "a", b"2", lambda: {"JobId": "x"}) == {"JobId": "x"}

    def test_callers_at_the_same_time_share_one_answer(self, pool: Pool, tenant: Tenant, run_in_threads: Any) -> None:
        done: list[int] = []
        answers: list[Any] = []
        together = threading.Barrier(8)

        def start() -> None:
            def work() -> dict[str, Any]:
                done.append(1)
                return {"JobId": str(id(connection))}

            with pool.connection() as connection:
                together.wait(10)
                answers.append(idempotency.once(connection, tenant, "Start", "a", b"1", work))

        run_in_threads([start] * 8)
        assert len(done) == 1
        assert len(answers) == 8
        assert all(answer == answers[0] for answer in answers)

    def test_tokens_live_for_seven_days(self, connection: Connection[Any], tenant: Tenant) -> None:
        def once(token: str, answer: str) -> Any:
            return idempotency.once(connection, tenant, "Start", token, answer.encode(), lambda: {"JobId": answer})

        for token in ("old", "older", "young"):
            once(token, "first")
        connection.execute(
            "UPDATE idempotency_tokens SET created_at = now() - interval '169 hours' WHERE token ~ 'old'"
        )
        connection.execute(
            "UPDATE idempotency_tokens SET created_at = now() - interval '167 hours' WHERE token = 'young'"
        )
        assert once("old", "second") == {"JobId": "second"}
        assert once("young", "first") == {"JobId": "first"}
        assert idempotency.expire(connection, 10) == 1
        assert connection.execute("SELECT token FROM idempotency_tokens ORDER BY 1").fetchall() == [
            ("old",),
            ("young",),
        ]
