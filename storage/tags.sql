-- name: lock
-- One tagger of a resource at a time, so that the limit is exact.
SELECT pg_advisory_xact_lock(
    hashtextextended('tags ' || %(account)s::text || ' ' || %(region)s::text || ' ' || %(resource)s::text, 0)
);

-- name: put
-- Sets a tag.
INSERT INTO tags (account, region, resource, key, value)
VALUES (%(account)s, %(region)s, %(resource)s, %(key)s, %(value)s)
ON CONFLICT (account, region, resource, key) DO UPDATE SET value = EXCLUDED.value;

-- name: count
-- How many tags a resource has.
SELECT count(*) FROM tags WHERE account = %(account)s AND region = %(region)s AND resource = %(resource)s;

-- name: remove
-- Removes the tags of the given keys.
DELETE FROM tags
WHERE account = %(account)s AND region = %(region)s AND resource = %(resource)s AND key = ANY(%(keys)s::text[]);

-- name: remove_all
-- Removes every tag of a resource.
DELETE FROM tags WHERE account = %(account)s AND region = %(region)s AND resource = %(resource)s;

-- name: list
-- The tags of a resource, by key.
SELECT key, value FROM tags
WHERE account = %(account)s AND region = %(region)s AND resource = %(resource)s
ORDER BY key;
