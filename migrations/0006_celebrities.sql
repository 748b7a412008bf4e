-- Celebrities: what is known of the people whom an owner's gallery holds. Their faces and vectors are a collection's.

-- Each is a user of a gallery, by the same id, and goes with it.
CREATE TABLE celebrities (
    collection_id bigint NOT NULL,
    celebrity_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- The name as it is looked up: without regard to case, spacing and Unicode forms.
    name_key text COLLATE "C" NOT NULL,
    gender text NOT NULL CHECK (gender IN ('male', 'female', 'nonbinary', 'unlisted')),
    urls text[] NOT NULL,
    PRIMARY KEY (collection_id, celebrity_id),
    FOREIGN KEY (collection_id, celebrity_id) REFERENCES users ON DELETE CASCADE
);

CREATE INDEX celebrities_name ON celebrities (collection_id, name_key);
