-- Collections of faces. Every write to a collection holds its row, so versions are gapless and the counts are exact.

CREATE TABLE collections (
    collection_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    region text NOT NULL,
    name text COLLATE "C" NOT NULL,
    face_model_version text NOT NULL,
    -- Length of the embeddings, known from the first face on.
    dimension integer,
    version bigint NOT NULL DEFAULT 0,
    face_count bigint NOT NULL DEFAULT 0 CHECK (face_count >= 0),
    user_count bigint NOT NULL DEFAULT 0 CHECK (user_count >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- A deleted collection is invisible at once; a worker removes its rows later.
    deleted_at timestamptz
);

CREATE UNIQUE INDEX collections_live_name ON collections (account, region, name) WHERE deleted_at IS NULL;
CREATE INDEX collections_deleted ON collections (collection_id) WHERE deleted_at IS NOT NULL;

CREATE TABLE users (
    collection_id bigint NOT NULL REFERENCES collections,
    user_id text COLLATE "C" NOT NULL,
    status text NOT NULL CHECK (status IN ('creating', 'created', 'updating', 'active')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, user_id)
);

CREATE TABLE faces (
    collection_id bigint NOT NULL REFERENCES collections,
    face_id uuid NOT NULL,
    -- Grows in the order of commits within one collection: the position of a page.
    seq bigint GENERATED ALWAYS AS IDENTITY,
    image_id uuid NOT NULL,
    external_image_id text,
    box_left real NOT NULL,
    box_top real NOT NULL,
    box_width real NOT NULL,
    box_height real NOT NULL,
    confidence real NOT NULL,
    user_id text COLLATE "C",
    embedding real[] NOT NULL,
    PRIMARY KEY (collection_id, face_id),
    FOREIGN KEY (collection_id, user_id) REFERENCES users
);

-- Embeddings do not compress, and full reads want them beside their row: up to about 1900 dimensions fit a page.
ALTER TABLE faces ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE UNIQUE INDEX faces_seq ON faces (collection_id, seq);
CREATE INDEX faces_image ON faces (collection_id, image_id);
CREATE INDEX faces_user ON faces (collection_id, user_id) WHERE user_id IS NOT NULL;

-- The change log, one version per changed face. No foreign key: an entry outlives its face.
CREATE TABLE collection_changes (
    collection_id bigint NOT NULL,
    version bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('add', 'delete')),
    face_id uuid NOT NULL,
    PRIMARY KEY (collection_id, version)
);
