-- Crops that an owner asked to be kept, and the work of moving a collection to another face model.

ALTER TABLE collections ADD COLUMN keeps_crops boolean NOT NULL DEFAULT false;

-- Encrypted with a key that lives outside the database; they go with their faces.
CREATE TABLE face_crops (
    collection_id bigint NOT NULL,
    face_id uuid NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (collection_id, face_id),
    FOREIGN KEY (collection_id, face_id) REFERENCES faces ON DELETE CASCADE
);

-- PNG does not compress any further.
ALTER TABLE face_crops ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- The embeddings that faces will have once all of their collection have one.
CREATE TABLE new_embeddings (
    collection_id bigint NOT NULL,
    face_id uuid NOT NULL,
    face_model_version text NOT NULL,
    embedding real[] NOT NULL,
    PRIMARY KEY (collection_id, face_id),
    FOREIGN KEY (collection_id, face_id) REFERENCES faces ON DELETE CASCADE
);

ALTER TABLE new_embeddings ALTER COLUMN embedding SET STORAGE PLAIN;

-- What a request was about, as in tags: its answer goes when that goes. Null where that is nothing of the kind.
ALTER TABLE idempotency_tokens ADD COLUMN resource text;
CREATE INDEX idempotency_tokens_resource ON idempotency_tokens (account, region, resource) WHERE resource IS NOT NULL;
