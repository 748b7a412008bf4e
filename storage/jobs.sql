-- name: lock_tenant
-- Makes those wait who start jobs of the same tenant, so that the count of running ones holds.
SELECT pg_advisory_xact_lock(hashtextextended('jobs ' || %(account)s || ' ' || %(region)s, 0));

-- name: count_running
-- How many jobs of a tenant are not finished.
SELECT count(*) FROM jobs WHERE account = %(account)s AND region = %(region)s AND status = 'running';

-- name: insert
-- A new job.
INSERT INTO jobs (job_id, account, region, kind, operation, params, bucket, object_name, object_version, tag, topic)
VALUES (
    %(job_id)s, %(account)s, %(region)s, %(kind)s, %(operation)s, %(params)s,
    %(bucket)s, %(object_name)s, %(object_version)s, %(tag)s, %(topic)s
);

-- name: get
-- A job by its id.
SELECT job_id AS id, account, region, kind, operation, params, bucket, object_name, object_version, tag, topic,
       status, message, info, created_at, finished_at
FROM jobs WHERE job_id = %(job_id)s;

-- name: list
-- The jobs of a tenant, latest first, or one of them, with the share of them that is done.
SELECT job_id AS id, account, region, kind, operation, params, bucket, object_name, object_version, tag, topic,
       status, message, info, created_at, finished_at,
       CASE status WHEN 'running' THEN
           (SELECT 0.95 * coalesce(avg(progress) FILTER (WHERE step = 'look'), 0)
                 + 0.05 * coalesce(avg(progress) FILTER (WHERE step = 'conclude'), 0)
            FROM job_tasks WHERE job_tasks.job_id = jobs.job_id)
       ELSE 1 END::float8 AS progress
FROM jobs
WHERE account = %(account)s AND region = %(region)s AND job_id = coalesce(%(job_id)s, job_id)
ORDER BY created_at DESC, job_id
LIMIT %(limit)s;

-- name: results
-- A page of results in the order of time.
SELECT place, at_ms, payload FROM job_results
WHERE job_id = %(job_id)s AND view = %(view)s AND place > %(after)s
ORDER BY place LIMIT %(limit)s;

-- name: results_by_name
-- A page of results in the order of names.
SELECT place_by_name AS place, at_ms, payload FROM job_results
WHERE job_id = %(job_id)s AND view = %(view)s AND place_by_name > %(after)s
ORDER BY place_by_name LIMIT %(limit)s;

-- name: finish
-- Ends a running job.
UPDATE jobs SET status = %(status)s, message = %(message)s, finished_at = now()
WHERE job_id = %(job_id)s AND status = 'running'
RETURNING topic;

-- name: drop_tasks
-- Removes the tasks of a job that is over, with all that was observed.
DELETE FROM job_tasks WHERE job_id = %(job_id)s AND step <> 'notify';

-- name: drop_results
-- Removes what an earlier attempt may have stored.
DELETE FROM job_results WHERE job_id = %(job_id)s;

-- name: gather_results
-- A place for results that have no order of names yet.
CREATE TEMPORARY TABLE new_results (view text, place integer, at_ms bigint, name text, rank double precision, payload bytea)
ON COMMIT DROP;

-- name: copy_results
-- Takes results in.
COPY new_results (view, place, at_ms, name, rank, payload) FROM STDIN (FORMAT binary);

-- name: order_results
-- Puts the results in place, in both orders.
INSERT INTO job_results (job_id, view, place, place_by_name, at_ms, payload)
SELECT %(job_id)s, view, place,
       row_number() OVER (PARTITION BY view ORDER BY name COLLATE "C", rank DESC, place) - 1, at_ms, payload
FROM new_results;

-- name: expire
-- Removes some jobs that finished long ago, with their results.
DELETE FROM jobs WHERE job_id IN (
    SELECT job_id FROM jobs WHERE finished_at < now() - make_interval(secs => %(kept_seconds)s)
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
)
RETURNING account, region, job_id;
