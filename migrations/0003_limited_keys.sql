-- Keys that may call only some operations.

-- Names of operations; null is no limit.
ALTER TABLE access_keys ADD COLUMN operations text[];
