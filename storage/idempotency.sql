-- name: claim
-- Takes a token that is new or expired; waits for another transaction that holds it.
INSERT INTO idempotency_tokens (account, region, operation, token, request_digest, resource)
VALUES (%(account)s, %(region)s, %(operation)s, %(token)s, %(request_digest)s, %(resource)s)
ON CONFLICT ON CONSTRAINT idempotency_tokens_once DO UPDATE
SET request_digest = EXCLUDED.request_digest, resource = EXCLUDED.resource, answer = NULL, created_at = now()
WHERE idempotency_tokens.created_at < now() - make_interval(secs => %(lifetime_seconds)s)
RETURNING token;

-- name: find
-- What a token stands for.
SELECT request_digest, answer FROM idempotency_tokens
WHERE account = %(account)s AND region = %(region)s AND operation = %(operation)s AND token = %(token)s;

-- name: record
-- Keeps the answer given for a token.
UPDATE idempotency_tokens SET answer = %(answer)s
WHERE account = %(account)s AND region = %(region)s AND operation = %(operation)s AND token = %(token)s;

-- name: forget
-- Removes the tokens of requests about a resource.
DELETE FROM idempotency_tokens
WHERE account = %(account)s AND region = %(region)s AND resource = %(resource)s;

-- name: expire
-- Removes some tokens past their lifetime.
DELETE FROM idempotency_tokens WHERE (account, region, operation, token) IN (
    SELECT account, region, operation, token FROM idempotency_tokens
    WHERE created_at < now() - make_interval(secs => %(lifetime_seconds)s)
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED
);
