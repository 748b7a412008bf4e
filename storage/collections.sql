-- name: insert
-- A new collection, unless a live one has the name.
INSERT INTO collections (account, region, name, face_model_version)
VALUES (%(account)s, %(region)s, %(name)s, %(face_model_version)s)
ON CONFLICT (account, region, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
          keeps_crops;

-- name: lock_tenant
-- One creator at a time, so that the number of collections is exact.
SELECT pg_advisory_xact_lock(hashtextextended('collections ' || %(account)s::text || ' ' || %(region)s::text, 0));

-- name: count
-- How many live collections a tenant has, besides galleries of our own.
SELECT count(*) FROM collections
WHERE account = %(account)s AND region = %(region)s AND deleted_at IS NULL AND NOT starts_with(name, '/');

-- name: get
-- A live collection by its name.
SELECT collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
       keeps_crops
FROM collections
WHERE account = %(account)s AND region = %(region)s AND name = %(name)s AND deleted_at IS NULL;

-- name: lock
-- A live collection by its name, held for writing until the end of the transaction.
SELECT collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
       keeps_crops
FROM collections
WHERE account = %(account)s AND region = %(region)s AND name = %(name)s AND deleted_at IS NULL
FOR NO KEY UPDATE;

-- name: advance
-- Moves a collection to a new version, with the numbers of faces and users it then has.
UPDATE collections
SET version = version + %(changes)s, face_count = face_count + %(faces)s, user_count = user_count + %(users)s,
    dimension = coalesce(dimension, %(dimension)s), changed_at = now()
WHERE collection_id = %(collection_id)s
RETURNING collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
          keeps_crops;

-- name: page
-- The live collections whose names follow that of a given one, in byte order, without galleries of our own.
SELECT collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
       keeps_crops
FROM collections
WHERE account = %(account)s AND region = %(region)s AND deleted_at IS NULL AND NOT starts_with(name, '/')
  AND (%(after)s::bigint IS NULL
       OR name > (SELECT name FROM collections WHERE collection_id = %(after)s::bigint))
ORDER BY name
LIMIT %(limit)s;

-- name: delete
-- Makes a live collection a tombstone.
UPDATE collections SET deleted_at = now()
WHERE account = %(account)s AND region = %(region)s AND name = %(name)s AND deleted_at IS NULL
RETURNING collection_id;

-- name: purge_faces
-- Removes some faces of tombstones.
DELETE FROM faces WHERE (collection_id, face_id) IN (
    SELECT faces.collection_id, faces.face_id FROM faces JOIN collections USING (collection_id)
    WHERE collections.deleted_at IS NOT NULL
    LIMIT %(batch)s FOR UPDATE OF faces SKIP LOCKED
);

-- name: purge_users
-- Removes some users of tombstones that no face refers to any more.
DELETE FROM users WHERE (collection_id, user_id) IN (
    SELECT users.collection_id, users.user_id FROM users JOIN collections USING (collection_id)
    WHERE collections.deleted_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM faces WHERE faces.collection_id = collections.collection_id)
    LIMIT %(batch)s FOR UPDATE OF users SKIP LOCKED
);

-- name: purge_changes
-- Removes some log entries of tombstones.
DELETE FROM collection_changes WHERE (collection_id, version) IN (
    SELECT changes.collection_id, changes.version
    FROM collection_changes AS changes JOIN collections USING (collection_id)
    WHERE collections.deleted_at IS NOT NULL
    LIMIT %(batch)s FOR UPDATE OF changes SKIP LOCKED
);

-- name: purge_collections
-- Removes some tombstones of which nothing else is left.
DELETE FROM collections WHERE collection_id IN (
    SELECT collection_id FROM collections AS emptied
    WHERE deleted_at <= now() - %(keep)s::interval
      AND NOT EXISTS (SELECT FROM faces WHERE faces.collection_id = emptied.collection_id)
      AND NOT EXISTS (SELECT FROM users WHERE users.collection_id = emptied.collection_id)
      AND NOT EXISTS (SELECT FROM collection_changes AS changes WHERE changes.collection_id = emptied.collection_id)
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
);
