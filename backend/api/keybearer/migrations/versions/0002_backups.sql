-- A restored refresh token may have been rotated away since: it is tried once and believed from then on.
ALTER TABLE connections ADD COLUMN unverified boolean NOT NULL DEFAULT false;

-- One row a restore. Until the erasures that came after the backup are replayed, nothing serves from here.
CREATE TABLE restores (
  era int PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  archive text,
  archived_at timestamptz,
  erasures_replayed_at timestamptz
);

-- What operators run, and how it went; the newest success of each kind is a metric.
CREATE TABLE maintenance_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('backup', 'drill', 'prune')),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome text NOT NULL CHECK (outcome IN ('ok', 'failed')),
  seconds double precision NOT NULL,
  archive text,
  lost_seconds double precision,
  problem text
);
CREATE INDEX maintenance_runs_newest ON maintenance_runs (kind, at DESC);

-- Up to which batch the ledger was moved to files. Signed, because otherwise whoever deletes rows could say the same.
CREATE TABLE ledger_archived (
  no bigint PRIMARY KEY,
  era int NOT NULL,
  to_xid xid8 NOT NULL,
  hash bytea NOT NULL,
  archived_at timestamptz NOT NULL,
  key_id text NOT NULL,
  signature bytea NOT NULL
);

GRANT SELECT ON restores, maintenance_runs, ledger_archived TO keybearer_app;

-- Who was erased goes to files every few minutes.
CREATE INDEX ledger_erased ON ledger (id) WHERE action = 'account.erased';

-- Reads every row of every table and changes none. Tables to come are readable by themselves, and need the policy.
GRANT USAGE ON SCHEMA keybearer TO keybearer_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA keybearer TO keybearer_backup;
ALTER DEFAULT PRIVILEGES IN SCHEMA keybearer GRANT SELECT ON TABLES TO keybearer_backup;
DO $$
DECLARE
  relation regclass;
BEGIN
  FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'keybearer'::regnamespace AND relrowsecurity LOOP
    EXECUTE format('CREATE POLICY backup ON %s FOR SELECT TO keybearer_backup USING (true)', relation);
  END LOOP;
END
$$;
