{{/* {root, component, user, restart?}: the head of a pod that mounts the backup volume. Its files belong to group 999. */}}
{{- define "keybearer.backupPod" -}}
{{- $scheduling := .root.Values.backup.scheduling -}}
{{- if and (include "keybearer.archivesWal" .root) (not (include "keybearer.pulls" .root)) (eq .root.Values.backup.persistence.accessMode "ReadWriteOnce") -}}
{{- /* Such a volume is mounted on one node, the database's. */ -}}
{{- $database := dict "matchLabels" (include "keybearer.selector" (dict "root" .root "component" "postgres") | fromYaml) -}}
{{- $beside := dict "podAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list (dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $database))) -}}
{{- $scheduling = mergeOverwrite (deepCopy $scheduling) (dict "affinity" (merge (dict) $beside ($scheduling.affinity | default dict))) -}}
{{- end -}}
metadata:
  {{- include "keybearer.podMetadata" . | nindent 2 }}
spec:
  {{- include "keybearer.pod" (dict "root" .root "user" .user "group" 999 "scheduling" $scheduling) | nindent 2 }}
  restartPolicy: {{ .restart | default "Never" }}
{{- end }}

{{/* {root, component, name, args, folders?, readOnly?, resources?, init?, restart?}: a pod that works on the backup volume */}}
{{/* with the program and the migrating login. It makes `folders` first. `init` are containers before it, by default one */}}
{{/* that waits for the database: a new pod's network may need a moment, until its policies are known everywhere. */}}
{{- define "keybearer.archivePod" -}}
{{- $mounts := printf "%s\n- {name: backup, mountPath: /backup%s}" (include "keybearer.mounts" .root) (ternary ", readOnly: true" "" (default false .readOnly)) -}}
{{- $env := printf "%s\n%s" (include "keybearer.environment" .root | trim) (include "keybearer.migrationEnvironment" .root | trim) -}}
{{- if not .root.Values.erasureLog.enabled -}}
{{- $env = printf "%s\n- {name: KEYBEARER_ERASURE_LOG_DIR, value: /backup/erasures}" $env -}}
{{- end -}}
{{- $program := dict "envFrom" (include "keybearer.settings" .root) "env" $env "mounts" $mounts "resources" .root.Values.backup.resources -}}
{{- with .folders -}}
{{- $_ := set $program "command" (list "sh" "-c" (printf "mkdir -p %s && exec keybearer \"$@\"" (join " " .)) "sh") -}}
{{- end -}}
{{- include "keybearer.backupPod" (dict "root" .root "component" .component "user" 10001 "restart" .restart) }}
  {{- $wait := dict "root" .root "name" "wait-for-schema" "args" (list "migrate" "--wait" "--timeout" "60") "resources" .root.Values.backup.resources -}}
  {{- with hasKey . "init" | ternary .init (include "keybearer.program" (merge (dict) $wait (omit $program "command"))) }}
  initContainers:
    {{- . | trim | nindent 4 }}
  {{- end }}
  containers:
    {{- include "keybearer.program" (merge (dict) . $program) | nindent 4 }}
  volumes:
    {{- include "keybearer.volumes" .root | nindent 4 }}
    - name: backup
      persistentVolumeClaim: {claimName: {{ include "keybearer.backupClaim" .root }}}
{{- end }}
