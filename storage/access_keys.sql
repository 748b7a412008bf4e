-- name: insert
-- A new access key.
INSERT INTO access_keys (access_key_id, account, encrypted_secret, operations)
VALUES (%(access_key_id)s, %(account)s, %(encrypted_secret)s, %(operations)s);

-- name: find
-- A key that is not revoked.
SELECT account, encrypted_secret, operations FROM access_keys
WHERE access_key_id = %(access_key_id)s AND revoked_at IS NULL;

-- name: list
-- All keys, oldest first; optionally those of one account.
SELECT access_key_id, account, operations, created_at, revoked_at FROM access_keys
WHERE %(account)s::text IS NULL OR account = %(account)s::text
ORDER BY created_at, access_key_id;

-- name: revoke
-- Ends the life of a key.
UPDATE access_keys SET revoked_at = now()
WHERE access_key_id = %(access_key_id)s AND revoked_at IS NULL
RETURNING access_key_id;
