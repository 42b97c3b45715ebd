-- Removed as soon as they are sent. Address, subject and text are ciphertext under the person's data key, or the tenant's.
CREATE TABLE mails (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  user_id uuid,
  kind text NOT NULL,
  sealed bytea NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  due_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX mails_due ON mails (due_at);
CREATE INDEX mails_user ON mails (tenant_id, user_id);

-- Where a person signed in before: browser family and system in words, and a block of addresses.
CREATE TABLE devices (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  device text NOT NULL,
  block text NOT NULL,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, user_id, device, block),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX devices_age ON devices (last_seen_at);

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['mails', 'devices'] LOOP
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
