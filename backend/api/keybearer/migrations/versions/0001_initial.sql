CREATE TABLE tenants (
  id uuid PRIMARY KEY,
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  primary_host text,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant_hosts (
  host text PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE
);

INSERT INTO tenants (id, slug, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default', 'Keybearer');

CREATE TABLE keks (
  id text PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE data_keys (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  owner_kind text NOT NULL CHECK (owner_kind IN ('user', 'tenant')),
  owner_id uuid NOT NULL,
  id uuid NOT NULL,
  kek_id text NOT NULL REFERENCES keks (id) ON DELETE RESTRICT,
  wrapped bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, owner_kind, owner_id)
);
CREATE INDEX data_keys_kek ON data_keys (kek_id);

CREATE TABLE users (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  email text,
  email_verified boolean NOT NULL DEFAULT false,
  name text NOT NULL,
  avatar_url text,
  role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
  disabled_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX users_email ON users (tenant_id, lower(email));

CREATE TABLE identities (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  provider text NOT NULL,
  issuer text NOT NULL,
  subject text NOT NULL,
  email text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_sign_in_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, issuer, subject),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX identities_user ON identities (tenant_id, user_id);

CREATE TABLE bearers (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  kind text NOT NULL CHECK (kind IN ('session', 'grant')),
  tenant_id uuid NOT NULL,
  subject_id uuid NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX bearers_subject ON bearers (tenant_id, subject_id);
CREATE INDEX bearers_expiry ON bearers (expires_at);

CREATE TABLE sessions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  provider text NOT NULL,
  device text NOT NULL,
  address text,
  created_at timestamptz NOT NULL DEFAULT now(),
  authenticated_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);

CREATE TABLE flows (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  state_hash bytea NOT NULL,
  browser_hash bytea NOT NULL,
  kind text NOT NULL CHECK (kind IN ('sign_in', 'link', 'connect')),
  provider text NOT NULL,
  user_id uuid,
  session_id uuid,
  connection_id uuid,
  scopes text[] NOT NULL,
  return_to text NOT NULL,
  redirect_uri text NOT NULL,
  secrets bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, state_hash),
  CHECK ((kind = 'sign_in') = (user_id IS NULL AND session_id IS NULL)),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE connections (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  provider text NOT NULL,
  account_id text NOT NULL,
  account_name text NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'needs_reconnect', 'revoked')),
  state_reason text,
  scopes text[] NOT NULL,
  dek_id uuid NOT NULL,
  access_token bytea,
  refresh_token bytea,
  id_token bytea,
  access_expires_at timestamptz,
  grant_expires_at timestamptz,
  reminded_days int,
  epoch bigint NOT NULL DEFAULT 0,
  lease_owner text,
  lease_until timestamptz NOT NULL DEFAULT '-infinity',
  lease_epoch bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, user_id, provider, account_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX connections_refresh ON connections (access_expires_at) WHERE state = 'active';

CREATE TABLE refresh_journal (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  connection_id uuid NOT NULL,
  epoch bigint NOT NULL,
  lease_epoch bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  outcome text,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_journal_connection ON refresh_journal (tenant_id, connection_id, epoch);

CREATE TABLE grants (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  agent text NOT NULL,
  scopes text[],
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX grants_user ON grants (tenant_id, user_id);

CREATE TABLE grant_connections (
  tenant_id uuid NOT NULL,
  grant_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, grant_id, connection_id),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES grants (tenant_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connections (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX grant_connections_connection ON grant_connections (tenant_id, connection_id);

-- Who did what. Rows are never updated; personal detail is ciphertext under the person's data key.
CREATE TABLE ledger_eras (
  era int PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ledger_eras (era) VALUES (1);

CREATE FUNCTION current_era() RETURNS int LANGUAGE sql STABLE AS 'SELECT max(era) FROM keybearer.ledger_eras';

CREATE TABLE ledger (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id bigint GENERATED ALWAYS AS IDENTITY,
  uid uuid NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  era int NOT NULL DEFAULT current_era(),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  action text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('ok', 'denied', 'failed', 'pending', 'unknown')),
  actor_kind text NOT NULL CHECK (actor_kind IN ('person', 'agent', 'system')),
  user_id uuid,
  grant_id uuid,
  connection_id uuid,
  provider text,
  call_id uuid,
  method text,
  status int,
  duration_ms int,
  code text,
  request_id text,
  dek_id uuid,
  detail bytea,
  PRIMARY KEY (id)
);
CREATE INDEX ledger_person ON ledger (tenant_id, user_id, id DESC);
CREATE INDEX ledger_tenant ON ledger (tenant_id, id DESC);
CREATE INDEX ledger_seal ON ledger (era, xid, id);
-- A call has one started and one finished row, so that writing one again after a lost answer adds nothing.
CREATE UNIQUE INDEX ledger_call ON ledger (tenant_id, call_id, action) WHERE call_id IS NOT NULL;

CREATE TABLE ledger_batches (
  no bigint PRIMARY KEY,
  era int NOT NULL,
  from_xid xid8 NOT NULL,
  to_xid xid8 NOT NULL,
  count int NOT NULL,
  root bytea NOT NULL,
  previous_hash bytea NOT NULL,
  signature bytea NOT NULL,
  key_id text NOT NULL,
  sealed_at timestamptz NOT NULL,
  CHECK (from_xid < to_xid)
);
CREATE INDEX ledger_batches_range ON ledger_batches (era, from_xid);

-- Ids become visible out of order, so readers resume by `xid`: nothing can appear later below the oldest running one.
CREATE TABLE outbox (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id bigint GENERATED ALWAYS AS IDENTITY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  user_id uuid NOT NULL,
  name text NOT NULL,
  data jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (id)
);
CREATE INDEX outbox_person ON outbox (tenant_id, user_id, xid, id);
CREATE INDEX outbox_age ON outbox (created_at);

CREATE TABLE leases (
  name text PRIMARY KEY,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  until timestamptz NOT NULL
);

-- Row-level security: one policy for a tenant's own rows, one for background work across tenants.
DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['data_keys', 'users', 'identities', 'sessions', 'flows', 'connections',
      'refresh_journal', 'grants', 'grant_connections', 'ledger', 'outbox'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid) '
      'WITH CHECK (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid)', relation);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO keybearer_app', relation);
  END LOOP;
  FOREACH relation IN ARRAY ARRAY['data_keys', 'sessions', 'flows', 'connections', 'refresh_journal', 'grants',
      'ledger', 'outbox'] LOOP
    EXECUTE format('CREATE POLICY system ON %I TO keybearer_system USING (true) WITH CHECK (true)', relation);
  END LOOP;
END
$$;

-- What decides a row's place in the chain (xid, era, time) is the database's to say, not the application's.
REVOKE INSERT, UPDATE, DELETE ON ledger FROM keybearer_app;
GRANT INSERT (tenant_id, uid, action, outcome, actor_kind, user_id, grant_id, connection_id, provider, call_id, method,
  status, duration_ms, code, request_id, dek_id, detail) ON ledger TO keybearer_app;
GRANT SELECT ON tenants, tenant_hosts, ledger_eras TO keybearer_app;
GRANT INSERT, UPDATE, DELETE ON tenant_hosts TO keybearer_app;
GRANT SELECT, INSERT, DELETE ON bearers, keks TO keybearer_app;
GRANT SELECT, INSERT ON ledger_batches TO keybearer_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON leases TO keybearer_app;

-- The two hot reads: each one round trip. They run with the caller's rights, so row-level security holds inside them.
CREATE FUNCTION bearer_resolve(presented bytea)
RETURNS TABLE (
  kind text, tenant_id uuid, tenant_name text, subject_id uuid, expires_at timestamptz,
  user_id uuid, email text, name text, avatar_url text, role text, disabled boolean,
  authenticated_at timestamptz, last_seen_at timestamptz,
  agent text, scopes text[], connections text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  found record;
BEGIN
  SELECT b.kind, b.tenant_id, b.subject_id, b.expires_at INTO found
    FROM keybearer.bearers b WHERE b.token_hash = presented AND b.expires_at > now();
  IF found.tenant_id IS NULL THEN
    RETURN;
  END IF;
  PERFORM set_config('kb.tenant', found.tenant_id::text, true);
  IF found.kind = 'session' THEN
    RETURN QUERY
      SELECT found.kind, found.tenant_id, t.name, s.id, s.expires_at,
             u.id, u.email, u.name, u.avatar_url, u.role, u.disabled_at IS NOT NULL,
             s.authenticated_at, s.last_seen_at, NULL::text, NULL::text[], NULL::text
        FROM keybearer.sessions s
        JOIN keybearer.users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
        JOIN keybearer.tenants t ON t.id = s.tenant_id
       WHERE s.tenant_id = found.tenant_id AND s.id = found.subject_id;
  ELSE
    RETURN QUERY
      SELECT found.kind, found.tenant_id, t.name, g.id, g.expires_at,
             u.id, u.email, u.name, u.avatar_url, u.role, u.disabled_at IS NOT NULL,
             g.created_at, g.last_used_at, g.agent, g.scopes,
             (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'provider', c.provider) ORDER BY c.created_at), '[]')::text
                FROM keybearer.grant_connections gc
                JOIN keybearer.connections c ON c.tenant_id = gc.tenant_id AND c.id = gc.connection_id
               WHERE gc.tenant_id = g.tenant_id AND gc.grant_id = g.id)
        FROM keybearer.grants g
        JOIN keybearer.users u ON u.tenant_id = g.tenant_id AND u.id = g.user_id
        JOIN keybearer.tenants t ON t.id = g.tenant_id
       WHERE g.tenant_id = found.tenant_id AND g.id = found.subject_id AND g.revoked_at IS NULL;
  END IF;
END
$$;

CREATE FUNCTION vault_read(tenant uuid, connection uuid)
RETURNS TABLE (
  user_id uuid, provider text, account_name text, state text, state_reason text, scopes text[],
  access_token bytea, access_expires_at timestamptz, epoch bigint, refreshable boolean,
  dek_id uuid, kek_id text, wrapped bytea
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('kb.tenant', tenant::text, true);
  RETURN QUERY
    SELECT c.user_id, c.provider, c.account_name, c.state, c.state_reason, c.scopes,
           c.access_token, c.access_expires_at, c.epoch, c.refresh_token IS NOT NULL,
           k.id, k.kek_id, k.wrapped
      FROM keybearer.connections c
      JOIN keybearer.data_keys k
        ON k.tenant_id = c.tenant_id AND k.owner_kind = 'user' AND k.owner_id = c.user_id AND k.id = c.dek_id
     WHERE c.tenant_id = tenant AND c.id = connection;
END
$$;

-- The hot write: calls of every tenant, gathered, in one round trip and one commit. A tenant's rows are inserted as that
-- tenant and with the caller's rights; a call that is there already is left out, so that the write may be repeated.
CREATE FUNCTION ledger_append(
  tenants uuid[], uids uuid[], actions text[], outcomes text[], actor_kinds text[], user_ids uuid[], grant_ids uuid[],
  connection_ids uuid[], providers text[], call_ids uuid[], methods text[], statuses int[], durations int[],
  codes text[], request_ids text[], dek_ids uuid[], details bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  tenant uuid;
BEGIN
  FOR tenant IN SELECT DISTINCT unnest(tenants) LOOP
    PERFORM set_config('kb.tenant', tenant::text, true);
    INSERT INTO keybearer.ledger (tenant_id, uid, action, outcome, actor_kind, user_id, grant_id, connection_id,
        provider, call_id, method, status, duration_ms, code, request_id, dek_id, detail)
      SELECT * FROM unnest(tenants, uids, actions, outcomes, actor_kinds, user_ids, grant_ids, connection_ids,
             providers, call_ids, methods, statuses, durations, codes, request_ids, dek_ids, details)
          AS call (of_tenant) WHERE call.of_tenant = tenant
      ON CONFLICT (tenant_id, call_id, action) WHERE call_id IS NOT NULL DO NOTHING;
  END LOOP;
END
$$;
