-- name: users
-- The users of a collection with their vectors, in the order of their ids.
SELECT key, user_id, created_at, embedding FROM users WHERE collection_id = %(collection_id)s ORDER BY user_id;

-- name: faces
-- The faces of a collection with their embeddings, in the order they were stored.
SELECT face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence, user_id, embedding
FROM faces WHERE collection_id = %(collection_id)s ORDER BY seq;

-- name: insert_user
-- A user as it was elsewhere.
INSERT INTO users (collection_id, key, user_id, created_at, embedding)
VALUES (%(collection_id)s, %(key)s, %(user_id)s, %(created_at)s, %(embedding)s);

-- name: insert_face
-- A face as it was elsewhere.
INSERT INTO faces (collection_id, face_id, image_id, external_image_id, box_left, box_top, box_width, box_height,
                   confidence, user_id, embedding)
VALUES (%(collection_id)s, %(face_id)s, %(image_id)s, %(external_image_id)s, %(box_left)s, %(box_top)s,
        %(box_width)s, %(box_height)s, %(confidence)s, %(user_id)s, %(embedding)s);

-- name: set_created_at
-- When a collection was created elsewhere.
UPDATE collections SET created_at = %(created_at)s WHERE collection_id = %(collection_id)s;
