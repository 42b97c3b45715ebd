-- What goes with a person or a session goes by itself, because a server of the version before does not know of it.
CREATE TABLE passwords (
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  hash text NOT NULL,
  previous text[] NOT NULL DEFAULT '{}',
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, user_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

-- Removed when it is used.
CREATE TABLE invitations (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL,
  token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
  email text NOT NULL,
  role text NOT NULL CHECK (role IN ('member', 'admin')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, token_hash)
);
CREATE INDEX invitations_email ON invitations (tenant_id, lower(email));

-- A family is one sign-in of a program. It ends with its session, and its tokens with it.
CREATE TABLE refresh_families (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  session_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_families_session ON refresh_families (tenant_id, session_id);

-- `replay` is the answer to the token's use, under a key that only the token's holder can make, for ten seconds.
CREATE TABLE refresh_tokens (
  tenant_id uuid NOT NULL,
  token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
  family_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  replay bytea,
  PRIMARY KEY (tenant_id, token_hash),
  FOREIGN KEY (tenant_id, family_id) REFERENCES refresh_families (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (tenant_id, family_id);
CREATE INDEX refresh_tokens_replay ON refresh_tokens (used_at) WHERE replay IS NOT NULL;

CREATE TABLE api_keys (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  name text NOT NULL,
  scopes text[],
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_user ON api_keys (tenant_id, user_id);

ALTER TABLE bearers DROP CONSTRAINT bearers_kind_check;
ALTER TABLE bearers ADD CONSTRAINT bearers_kind_check CHECK (kind IN ('session', 'grant', 'api_key'));

DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['passwords', 'invitations', 'refresh_families', 'refresh_tokens', 'api_keys'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format(
      'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid) '
      'WITH CHECK (tenant_id = nullif(current_setting(''kb.tenant'', true), '''')::uuid)', relation);
    EXECUTE format('CREATE POLICY backup ON %I FOR SELECT TO keybearer_backup USING (true)', relation);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO keybearer_app', relation);
  END LOOP;
  -- What is pruned everywhere. Nobody reads passwords across tenants.
  FOREACH relation IN ARRAY ARRAY['invitations', 'refresh_families', 'refresh_tokens', 'api_keys'] LOOP
    EXECUTE format('CREATE POLICY system ON %I TO keybearer_system USING (true) WITH CHECK (true)', relation);
  END LOOP;
END
$$;

-- As in version 0001, and API keys.
CREATE OR REPLACE FUNCTION bearer_resolve(presented bytea)
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
  ELSIF found.kind = 'api_key' THEN
    RETURN QUERY
      SELECT found.kind, found.tenant_id, t.name, k.id, k.expires_at,
             u.id, u.email, u.name, u.avatar_url, u.role, u.disabled_at IS NOT NULL,
             k.created_at, k.last_used_at, NULL::text, k.scopes, NULL::text
        FROM keybearer.api_keys k
        JOIN keybearer.users u ON u.tenant_id = k.tenant_id AND u.id = k.user_id
        JOIN keybearer.tenants t ON t.id = k.tenant_id
       WHERE k.tenant_id = found.tenant_id AND k.id = found.subject_id;
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

-- The third hot read: an access token's session. The token itself is nowhere; its signature was checked already.
CREATE FUNCTION session_resolve(tenant uuid, session uuid)
RETURNS TABLE (
  kind text, tenant_id uuid, tenant_name text, subject_id uuid, expires_at timestamptz,
  user_id uuid, email text, name text, avatar_url text, role text, disabled boolean,
  authenticated_at timestamptz, last_seen_at timestamptz,
  agent text, scopes text[], connections text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('kb.tenant', tenant::text, true);
  RETURN QUERY
    SELECT 'access', s.tenant_id, t.name, s.id, s.expires_at,
           u.id, u.email, u.name, u.avatar_url, u.role, u.disabled_at IS NOT NULL,
           s.authenticated_at, s.last_seen_at, NULL::text, NULL::text[], NULL::text
      FROM keybearer.sessions s
      JOIN keybearer.users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
      JOIN keybearer.tenants t ON t.id = s.tenant_id
     WHERE s.tenant_id = tenant AND s.id = session AND s.expires_at > now();
END
$$;
