-- name: insert
-- A new task.
INSERT INTO job_tasks (job_id, step, number, start_ticks, end_ticks)
VALUES (%(job_id)s, %(step)s, %(number)s, %(start)s, %(end)s);

-- name: claim
-- Takes the task that is due: what opens or ends a job first, then the early parts of all jobs before the later ones.
UPDATE job_tasks
SET claims = claims + 1, deaths = deaths + held::integer, held = true,
    not_before = now() + make_interval(secs => %(lease_seconds)s)
WHERE (job_id, step, number) = (
    SELECT job_id, step, number FROM job_tasks JOIN jobs USING (job_id)
    WHERE NOT done AND not_before <= now()
    ORDER BY step = 'look', number, created_at, job_id
    LIMIT 1 FOR UPDATE OF job_tasks SKIP LOCKED
)
RETURNING job_id, step, number, start_ticks AS start, end_ticks AS end, claims, failures, deaths,
          coalesce(extract(epoch FROM now() - away_since), 0)::float8 AS away_seconds;

-- name: renew
-- Lengthens the lease of a task that is still held.
UPDATE job_tasks SET not_before = now() + make_interval(secs => %(lease_seconds)s), progress = %(progress)s
WHERE job_id = %(job_id)s AND step = %(step)s AND number = %(number)s AND claims = %(claims)s AND NOT done
RETURNING true;

-- name: finish
-- Ends a task that is still held.
UPDATE job_tasks SET done = true, progress = 1, observations = %(observations)s
WHERE job_id = %(job_id)s AND step = %(step)s AND number = %(number)s AND claims = %(claims)s AND NOT done
RETURNING true;

-- name: give_back
-- Lets a task that is still held wait before it is claimed again. The claim that ends here is of no use any more.
UPDATE job_tasks
SET not_before = now() + make_interval(secs => %(pause_seconds)s), progress = 0,
    claims = claims + 1, held = false,
    failures = failures + CASE %(why)s::text WHEN 'failed' THEN 1 ELSE 0 END,
    away_since = CASE %(why)s::text WHEN 'away' THEN coalesce(away_since, now()) WHEN 'stopped' THEN away_since END
WHERE job_id = %(job_id)s AND step = %(step)s AND number = %(number)s AND claims = %(claims)s AND NOT done;

-- name: lock_job
-- Makes those wait who end tasks of the same job.
SELECT status FROM jobs WHERE job_id = %(job_id)s FOR UPDATE;

-- name: note_info
-- What is known of the video.
UPDATE jobs SET info = %(info)s WHERE job_id = %(job_id)s;

-- name: count_looks
-- How many parts of a video are yet to be seen.
SELECT count(*) FROM job_tasks WHERE job_id = %(job_id)s AND step = 'look' AND NOT done;

-- name: observations
-- What was seen in one part.
SELECT observations FROM job_tasks WHERE job_id = %(job_id)s AND step = 'look' AND number = %(number)s;

-- name: part_count
-- How many parts a video has.
SELECT count(*) FROM job_tasks WHERE job_id = %(job_id)s AND step = 'look';
