-- name: insert
-- Registers a folder as a bucket, unless the name is taken.
INSERT INTO buckets (account, region, name, directory)
VALUES (%(account)s, %(region)s, %(name)s, %(directory)s)
ON CONFLICT (account, region, name) DO NOTHING
RETURNING name, directory, created_at;

-- name: find
-- A bucket by its name.
SELECT name, directory, created_at FROM buckets
WHERE account = %(account)s AND region = %(region)s AND name = %(name)s;

-- name: list
-- The buckets of a tenant, by name.
SELECT name, directory, created_at FROM buckets
WHERE account = %(account)s AND region = %(region)s
ORDER BY name;

-- name: remove
-- Forgets a bucket; its folder stays as it is.
DELETE FROM buckets WHERE account = %(account)s AND region = %(region)s AND name = %(name)s
RETURNING name;
