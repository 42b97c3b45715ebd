{{/* What every pod of the backend's image has in common: the settings, and the volumes with secrets. */}}

{{/* {root, name, args, env?, mounts?, resources}: a container that runs `keybearer`. `env` and `mounts` are YAML lists. */}}
{{- define "keybearer.program" -}}
- name: {{ .name }}
  {{- include "keybearer.container" (dict "root" .root "image" .root.Values.backend.image "own" true) | nindent 2 }}
  {{- with .command }}
  command: {{ toJson . }}
  {{- end }}
  args: {{ toJson .args }}
  {{- with .envFrom }}
  envFrom:
    {{- . | trim | nindent 4 }}
  {{- end }}
  {{- with .env }}
  env:
    {{- . | trim | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- with .mounts }}
    {{- . | trim | nindent 4 }}
    {{- end }}
{{- end }}

{{/* {root, name, secret, key}: a variable from the Secret `secrets.<secret>`. */}}
{{- define "keybearer.variable" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ include "keybearer.secret" (dict "root" .root "name" .secret) }}, key: {{ .key }}}}
{{- end }}

{{- define "keybearer.settings" -}}
- configMapRef: {name: {{ include "keybearer.fullname" . }}-settings}
{{- with .Values.backend.envFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Pods start again when the settings have changed. */}}
{{- define "keybearer.settingsChecksum" -}}
keybearer.dev/settings: {{ include "keybearer.settingsData" . | sha256sum | trunc 16 }}
{{- end }}

{{- define "keybearer.settingsData" -}}
KEYBEARER_PUBLIC_URL: {{ include "keybearer.publicUrl" . | quote }}
KEYBEARER_KEYRING_DIR: /etc/keybearer/keyring
KEYBEARER_SIGNING_KEYRING_DIR: /etc/keybearer/signing
KEYBEARER_PROVIDERS_DIR: /etc/keybearer/providers
KEYBEARER_INTERNAL_HOSTS: {{ include "keybearer.serviceNames" (dict "root" . "name" "backend") | quote }}
KEYBEARER_TRUSTED_PROXIES: {{ join "," .Values.trustedProxies | quote }}
KEYBEARER_DATABASE_POOL_SIZE: {{ .Values.backend.databasePoolSize | quote }}
KEYBEARER_REQUEST_LIMIT: {{ .Values.limits.requests | quote }}
KEYBEARER_SIGN_IN_LIMIT: {{ .Values.limits.signIns | quote }}
KEYBEARER_PUBLIC_DOCS: {{ .Values.publicDocs | quote }}
KEYBEARER_LOG_LEVEL: {{ .Values.logLevel }}
KEYBEARER_LOG_FORMAT: json
{{- if .Values.erasureLog.enabled }}
KEYBEARER_ERASURE_LOG_DIR: /var/lib/keybearer/erasures
{{- end }}
{{- with .Values.corsOrigins }}
KEYBEARER_CORS_ORIGINS: {{ join "," . | quote }}
{{- end }}
{{- with .Values.livekit.url }}
KEYBEARER_LIVEKIT_URL: {{ . | quote }}
{{- end }}
{{- if ne .Values.database.mode "external" }}
KEYBEARER_DATABASE_URL: {{ include "keybearer.databaseUrl" (dict "root" . "login" "") | quote }}
KEYBEARER_DATABASE_CREDENTIALS_DIR: /etc/keybearer/database
{{- end }}
{{- range $name, $value := .Values.backend.env }}
{{ $name }}: {{ include "keybearer.text" $value | quote }}
{{- end }}
{{- end }}

{{/* {root, login}: the server's certificate is checked by its CA and its name. */}}
{{- define "keybearer.databaseUrl" -}}
postgresql://{{ .login }}{{ include "keybearer.databaseHost" .root }}:5432/{{ .root.Values.database.name }}?sslmode=verify-full&sslrootcert=/etc/keybearer/database-ca/ca.crt
{{- end }}

{{/* What else the application's environment has: what is in Secrets and in no file. */}}
{{- define "keybearer.environment" -}}
{{- if eq .Values.database.mode "external" }}
- name: KEYBEARER_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.external.existingSecret }}, key: url}}
{{- end }}
{{- if .Values.valkey.enabled }}
{{ include "keybearer.variable" (dict "root" . "name" "VALKEY_PASSWORD" "secret" "valkey" "key" "password") }}
- name: KEYBEARER_VALKEY_URL
  value: valkey://:$(VALKEY_PASSWORD)@{{ include "keybearer.fullname" . }}-valkey:6379
{{- end }}
{{- with .Values.mail }}
{{- if .from }}
- name: KEYBEARER_SMTP_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: url}}
- {name: KEYBEARER_MAIL_FROM, value: {{ .from | quote }}}
- {name: KEYBEARER_MAIL_NAME, value: {{ .name | quote }}}
{{- end }}
{{- end }}
{{- if include "keybearer.hasLivekit" . }}
{{ include "keybearer.variable" (dict "root" . "name" "KEYBEARER_LIVEKIT_API_KEY" "secret" "livekit" "key" "api-key") }}
{{ include "keybearer.variable" (dict "root" . "name" "KEYBEARER_LIVEKIT_API_SECRET" "secret" "livekit" "key" "api-secret") }}
{{- end }}
{{- end }}

{{/* The environment of what changes the schema or reads all of it. */}}
{{- define "keybearer.migrationEnvironment" -}}
{{- if eq .Values.database.mode "external" }}
- name: KEYBEARER_MIGRATION_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.external.existingSecret }}, key: migration-url}}
{{- else }}
{{ include "keybearer.loginUrl" (dict "root" . "name" "KEYBEARER_MIGRATION_DATABASE_URL" "secret" "databaseMigrator" "prefix" "MIGRATOR") }}
{{- end }}
{{- end }}

{{/* {root, name, secret, prefix}: the database's URL with a login's name and password in it. */}}
{{- define "keybearer.loginUrl" -}}
{{ include "keybearer.variable" (dict "root" .root "name" (printf "%s_USERNAME" .prefix) "secret" .secret "key" "username") }}
{{ include "keybearer.variable" (dict "root" .root "name" (printf "%s_PASSWORD" .prefix) "secret" .secret "key" "password") }}
- name: {{ .name }}
  value: {{ include "keybearer.databaseUrl" (dict "root" .root "login" (printf "$(%[1]s_USERNAME):$(%[1]s_PASSWORD)@" .prefix)) }}
{{- end }}

{{/* The database server's superuser, where the chart may use it. */}}
{{- define "keybearer.superuserEnvironment" -}}
{{- if eq .Values.database.mode "bundled" }}
{{ include "keybearer.variable" (dict "root" . "name" "POSTGRES_PASSWORD" "secret" "postgres" "key" "password") }}
{{- else if eq .Values.database.mode "cnpg" }}
- name: POSTGRES_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "keybearer.fullname" . }}-postgres-superuser, key: password}}
{{- end }}
{{- end }}

{{/* Makes roles, their passwords and the database; each time, so that a changed Secret heals here. */}}
{{- define "keybearer.prepare" -}}
{{- $application := include "keybearer.loginUrl" (dict "root" . "name" "KEYBEARER_DATABASE_URL" "secret" "database" "prefix" "APPLICATION") }}
{{- $env := printf "%s\n%s\n%s" (include "keybearer.superuserEnvironment" . | trim) ($application | trim) (include "keybearer.migrationEnvironment" . | trim) }}
{{- $args := list "init" "--database" }}
{{- if and (eq .Values.database.mode "bundled") .Values.postgres.exporter.enabled }}
{{- $args = append $args "--exporter" }}
{{- end }}
{{- include "keybearer.program" (dict "root" . "name" "prepare" "args" $args "env" $env "mounts" (include "keybearer.caMount" .) "resources" .Values.migrate.resources) }}
{{- end }}

{{/* The database server's CA, and nothing else of that Secret. */}}
{{- define "keybearer.caVolume" -}}
{{- if eq .Values.database.mode "bundled" }}
- name: database-ca
  secret: {secretName: {{ include "keybearer.secret" (dict "root" . "name" "postgresTls") }}, items: [{key: ca.crt, path: ca.crt}]}
{{- else if eq .Values.database.mode "cnpg" }}
- name: database-ca
  secret: {secretName: {{ include "keybearer.fullname" . }}-postgres-ca, items: [{key: ca.crt, path: ca.crt}]}
{{- else if .Values.database.external.caSecret }}
- name: database-ca
  secret: {secretName: {{ .Values.database.external.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "keybearer.caMount" -}}
{{- if or (ne .Values.database.mode "external") .Values.database.external.caSecret }}
- {name: database-ca, mountPath: /etc/keybearer/database-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Volumes of whatever works as the application. Folders, never single files: only those follow a changed Secret. */}}
{{- define "keybearer.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 512Mi}
- name: keyring
  secret: {secretName: {{ include "keybearer.secret" (dict "root" . "name" "keyring") }}, defaultMode: 0440}
- name: signing
  secret: {secretName: {{ include "keybearer.secret" (dict "root" . "name" "signing") }}, defaultMode: 0440}
- name: providers
  {{- if or .Values.sandbox.enabled .Values.providers.existingSecret }}
  projected:
    defaultMode: 0440
    sources:
      {{- if .Values.sandbox.enabled }}
      - configMap: {name: {{ include "keybearer.fullname" . }}-sandbox-providers}
      {{- end }}
      {{- with .Values.providers.existingSecret }}
      - secret: {name: {{ . }}}
      {{- end }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if ne .Values.database.mode "external" }}
- name: database
  secret: {secretName: {{ include "keybearer.secret" (dict "root" . "name" "database") }}, defaultMode: 0440}
{{- end }}
{{- include "keybearer.caVolume" . }}
{{- if .Values.erasureLog.enabled }}
- name: erasures
  persistentVolumeClaim: {claimName: {{ .Values.erasureLog.existingClaim | default (printf "%s-erasures" (include "keybearer.fullname" .)) }}}
{{- end }}
{{- end }}

{{- define "keybearer.mounts" -}}
- {name: keyring, mountPath: /etc/keybearer/keyring, readOnly: true}
- {name: signing, mountPath: /etc/keybearer/signing, readOnly: true}
- {name: providers, mountPath: /etc/keybearer/providers, readOnly: true}
{{- if ne .Values.database.mode "external" }}
- {name: database, mountPath: /etc/keybearer/database, readOnly: true}
{{- end }}
{{- include "keybearer.caMount" . }}
{{- if .Values.erasureLog.enabled }}
- {name: erasures, mountPath: /var/lib/keybearer/erasures}
{{- end }}
{{- end }}

{{/* The group that owns the volumes: one for all pods, where they share one that is written to. */}}
{{- define "keybearer.volumeGroup" -}}
{{- ternary 999 10001 .Values.erasureLog.enabled -}}
{{- end }}

{{/* Plain http to a provider is allowed on a loopback address alone, so the sandbox is brought to one. */}}
{{- define "keybearer.relay" -}}
{{- if .Values.sandbox.enabled }}
- name: sandbox-relay
  restartPolicy: Always
  {{- include "keybearer.container" (dict "root" . "image" .Values.sandbox.image "own" true) | nindent 2 }}
  command: [python, /etc/relay/relay.py, {{ .Values.sandbox.port | quote }}, {{ include "keybearer.fullname" . }}-sandbox]
  resources:
    requests: {cpu: 5m, memory: 24Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: relay, mountPath: /etc/relay, readOnly: true}
{{- end }}
{{- end }}

{{- define "keybearer.relayVolume" -}}
{{- if .Values.sandbox.enabled }}
- name: relay
  configMap: {name: {{ include "keybearer.fullname" . }}-sandbox-relay}
{{- end }}
{{- end }}
