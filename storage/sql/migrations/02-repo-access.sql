-- Version 2: whether anyone may download a repo, so that a node whose Hub is out of reach knows what it may share.

CREATE TABLE repo_access (
  type       TEXT NOT NULL,
  repo       TEXT NOT NULL,
  is_public  INTEGER NOT NULL,
  checked_at INTEGER NOT NULL,
  PRIMARY KEY (type, repo)
) WITHOUT ROWID;
