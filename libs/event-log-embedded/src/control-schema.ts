/** log.db: what all processes agree on. Every statement may run again: two processes may create the file at once. */
export const CONTROL_SCHEMA = `
  CREATE TABLE IF NOT EXISTS topics (
    name TEXT PRIMARY KEY,
    partitions INTEGER NOT NULL,
    cleanup TEXT NOT NULL,
    retention_ms INTEGER NOT NULL,
    retention_bytes INTEGER NOT NULL,
    max_record_bytes INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS members (
    id TEXT PRIMARY KEY,
    group_name TEXT NOT NULL,
    topics TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    space TEXT NOT NULL,
    session_timeout_ms INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS members_by_group ON members (group_name);
  CREATE TABLE IF NOT EXISTS assignments (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    owner TEXT,
    wanted TEXT,
    epoch INTEGER NOT NULL,
    handover_by_ms INTEGER,
    PRIMARY KEY (group_name, topic, partition)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS commits (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS writers (
    name TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    holder TEXT,
    pid INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    space TEXT NOT NULL,
    session_timeout_ms INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
  );
`
