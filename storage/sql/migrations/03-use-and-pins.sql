-- Version 3: when a copy was last used, and which repos stay whatever happens.

-- Milliseconds since 1970; 0: not since it was recorded.
ALTER TABLE copy ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;

CREATE TABLE pin (
  type      TEXT NOT NULL,
  repo      TEXT NOT NULL,
  pinned_at INTEGER NOT NULL,
  PRIMARY KEY (type, repo)
) WITHOUT ROWID;
