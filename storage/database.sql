-- name: set_limits
-- Bounds what a connection does, in milliseconds: a statement with its waiting for locks, and a transaction's silence.
SELECT set_config('statement_timeout', %(statement)s::text, false),
       set_config('idle_in_transaction_session_timeout', %(silence)s::text, false);

-- name: vacuum
-- Clears the rows that nobody can see any more; a table that something else works on is left for the next time.
VACUUM (SKIP_LOCKED) faces, users, face_crops, new_embeddings, collection_changes, idempotency_tokens,
    jobs, job_tasks, job_results;
