-- name: of_image
-- The faces stored for one image under one external id.
SELECT faces.face_id, faces.image_id, faces.external_image_id, faces.box_left, faces.box_top, faces.box_width,
       faces.box_height, faces.confidence, faces.user_id, collections.face_model_version
FROM faces JOIN collections USING (collection_id)
WHERE faces.collection_id = %(collection_id)s AND faces.image_id = %(image_id)s
  AND faces.external_image_id IS NOT DISTINCT FROM %(external_image_id)s::text
ORDER BY faces.seq;

-- name: insert
-- A new face and its entry in the change log.
WITH face AS (
    INSERT INTO faces (collection_id, face_id, image_id, external_image_id, box_left, box_top, box_width, box_height,
                       confidence, embedding)
    VALUES (%(collection_id)s, %(face_id)s, %(image_id)s, %(external_image_id)s, %(box_left)s, %(box_top)s,
            %(box_width)s, %(box_height)s, %(confidence)s, %(embedding)s)
    RETURNING collection_id, face_id
)
INSERT INTO collection_changes (collection_id, version, kind, action, id)
SELECT collection_id, %(version)s, 'faces', 'add', face_id FROM face;

-- name: delete
-- Removes the faces among the given ones that belong to no user.
DELETE FROM faces
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]) AND user_id IS NULL
RETURNING face_id;

-- name: users_of
-- The users of those among the given faces that exist.
SELECT face_id, user_id FROM faces
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]);

-- name: log_deletions
-- Enters the removal of faces, in the given order, into the change log behind a version.
INSERT INTO collection_changes (collection_id, version, kind, action, id)
SELECT %(collection_id)s, %(version)s + position, 'faces', 'delete', face_id
FROM unnest(%(face_ids)s::uuid[]) WITH ORDINALITY AS deleted (face_id, position);

-- name: page
-- The faces of a live collection behind a position, in the order they were stored.
SELECT faces.seq, faces.face_id, faces.image_id, faces.external_image_id, faces.box_left, faces.box_top,
       faces.box_width, faces.box_height, faces.confidence, faces.user_id, collections.face_model_version
FROM faces JOIN collections USING (collection_id)
WHERE faces.collection_id = (SELECT collection_id FROM collections WHERE account = %(account)s AND region = %(region)s
                             AND name = %(name)s AND deleted_at IS NULL)
  AND faces.seq > %(after_seq)s
ORDER BY faces.seq
LIMIT %(limit)s;

-- name: page_of_ids
-- Those of the given faces of a live collection, optionally of one user, behind a position, in the order they were stored.
SELECT faces.seq, faces.face_id, faces.image_id, faces.external_image_id, faces.box_left, faces.box_top,
       faces.box_width, faces.box_height, faces.confidence, faces.user_id, collections.face_model_version
FROM faces JOIN collections USING (collection_id)
WHERE faces.collection_id = (SELECT collection_id FROM collections WHERE account = %(account)s AND region = %(region)s
                             AND name = %(name)s AND deleted_at IS NULL)
  AND faces.seq > %(after_seq)s
  AND faces.face_id = ANY(%(face_ids)s::uuid[])
  AND (%(user_id)s::text IS NULL OR faces.user_id = %(user_id)s::text)
ORDER BY faces.seq
LIMIT %(limit)s;

-- name: page_of_user
-- The faces of a user of a live collection behind a position, in the order they were stored.
SELECT faces.seq, faces.face_id, faces.image_id, faces.external_image_id, faces.box_left, faces.box_top,
       faces.box_width, faces.box_height, faces.confidence, faces.user_id, collections.face_model_version
FROM faces JOIN collections USING (collection_id)
WHERE faces.collection_id = (SELECT collection_id FROM collections WHERE account = %(account)s AND region = %(region)s
                             AND name = %(name)s AND deleted_at IS NULL)
  AND faces.seq > %(after_seq)s
  AND faces.user_id = %(user_id)s
ORDER BY faces.seq
LIMIT %(limit)s;

-- name: by_ids
-- Those of the given faces that exist, with the present face model of their live collection.
SELECT faces.face_id, faces.image_id, faces.external_image_id, faces.box_left, faces.box_top, faces.box_width,
       faces.box_height, faces.confidence, faces.user_id, collections.face_model_version
FROM faces JOIN collections USING (collection_id)
WHERE faces.collection_id = %(collection_id)s AND faces.face_id = ANY(%(face_ids)s::uuid[])
  AND collections.deleted_at IS NULL;

-- name: embedding
-- A live collection by its name, with the embedding of one of its faces.
SELECT collection_id AS id, name, face_model_version, version, created_at, face_count, user_count, dimension,
       keeps_crops, faces.embedding
FROM collections JOIN faces USING (collection_id)
WHERE account = %(account)s AND region = %(region)s AND name = %(name)s AND deleted_at IS NULL
  AND faces.face_id = %(face_id)s;
