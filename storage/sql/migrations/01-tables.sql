-- Version 1: all tables. People and other programs read the views (../schema/views.sql), not these.
-- Times are milliseconds since 1970 in UTC. Sizes are bytes. Masks are 64 bits, bit i for piece i of a segment.

CREATE TABLE migration (
  version    INTEGER PRIMARY KEY,
  what       TEXT NOT NULL,
  applied_at INTEGER NOT NULL
);

-- One value per name: node_id, next_pull, views, heartbeat (when write_snapshot last ran).
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- A blob that is complete or partial on this machine.
CREATE TABLE blob (
  id      INTEGER PRIMARY KEY,
  blob_id TEXT NOT NULL,      -- "sha256:<hex>" or "git-sha1:<hex>"
  size    INTEGER NOT NULL CHECK (size >= 0),
  UNIQUE (blob_id, size)
);

-- A complete copy of a blob under its final name. Believed while the file's inode, size and mtime are these.
CREATE TABLE copy (
  id          INTEGER PRIMARY KEY,
  blob        INTEGER NOT NULL REFERENCES blob ON DELETE CASCADE,
  type        TEXT NOT NULL,
  repo        TEXT NOT NULL,
  path        TEXT NOT NULL UNIQUE,
  inode       INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  source      TEXT NOT NULL,  -- "fetched", "adopted", "linked", "copied"
  verified_at INTEGER NOT NULL
);
CREATE INDEX copy_by_blob ON copy (blob);

-- A blob that is coming in. `written` masks of its segments count only on the boot they were made on.
CREATE TABLE partial (
  blob       INTEGER PRIMARY KEY REFERENCES blob ON DELETE CASCADE,
  type       TEXT NOT NULL,
  repo       TEXT NOT NULL,
  path       TEXT NOT NULL,
  inode      INTEGER NOT NULL,
  boot_id    TEXT NOT NULL,
  started_at INTEGER NOT NULL
);

-- `hashes`: 32 bytes per piece, zero where not known.
CREATE TABLE segment (
  blob    INTEGER NOT NULL REFERENCES blob ON DELETE CASCADE,
  idx     INTEGER NOT NULL,
  written INTEGER NOT NULL,
  durable INTEGER NOT NULL,
  hashes  BLOB NOT NULL,
  PRIMARY KEY (blob, idx)
);

-- Midstates of the publisher's hash over the first `position` bytes of a partial. `kind`: 0 at a segment's
-- boundary, to go back to; 1 the furthest; 2 the furthest that a power loss leaves.
CREATE TABLE prefix_hash (
  blob     INTEGER NOT NULL REFERENCES blob ON DELETE CASCADE,
  kind     INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state    BLOB NOT NULL,
  PRIMARY KEY (blob, kind, position)
) WITHOUT ROWID;

-- A wanted or held file.
CREATE TABLE file (
  type         TEXT NOT NULL,
  repo         TEXT NOT NULL,
  revision     TEXT NOT NULL,
  commit_id    TEXT NOT NULL,
  path         TEXT NOT NULL,
  blob_id      TEXT NOT NULL,
  size         INTEGER NOT NULL CHECK (size >= 0),
  bytes_done   INTEGER NOT NULL CHECK (bytes_done BETWEEN 0 AND size),
  bytes_lan    INTEGER NOT NULL,
  bytes_origin INTEGER NOT NULL,
  bytes_local  INTEGER NOT NULL,
  bytes_per_s  INTEGER NOT NULL,
  eta_s        INTEGER,
  state        TEXT NOT NULL,
  waiting_for  TEXT NOT NULL,
  error        TEXT NOT NULL,
  updated_at   INTEGER NOT NULL,
  PRIMARY KEY (type, repo, commit_id, revision, path)
) WITHOUT ROWID;
CREATE INDEX file_by_blob ON file (blob_id);

-- What is done does not become undone while the row lives; only a failure, or a new start after one, resets it.
CREATE TRIGGER file_never_falls BEFORE UPDATE OF bytes_done ON file
WHEN new.bytes_done < old.bytes_done AND new.blob_id = old.blob_id AND old.state <> 'failed' AND new.state <> 'failed'
BEGIN
  SELECT RAISE(ABORT, 'bytes_done of a file fell');
END;

CREATE TABLE pull (
  id            INTEGER PRIMARY KEY,
  type          TEXT NOT NULL,
  repo          TEXT NOT NULL,
  revision      TEXT NOT NULL,
  commit_id     TEXT NOT NULL,
  include       TEXT NOT NULL,  -- JSON arrays of glob patterns
  exclude       TEXT NOT NULL,
  source        TEXT NOT NULL,
  priority      TEXT NOT NULL,
  state         TEXT NOT NULL,
  files         INTEGER NOT NULL,
  files_done    INTEGER NOT NULL,
  size          INTEGER NOT NULL,
  bytes_done    INTEGER NOT NULL,
  bytes_lan     INTEGER NOT NULL,
  bytes_origin  INTEGER NOT NULL,
  bytes_local   INTEGER NOT NULL,
  bytes_per_s   INTEGER NOT NULL,
  eta_s         INTEGER,
  waiting_for   TEXT NOT NULL,
  error_code    TEXT,
  error         TEXT NOT NULL,
  snapshot_path TEXT NOT NULL,
  created_at    INTEGER NOT NULL,
  finished_at   INTEGER NOT NULL,  -- 0: still running
  updated_at    INTEGER NOT NULL
);
CREATE INDEX pull_by_state ON pull (state);

CREATE TABLE peer (
  node               TEXT PRIMARY KEY,
  name               TEXT NOT NULL,
  version            TEXT NOT NULL,
  address            TEXT NOT NULL,
  port               INTEGER NOT NULL,
  alive              INTEGER NOT NULL,
  cpu_permille       INTEGER NOT NULL,
  memory_permille    INTEGER NOT NULL,
  io_permille        INTEGER NOT NULL,
  nic_permille       INTEGER NOT NULL,
  gpu_permille       INTEGER NOT NULL,
  busy               INTEGER NOT NULL,
  origin_bytes_per_s INTEGER NOT NULL,
  upload_bytes_per_s INTEGER NOT NULL,
  download_bytes_per_s INTEGER NOT NULL,
  blobs_held         INTEGER NOT NULL,
  bytes_held         INTEGER NOT NULL,
  bytes_received     INTEGER NOT NULL,
  bytes_sent         INTEGER NOT NULL,
  first_seen         INTEGER NOT NULL,
  last_seen          INTEGER NOT NULL,
  banned_until       INTEGER NOT NULL  -- 0: not banned
);

CREATE TABLE event (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  at    INTEGER NOT NULL,
  level TEXT NOT NULL,
  kind  TEXT NOT NULL,
  pull  INTEGER,
  repo  TEXT NOT NULL,
  path  TEXT NOT NULL,
  peer  TEXT NOT NULL,
  text  TEXT NOT NULL
);
