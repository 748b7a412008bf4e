-- name: exists
-- One row if a collection has a user.
SELECT 1 FROM users WHERE collection_id = %(collection_id)s AND user_id = %(user_id)s;
