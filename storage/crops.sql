-- name: put
-- Keeps the crop of a face, unless one is kept.
INSERT INTO face_crops (collection_id, face_id, sealed) VALUES (%(collection_id)s, %(face_id)s, %(sealed)s)
ON CONFLICT (collection_id, face_id) DO NOTHING;

-- name: of_faces
-- The crops of those of the given faces that have one.
SELECT face_id, sealed FROM face_crops
WHERE collection_id = %(collection_id)s AND face_id = ANY(%(face_ids)s::uuid[]);

-- name: all
-- The crops of a collection, in any order.
SELECT face_id, sealed FROM face_crops WHERE collection_id = %(collection_id)s;

-- name: count
-- How many crops a collection has.
SELECT count(*) FROM face_crops WHERE collection_id = %(collection_id)s;

-- name: set_kept
-- Begins or ends the keeping of crops.
UPDATE collections SET keeps_crops = %(kept)s WHERE collection_id = %(collection_id)s;

-- name: remove_all
-- Removes the crops of a collection.
DELETE FROM face_crops WHERE collection_id = %(collection_id)s;
