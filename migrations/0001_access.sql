-- Who may call, and where the images of their buckets lie.

CREATE TABLE access_keys (
    access_key_id text PRIMARY KEY,
    account text NOT NULL CHECK (account ~ '^[0-9]{12}$'),
    encrypted_secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE INDEX access_keys_account ON access_keys (account);

CREATE TABLE buckets (
    account text NOT NULL,
    region text NOT NULL,
    name text COLLATE "C" NOT NULL,
    directory text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, region, name)
);

-- resource is the last part of an ARN, such as collection/NAME: account and region complete it.
CREATE TABLE tags (
    account text NOT NULL,
    region text NOT NULL,
    resource text NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (account, region, resource, key)
);

CREATE TABLE idempotency_tokens (
    account text NOT NULL,
    region text NOT NULL,
    operation text NOT NULL,
    token text NOT NULL,
    request_digest bytea NOT NULL,
    answer jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_tokens_once PRIMARY KEY (account, region, operation, token)
);

CREATE INDEX idempotency_tokens_created_at ON idempotency_tokens (created_at);
