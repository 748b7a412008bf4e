-- name: counts
-- What a collection says of itself beside what it has.
SELECT version, face_count, user_count, dimension,
       (SELECT count(*) FROM faces WHERE faces.collection_id = collections.collection_id) AS faces,
       (SELECT count(*) FROM users WHERE users.collection_id = collections.collection_id) AS users,
       (SELECT count(*) FROM collection_changes AS changes
        WHERE changes.collection_id = collections.collection_id) AS entries,
       (SELECT min(changes.version) FROM collection_changes AS changes
        WHERE changes.collection_id = collections.collection_id) AS first_entry,
       (SELECT max(changes.version) FROM collection_changes AS changes
        WHERE changes.collection_id = collections.collection_id) AS last_entry
FROM collections WHERE collection_id = %(collection_id)s;

-- name: lengths
-- How many embeddings there are of each length.
SELECT cardinality(embedding) AS length, count(*) AS number FROM faces
WHERE collection_id = %(collection_id)s GROUP BY 1 ORDER BY 1;

-- name: user_vectors
-- The users that have a vector.
SELECT user_id, embedding FROM users
WHERE collection_id = %(collection_id)s AND embedding IS NOT NULL ORDER BY user_id;

-- name: embeddings_by_user
-- The embeddings of the faces of users, user by user, in the order they were stored.
SELECT user_id, embedding FROM faces
WHERE collection_id = %(collection_id)s AND user_id IS NOT NULL ORDER BY user_id, seq;
