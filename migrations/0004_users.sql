-- Users are searched for by their vectors: the index knows them by a key, and the change log tells of them too.

-- A user that has a vector has faces, and is active; any other is only created.
ALTER TABLE users DROP COLUMN status;
ALTER TABLE users ADD COLUMN key uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE users ADD COLUMN embedding real[];
ALTER TABLE users ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE UNIQUE INDEX users_key ON users (collection_id, key);

-- An entry tells of a face by its id, or of a user by its key, which may be replaced: its vector has changed.
ALTER TABLE collection_changes RENAME COLUMN face_id TO id;
ALTER TABLE collection_changes RENAME COLUMN kind TO action;
ALTER TABLE collection_changes DROP CONSTRAINT collection_changes_kind_check;
ALTER TABLE collection_changes
    ADD CONSTRAINT collection_changes_action_check CHECK (action IN ('add', 'replace', 'delete'));
ALTER TABLE collection_changes
    ADD COLUMN kind text NOT NULL DEFAULT 'faces' CHECK (kind IN ('faces', 'users'));
ALTER TABLE collection_changes ALTER COLUMN kind DROP DEFAULT;
