-- The stable face of shoal.db. Columns may be added at the end; none is renamed or removed.
-- Times are ISO 8601 in UTC; NULL where something has not happened. Texts are empty rather than NULL.

-- One row per wanted or held file.
DROP VIEW IF EXISTS status;
CREATE VIEW status AS
SELECT repo, revision, commit_id, path, blob_id, size, bytes_done, bytes_lan, bytes_origin, bytes_local,
       -- Rounded down to a tenth, so that 100 means done (the same rule as percent() in node/core/status.h).
       CASE WHEN bytes_done >= size THEN 100.0 ELSE bytes_done * 1000 / size / 10.0 END AS percent,
       bytes_per_s, eta_s, state, waiting_for, error,
       -- A live row is as fresh as the node's last report, also when nothing about it changed.
       strftime('%Y-%m-%dT%H:%M:%fZ',
                CASE WHEN state IN ('queued', 'fetching', 'checking')
                     THEN max(updated_at,
                              coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'heartbeat'), 0))
                     ELSE updated_at END / 1000.0, 'unixepoch') AS updated_at,
       type
FROM file;

-- One row per pull, running or ended.
DROP VIEW IF EXISTS pulls;
CREATE VIEW pulls AS
SELECT id, type, repo, revision, commit_id, include, exclude, source, priority, state, files, files_done, size,
       bytes_done, bytes_lan, bytes_origin, bytes_local,
       CASE WHEN state = 'done' THEN 100.0
            WHEN size = 0 THEN 0.0  -- not resolved yet
            WHEN bytes_done >= size THEN 100.0
            ELSE bytes_done * 1000 / size / 10.0 END AS percent,
       bytes_per_s, eta_s, waiting_for, error_code, error,
       snapshot_path,
       strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', nullif(finished_at, 0) / 1000.0, 'unixepoch') AS finished_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000.0, 'unixepoch') AS updated_at
FROM pull;

-- One row per neighbour, alive or seen before.
DROP VIEW IF EXISTS peers;
CREATE VIEW peers AS
SELECT node, name, version,
       CASE WHEN address LIKE '%:%' THEN '[' || address || ']:' || port ELSE address || ':' || port END AS endpoint,
       alive, busy, cpu_permille, memory_permille, io_permille, nic_permille, gpu_permille,
       origin_bytes_per_s, upload_bytes_per_s, download_bytes_per_s,
       blobs_held, bytes_held, bytes_received, bytes_sent,
       strftime('%Y-%m-%dT%H:%M:%fZ', first_seen / 1000.0, 'unixepoch') AS first_seen,
       strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
       strftime('%Y-%m-%dT%H:%M:%fZ', nullif(banned_until, 0) / 1000.0, 'unixepoch') AS banned_until
FROM peer;

-- One row per complete blob on this machine. A blob that stands in several repos' folders shows its oldest copy;
-- `copies` counts them.
DROP VIEW IF EXISTS holdings;
CREATE VIEW holdings AS
SELECT b.blob_id, b.size, c.repo, c.type, c.path,
       (SELECT count(*) FROM segment s WHERE s.blob = b.id) AS segments,
       (SELECT coalesce(sum(length(s.hashes) / 32), 0) FROM segment s WHERE s.blob = b.id) AS pieces,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.verified_at / 1000.0, 'unixepoch') AS verified_at,
       c.source,
       (SELECT count(*) FROM copy o WHERE o.blob = b.id) AS copies,
       -- The last pull, link or serving of any copy; the day it was verified if there was none.
       strftime('%Y-%m-%dT%H:%M:%fZ',
                (SELECT max(max(o.used_at, o.verified_at)) FROM copy o WHERE o.blob = b.id) / 1000.0, 'unixepoch') AS used_at,
       EXISTS (SELECT 1 FROM copy o JOIN pin p ON p.type = o.type AND p.repo = o.repo WHERE o.blob = b.id) AS pinned
FROM blob b JOIN copy c ON c.id = (SELECT min(o.id) FROM copy o WHERE o.blob = b.id);

-- What happened, newest last; the newest 10,000 are kept.
DROP VIEW IF EXISTS events;
CREATE VIEW events AS
SELECT id, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, level, kind, pull,
       repo, path, peer, text
FROM event;
