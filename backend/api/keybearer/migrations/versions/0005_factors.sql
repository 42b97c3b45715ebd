-- What goes with a person goes by itself, because a server of the version before does not know of it.
-- When whoever uses a session last proved who they are, and by what.
ALTER TABLE sessions ADD COLUMN proved_at timestamptz, ADD COLUMN proved_by text;

-- The seed is ciphertext under the person's data key. A code works once: `last_step` is that of the last one taken.
CREATE TABLE totp_factors (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  seed bytea NOT NULL,
  last_step bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  confirmed_at timestamptz,
  last_used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
-- One that works, and one that waits to be confirmed and takes its place then.
CREATE UNIQUE INDEX totp_factors_one ON totp_factors (tenant_id, user_id, (confirmed_at IS NOT NULL));

-- `selector` is the part of a code that finds its row; the slow hash of the rest is ciphertext under the data key.
CREATE TABLE recovery_codes (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  selector text NOT NULL,
  hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, user_id, selector),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE passkeys (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  name text NOT NULL,
  credential_id bytea NOT NULL,
  public_key bytea NOT NULL,
  sign_count bigint NOT NULL,
  transports text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, credential_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX passkeys_user ON passkeys (tenant_id, user_id);

-- What an authenticator was asked to sign, as a hash. `user_id` is there where a passkey is to be added.
CREATE TABLE passkey_challenges (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  hash bytea NOT NULL,
  user_id uuid,
  browser_hash bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, hash),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX passkey_challenges_expiry ON passkey_challenges (expires_at);

-- Wrong guesses, for each account, method and source. `account` is a hash, because nobody need have it.
CREATE TABLE lockouts (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  account bytea NOT NULL,
  method text NOT NULL,
  source bytea NOT NULL,
  user_id uuid,
  failures int NOT NULL,
  locks int NOT NULL,
  failed_at timestamptz NOT NULL,
  locked_until timestamptz,
  PRIMARY KEY (tenant_id, account, method, source)
);
CREATE INDEX lockouts_age ON lockouts (failed_at);
CREATE INDEX lockouts_user ON lockouts (tenant_id, user_id);

-- Browsers and addresses, as hashes, from which a person came in: strangers' guesses do not lock those out.
CREATE TABLE known_sources (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  source bytea NOT NULL,
  last_used_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, user_id, source),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX known_sources_age ON known_sources (last_used_at);

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['totp_factors', 'recovery_codes', 'passkeys', 'passkey_challenges', 'lockouts',
      'known_sources'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid) '
      'WITH CHECK (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid)', relation);
    EXECUTE format('CREATE POLICY backup ON %I FOR SELECT TO keybearer_backup USING (true)', relation);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO keybearer_app', relation);
  END LOOP;
  FOREACH relation IN ARRAY ARRAY['totp_factors', 'passkey_challenges', 'lockouts', 'known_sources'] LOOP
    EXECUTE format('CREATE POLICY system ON %I TO keybearer_system USING (true) WITH CHECK (true)', relation);
  END LOOP;
END
$$;
