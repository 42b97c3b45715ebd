{{/* What PostgreSQL is set to, whoever runs it: this chart or CloudNativePG. `postgres.settings` wins. */}}
{{- define "keybearer.postgresTuning" -}}
{{- $own := `
# Tables that change all the time are cleaned early and often; single tables' settings are the schema's.
autovacuum_naptime: 15s
autovacuum_vacuum_scale_factor: 0.05
autovacuum_vacuum_insert_scale_factor: 0.05
autovacuum_analyze_scale_factor: 0.02
autovacuum_vacuum_cost_limit: 1000
checkpoint_timeout: 15min
max_wal_size: 2GB
random_page_cost: 1.1
wal_compression: "on"
# One forgotten transaction would keep every dead row, and the ledger's sealer waiting.
idle_in_transaction_session_timeout: 5min
# Not of utility statements, which may hold passwords.
pg_stat_statements.track_utility: "off"
pg_stat_statements.max: 5000
# The log outlives an erased account, so neither a row's values nor a statement's text may reach it.
log_error_verbosity: terse
log_min_error_statement: panic
log_timezone: UTC
timezone: UTC
` | fromYaml -}}
{{- $_ := set $own "max_connections" .Values.postgres.maxConnections -}}
{{- range $key, $value := merge (dict) .Values.postgres.settings $own }}
{{ $key }}: {{ include "keybearer.text" $value | quote }}
{{- end }}
{{- end }}

{{/* Components that may reach the database, separated by spaces. Agents never do. */}}
{{- define "keybearer.databaseClients" -}}
backend migrate prune test
{{- if .Values.operator.enabled }} keys{{ end }}
{{- if .Values.backup.enabled }} backup{{ if .Values.backup.drill.enabled }} restore-drill{{ end }}{{ end }}
{{- end }}

{{- define "keybearer.cnpgPeer" -}}
podSelector:
  matchLabels: {cnpg.io/cluster: {{ include "keybearer.fullname" . }}-postgres}
{{- end }}
