-- It is right and lets nobody in until it is replaced: its owner did not sign in with it, or may not have chosen it.
ALTER TABLE passwords ADD COLUMN voided_at timestamptz;

-- A link that was mailed, and the six digits beside it, as hashes. Removed when it is used. What goes with a person goes by
-- itself, because a server of the version before does not know of it.
CREATE TABLE letters (
  tenant_id uuid NOT NULL,
  token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
  user_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('confirm', 'reset', 'not_me')),
  code_hash text,
  code_tries int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, token_hash),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX letters_user ON letters (tenant_id, user_id);
CREATE INDEX letters_expiry ON letters (expires_at);

-- What somebody asked for who is not told whether there is such an account. Ciphertext under the tenant's data key.
CREATE TABLE errands (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  kind text NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  due_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX errands_due ON errands (due_at);

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['letters', 'errands'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid) '
      'WITH CHECK (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid)', relation);
    EXECUTE format('CREATE POLICY system ON %I TO keybearer_system USING (true) WITH CHECK (true)', relation);
    EXECUTE format('CREATE POLICY backup ON %I FOR SELECT TO keybearer_backup USING (true)', relation);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO keybearer_app', relation);
  END LOOP;
END
$$;
