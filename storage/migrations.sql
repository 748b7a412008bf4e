-- name: lock
-- Holds off every other process that migrates, until the end of the transaction.
SELECT pg_advisory_xact_lock(7236041921);

-- name: create_history
-- The table of applied migrations.
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: history_exists
-- Whether any migration ever ran.
SELECT to_regclass('schema_migrations') IS NOT NULL;

-- name: applied
-- The applied migrations, in order.
SELECT number, name, sha256 FROM schema_migrations ORDER BY number;

-- name: record
-- Notes a migration as applied.
INSERT INTO schema_migrations (number, name, sha256) VALUES (%(number)s, %(name)s, %(sha256)s);
