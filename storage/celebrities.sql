-- name: get
-- A celebrity by its id.
SELECT celebrity_id AS id, name, gender, urls FROM celebrities
WHERE collection_id = %(collection_id)s AND celebrity_id = %(id)s;

-- name: named
-- The celebrities of a name, by id.
SELECT celebrity_id AS id, name, gender, urls FROM celebrities
WHERE collection_id = %(collection_id)s AND name_key = %(name_key)s
ORDER BY celebrity_id;

-- name: list
-- All celebrities, by name, with the numbers of their faces.
SELECT celebrity_id AS id, name, gender, urls,
       (SELECT count(*) FROM faces
        WHERE faces.collection_id = celebrities.collection_id
          AND faces.user_id = celebrities.celebrity_id) AS faces
FROM celebrities
WHERE collection_id = %(collection_id)s
ORDER BY name_key, celebrity_id;

-- name: by_keys
-- Those of the celebrities whose users have the given keys.
SELECT users.key, celebrity_id AS id, name, gender, urls
FROM celebrities JOIN users ON users.collection_id = celebrities.collection_id AND users.user_id = celebrity_id
WHERE celebrities.collection_id = %(collection_id)s AND users.key = ANY(%(keys)s::uuid[]);

-- name: put
-- What is known of a celebrity that is a user of the gallery, replacing what was known.
INSERT INTO celebrities (collection_id, celebrity_id, name, name_key, gender, urls)
VALUES (%(collection_id)s, %(id)s, %(name)s, %(name_key)s, %(gender)s, %(urls)s)
ON CONFLICT (collection_id, celebrity_id)
DO UPDATE SET name = excluded.name, name_key = excluded.name_key, gender = excluded.gender, urls = excluded.urls;

-- name: faces
-- The faces of a celebrity, in the order they were stored.
SELECT face_id, image_id, box_left, box_top, box_width, box_height, confidence, embedding FROM faces
WHERE collection_id = %(collection_id)s AND user_id = %(id)s
ORDER BY seq;
