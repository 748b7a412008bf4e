-- Jobs on stored videos. The row of a job is the job; workers claim its tasks; its results are there whole or not at all.

CREATE TABLE jobs (
    job_id text COLLATE "C" PRIMARY KEY,
    account text NOT NULL,
    region text NOT NULL,
    kind text NOT NULL,
    -- What its caller calls that which started it; told with its end.
    operation text NOT NULL,
    -- What was asked, in the words of the analysis.
    params jsonb NOT NULL,
    bucket text NOT NULL,
    object_name text NOT NULL,
    object_version text,
    tag text,
    -- Where the end is to be told; null for nowhere.
    topic text,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed')),
    -- Why it failed, for its owner.
    message text,
    -- What is known of the video once it has been opened.
    info bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

CREATE INDEX jobs_listing ON jobs (account, region, created_at, job_id);
CREATE INDEX jobs_running ON jobs (account, region) WHERE status = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

-- One task opens the video and makes those that look at its parts; the last of these makes the one that concludes,
-- which may make one that notifies.
CREATE TABLE job_tasks (
    job_id text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
    step text NOT NULL CHECK (step IN ('plan', 'look', 'conclude', 'notify')),
    number integer NOT NULL,
    start_ticks bigint,
    end_ticks bigint,
    done boolean NOT NULL DEFAULT false,
    -- How much of the part has been seen, 0..1.
    progress real NOT NULL DEFAULT 0,
    -- Counts the claims, and those given back: only who holds the latest may end it.
    claims integer NOT NULL DEFAULT 0,
    held boolean NOT NULL DEFAULT false,
    -- How many claims ended with an error, and how many with silence: their worker died.
    failures integer NOT NULL DEFAULT 0,
    deaths integer NOT NULL DEFAULT 0,
    -- Since when it cannot be done because something else is away.
    away_since timestamptz,
    -- Nobody else may claim it before: the end of a lease, or of a pause after a failure.
    not_before timestamptz NOT NULL DEFAULT now(),
    observations bytea,
    PRIMARY KEY (job_id, step, number)
);

CREATE INDEX job_tasks_waiting ON job_tasks (not_before) WHERE NOT done;

CREATE TABLE job_results (
    job_id text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
    view text NOT NULL,
    -- From 0 without gaps, in the order of time, and in that of names.
    place integer NOT NULL,
    place_by_name integer NOT NULL,
    at_ms bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (job_id, view, place)
);

CREATE UNIQUE INDEX job_results_by_name ON job_results (job_id, view, place_by_name);
