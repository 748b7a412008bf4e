-- name: hold
-- Whether this connection is now the one that moves a collection to another face model.
SELECT pg_try_advisory_lock(hashtextextended('reembed ' || %(collection_id)s::text, 0));

-- name: release
-- Lets others move the collection.
SELECT pg_advisory_unlock(hashtextextended('reembed ' || %(collection_id)s::text, 0));

-- name: forget_others
-- Removes the embeddings that were made for another face model.
DELETE FROM new_embeddings
WHERE collection_id = %(collection_id)s AND face_model_version <> %(face_model_version)s;

-- name: put
-- The new embedding of a face, if the face is still there.
INSERT INTO new_embeddings (collection_id, face_id, face_model_version, embedding)
SELECT collection_id, face_id, %(face_model_version)s, %(embedding)s FROM faces
WHERE collection_id = %(collection_id)s AND face_id = %(face_id)s FOR KEY SHARE
ON CONFLICT (collection_id, face_id) DO NOTHING;

-- name: count_missing
-- How many faces have no new embedding yet.
SELECT count(*) FROM faces
WHERE collection_id = %(collection_id)s AND NOT EXISTS (
    SELECT FROM new_embeddings AS new WHERE new.collection_id = faces.collection_id AND new.face_id = faces.face_id
);

-- name: missing
-- Some faces that have no new embedding yet, in the order they were stored.
SELECT face_id FROM faces
WHERE collection_id = %(collection_id)s AND NOT EXISTS (
    SELECT FROM new_embeddings AS new WHERE new.collection_id = faces.collection_id AND new.face_id = faces.face_id
)
ORDER BY seq
LIMIT %(limit)s;

-- name: missing_with_crops
-- Faces that have a crop and no new embedding yet, behind a position, in the order they were stored.
SELECT faces.seq, faces.face_id
FROM faces JOIN face_crops AS crops USING (collection_id, face_id)
WHERE faces.collection_id = %(collection_id)s AND faces.seq > %(after_seq)s AND NOT EXISTS (
    SELECT FROM new_embeddings AS new WHERE new.collection_id = faces.collection_id AND new.face_id = faces.face_id
)
ORDER BY faces.seq
LIMIT %(limit)s;

-- name: missing_of_image
-- The faces of one image that have no new embedding yet, with their boxes.
SELECT face_id, box_left, box_top, box_width, box_height FROM faces
WHERE collection_id = %(collection_id)s AND image_id = %(image_id)s AND NOT EXISTS (
    SELECT FROM new_embeddings AS new WHERE new.collection_id = faces.collection_id AND new.face_id = faces.face_id
)
ORDER BY seq;

-- name: drop_missing
-- Removes the faces that have no new embedding.
DELETE FROM faces
WHERE collection_id = %(collection_id)s AND NOT EXISTS (
    SELECT FROM new_embeddings AS new WHERE new.collection_id = faces.collection_id AND new.face_id = faces.face_id
);

-- name: dimension
-- The length of the new embeddings.
SELECT cardinality(embedding) FROM new_embeddings WHERE collection_id = %(collection_id)s LIMIT 1;

-- name: swap
-- Gives every face its new embedding.
UPDATE faces SET embedding = new.embedding
FROM new_embeddings AS new
WHERE faces.collection_id = %(collection_id)s
  AND new.collection_id = faces.collection_id AND new.face_id = faces.face_id;

-- name: clear_users
-- Takes the vectors from users that have no faces any more.
UPDATE users SET embedding = NULL
WHERE collection_id = %(collection_id)s AND embedding IS NOT NULL AND NOT EXISTS (
    SELECT FROM faces WHERE faces.collection_id = users.collection_id AND faces.user_id = users.user_id
);

-- name: set_user
-- The new vector of a user.
UPDATE users SET embedding = %(embedding)s WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;

-- name: set_model
-- Makes a collection one of another face model.
UPDATE collections SET face_model_version = %(face_model_version)s, dimension = %(dimension)s
WHERE collection_id = %(collection_id)s;

-- name: clear
-- Removes the new embeddings once they are in use.
DELETE FROM new_embeddings WHERE collection_id = %(collection_id)s;
