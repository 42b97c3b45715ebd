{{/* "true" where the backup volume is copied to a bucket. */}}
{{- define "keybearer.isOffsite" -}}
{{- if and .Values.backup.enabled .Values.backup.s3.url }}true{{ end -}}
{{- end }}

{{/* "true" while the backup volume is filled from there, before a database writes to it. */}}
{{- define "keybearer.pulls" -}}
{{- if and (include "keybearer.isOffsite" .) .Values.backup.s3.pull }}true{{ end -}}
{{- end }}

{{/* After how long PostgreSQL closes a segment, so that it is out of its reach within backup.wal.timeoutSeconds: in the */}}
{{/* bucket, that takes a copy's turn, the copy itself, and one that failed. */}}
{{- define "keybearer.archiveTimeout" -}}
{{- $seconds := int .Values.backup.wal.timeoutSeconds -}}
{{- if include "keybearer.isOffsite" . -}}
{{- $seconds = sub $seconds (mul 3 (int .Values.backup.s3.everySeconds)) -}}
{{- end -}}
{{- $seconds -}}
{{- end }}

{{- define "keybearer.validateOffsite" -}}
{{- $v := .Values -}}
{{- $s3 := $v.backup.s3 -}}
{{- if and $s3.url (not $v.backup.enabled) -}}
{{- fail "\n\nbackup.s3.url: there is no backup volume to copy without backup.enabled. Set it to true.\n" -}}
{{- end -}}
{{- if and $s3.pull (not $s3.url) -}}
{{- fail "\n\nbackup.s3.pull: set backup.s3.url to the bucket that the backups are in.\n" -}}
{{- end -}}
{{- if and $s3.pull (include "keybearer.restores" .) -}}
{{- fail "\n\nbackup.s3.pull: restore is set too. Wait until the volume is filled, then set pull to false and restore.\n" -}}
{{- end -}}
{{- if and (include "keybearer.archivesWal" .) $s3.url (lt (include "keybearer.archiveTimeout" . | int) 30) -}}
{{- $least := add 30 (mul 3 (int $s3.everySeconds)) -}}
{{- fail (printf "\n\nbackup.wal.timeoutSeconds: %d is too short to close a segment and to copy it every %d seconds. Set it to %d, or lower backup.s3.everySeconds.\n" (int $v.backup.wal.timeoutSeconds) (int $s3.everySeconds) $least) -}}
{{- end -}}
{{- end }}

{{/* The port of the bucket's server. */}}
{{- define "keybearer.offsitePort" -}}
{{- $url := urlParse (.Values.backup.s3.endpoint | default "https://s3.amazonaws.com") -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary 80 443 (eq $url.scheme "http")) -}}
{{- end }}

{{/* {root, name, args, restart, probes?}: a pod with the keyring, the volume and the bucket, and no way to the database. */}}
{{- define "keybearer.offsitePod" -}}
{{- $s3 := .root.Values.backup.s3 -}}
{{- include "keybearer.backupPod" (dict "root" .root "component" "offsite" "user" 10001 "restart" .restart) }}
  terminationGracePeriodSeconds: 10
  containers:
    {{- include "keybearer.program" (dict "root" .root "name" .name "args" .args "env" (include "keybearer.offsiteEnvironment" .root) "mounts" (include "keybearer.offsiteMounts" .) "resources" $s3.resources) | nindent 4 }}
      {{- with .probes }}
      {{- . | nindent 6 }}
      {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
    - name: keyring
      secret: {secretName: {{ include "keybearer.secret" (dict "root" .root "name" "keyring") }}, defaultMode: 0440}
    - name: backup
      persistentVolumeClaim: {claimName: {{ include "keybearer.backupClaim" .root }}}
    {{- if .root.Values.erasureLog.enabled }}
    - name: erasures
      persistentVolumeClaim: {claimName: {{ .root.Values.erasureLog.existingClaim | default (printf "%s-erasures" (include "keybearer.fullname" .root)) }}}
    {{- end }}
    {{- with $s3.caSecret }}
    - name: s3-ca
      secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
{{- end }}

{{- define "keybearer.offsiteEnvironment" -}}
{{- $s3 := .Values.backup.s3 -}}
- {name: KEYBEARER_KEYRING_DIR, value: /etc/keybearer/keyring}
- {name: AWS_REGION, value: {{ $s3.region | quote }}}
{{- with $s3.endpoint }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- if $s3.caSecret }}
- {name: AWS_CA_BUNDLE, value: /etc/keybearer/s3-ca/ca.crt}
{{- end }}
{{- with $s3.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: access-key-id}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: secret-access-key}}
{{- end }}
{{- end }}

{{- define "keybearer.offsiteMounts" -}}
- {name: keyring, mountPath: /etc/keybearer/keyring, readOnly: true}
- {name: backup, mountPath: /backup}
{{- if .root.Values.erasureLog.enabled }}
{{- /* It is on a claim of its own, and belongs to what a restore needs. */}}
- {name: erasures, mountPath: /backup/erasures}
{{- end }}
{{- if .root.Values.backup.s3.caSecret }}
- {name: s3-ca, mountPath: /etc/keybearer/s3-ca, readOnly: true}
{{- end }}
{{- end }}
