-- name: insert
-- A new user without faces, unless the collection has one of this id.
INSERT INTO users (collection_id, user_id) VALUES (%(collection_id)s, %(user_id)s)
ON CONFLICT (collection_id, user_id) DO NOTHING
RETURNING key;

-- name: get
-- A user by its id.
SELECT key, user_id, embedding FROM users WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;

-- name: by_keys
-- Those of the users with the given keys that have faces, with the present face model of their live collection.
SELECT users.key, users.user_id, collections.face_model_version
FROM users JOIN collections USING (collection_id)
WHERE users.collection_id = %(collection_id)s AND users.key = ANY(%(keys)s::uuid[]) AND users.embedding IS NOT NULL
  AND collections.deleted_at IS NULL;

-- name: page
-- The users behind one, in byte order, and whether they have faces.
SELECT user_id, embedding IS NOT NULL AS has_faces FROM users
WHERE collection_id = %(collection_id)s AND user_id > %(after)s
ORDER BY user_id
LIMIT %(limit)s;

-- name: remove
-- Removes a user that no face belongs to.
DELETE FROM users WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;

-- name: set_embedding
-- Sets or clears the vector of a user.
UPDATE users SET embedding = %(embedding)s WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;

-- name: log
-- Enters the change of a user's vector, or its end, into the change log.
INSERT INTO collection_changes (collection_id, version, kind, action, id)
VALUES (%(collection_id)s, %(version)s, 'users', %(action)s, %(key)s);

-- name: faces
-- Those of the given faces that exist, with their users and embeddings.
SELECT face_id, user_id, embedding FROM faces
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]);

-- name: embeddings
-- The embeddings of a user's faces, in the order they were stored.
SELECT embedding FROM faces WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s ORDER BY seq;

-- name: attach
-- Gives faces to a user.
UPDATE faces SET user_id = %(user_id)s
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]);

-- name: detach
-- Takes those of the given faces that are a user's from it.
UPDATE faces SET user_id = NULL
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]) AND user_id = %(user_id)s;

-- name: detach_all
-- Takes all faces from a user.
UPDATE faces SET user_id = NULL WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;
