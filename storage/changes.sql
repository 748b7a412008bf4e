-- name: heads
-- Every live collection, most recently changed first.
SELECT collection_id, version FROM collections
WHERE deleted_at IS NULL
ORDER BY changed_at DESC;

-- name: pulse
-- Numbers of the live collections that no creation, change or deletion leaves as they are; a restored backup neither.
SELECT count(*), coalesce(sum(collection_id), 0)::bigint, coalesce(sum(version), 0)::bigint, max(changed_at)
FROM collections WHERE deleted_at IS NULL;

-- name: living
-- Those of some collections that are live.
SELECT collection_id FROM collections WHERE collection_id = ANY (%(collection_ids)s::bigint[]) AND deleted_at IS NULL;

-- name: vector_bytes
-- The most that the ids and vectors of a collection take.
SELECT (face_count + user_count) * (16 + 4 * coalesce(dimension, 0))
FROM collections WHERE collection_id = %(collection_id)s AND deleted_at IS NULL;

-- name: has_lost
-- Whether a collection lost, or replaced, anything after a version; also true when the log no longer tells.
SELECT NOT EXISTS (SELECT FROM collection_changes
                   WHERE collection_id = %(collection_id)s AND version = %(version)s)
       OR EXISTS (SELECT FROM collection_changes
                  WHERE collection_id = %(collection_id)s AND version > %(version)s AND action <> 'add');

-- name: head
-- The version of a live collection.
SELECT version FROM collections WHERE collection_id = %(collection_id)s AND deleted_at IS NULL;

-- name: since
-- The log entries behind a version, in order, with the present embeddings of what is still there.
SELECT changes.version, changes.kind, changes.action, uuid_send(changes.id) AS id,
       coalesce(faces.embedding, users.embedding) AS embedding
FROM collection_changes AS changes
LEFT JOIN faces ON changes.kind = 'faces' AND changes.action <> 'delete'
    AND faces.collection_id = changes.collection_id AND faces.face_id = changes.id
LEFT JOIN users ON changes.kind = 'users' AND changes.action <> 'delete'
    AND users.collection_id = changes.collection_id AND users.key = changes.id
WHERE changes.collection_id = %(collection_id)s AND changes.version > %(version)s
ORDER BY changes.version
LIMIT %(limit)s;

-- name: begin_snapshot
-- Makes the transaction see one state.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: state
-- The state of a live collection with the id of the last entry.
SELECT collections.version, uuid_send(changes.id) AS last_id, collections.face_count, collections.dimension
FROM collections LEFT JOIN collection_changes AS changes USING (collection_id, version)
WHERE collections.collection_id = %(collection_id)s AND collections.deleted_at IS NULL;

-- name: embeddings_of_faces
-- The faces of a collection, in any order.
SELECT uuid_send(face_id) AS id, embedding FROM faces WHERE collection_id = %(collection_id)s;

-- name: embeddings_of_users
-- The users of a collection that have faces, in any order.
SELECT uuid_send(key) AS id, embedding FROM users WHERE collection_id = %(collection_id)s AND embedding IS NOT NULL;

-- name: forget
-- Removes the log of a collection.
DELETE FROM collection_changes WHERE collection_id = %(collection_id)s;

-- name: mark
-- The first entry of a new history, which no other history has.
INSERT INTO collection_changes (collection_id, version, kind, action, id)
VALUES (%(collection_id)s, %(version)s, 'faces', 'delete', gen_random_uuid());

-- name: trim
-- Removes some of the oldest log entries beyond the newest ones of each collection, oldest first.
DELETE FROM collection_changes WHERE (collection_id, version) IN (
    SELECT old.collection_id, old.version
    FROM collections CROSS JOIN LATERAL (
        SELECT changes.collection_id, changes.version FROM collection_changes AS changes
        WHERE changes.collection_id = collections.collection_id
          AND changes.version <= collections.version - %(keep)s
        ORDER BY changes.version
        LIMIT %(batch)s
    ) AS old
    LIMIT %(batch)s
);
