-- Each runs with the rights of whoever asks: row-level security holds, and only a superuser sees every tenant.
CREATE VIEW active_sessions WITH (security_invoker = true) AS
SELECT t.name AS tenant, u.email, u.name, s.provider AS signed_in_with, s.device, s.address, s.created_at, s.last_seen_at,
       s.expires_at, s.proved_by, s.proved_at, s.id AS session_id, s.user_id, s.tenant_id
  FROM sessions s
  JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
  JOIN tenants t ON t.id = s.tenant_id
 WHERE s.expires_at > now();

-- The newest last, as in a log. Details are ciphertext; Activity and `keybearer ledger` read them.
CREATE VIEW recent_auth_events WITH (security_invoker = true) AS
SELECT l.at, t.name AS tenant, u.email, l.action, l.outcome, l.provider AS method, l.code, l.request_id, l.user_id, l.tenant_id
  FROM ledger l
  JOIN tenants t ON t.id = l.tenant_id
  LEFT JOIN users u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
 WHERE l.at > now() - interval '7 days'
   AND l.action ~ '^(sign_in|sign_out|session|sessions|password|factor|account|identity|api_key)(\.|$)'
 ORDER BY l.id;

CREATE VIEW auth_statistics WITH (security_invoker = true) AS
SELECT (l.at AT TIME ZONE 'UTC')::date AS day, t.name AS tenant,
       count(*) FILTER (WHERE l.action = 'sign_in') AS sign_ins,
       count(DISTINCT l.user_id) FILTER (WHERE l.action = 'sign_in') AS people,
       count(*) FILTER (WHERE l.action = 'sign_in.failed') AS failures,
       count(*) FILTER (WHERE l.action = 'account.locked') AS lockouts,
       count(*) FILTER (WHERE l.action = 'account.registered') AS registrations,
       l.tenant_id
  FROM ledger l
  JOIN tenants t ON t.id = l.tenant_id
 WHERE l.at > now() - interval '30 days'
 GROUP BY 1, t.name, l.tenant_id
 ORDER BY 1, 2;

-- `source` says for whom: strangers, or one browser or address that the person came in with before.
CREATE VIEW locked_accounts WITH (security_invoker = true) AS
SELECT t.name AS tenant, u.email, l.method, CASE WHEN l.source = '' THEN 'strangers' ELSE 'a known one' END AS source,
       l.locks, l.failed_at, l.locked_until, l.user_id, l.tenant_id
  FROM lockouts l
  JOIN tenants t ON t.id = l.tenant_id
  LEFT JOIN users u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
 WHERE l.locked_until > now()
 ORDER BY l.locked_until;

GRANT SELECT ON active_sessions, recent_auth_events, auth_statistics, locked_accounts TO keybearer_app, keybearer_backup;
