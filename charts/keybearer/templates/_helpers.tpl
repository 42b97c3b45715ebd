{{/* Names, labels, images, addresses. What pods have in common is in _pod.tpl, of our own program in _program.tpl. */}}

{{/* Short enough for the longest name made of it, a Job's: <fullname>-migrate-<version>-<hash>, 63 characters. */}}
{{- define "keybearer.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* {root, component}: what never changes about a component's pods. Without a component: all of this release. */}}
{{- define "keybearer.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 36 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* {root, component, suffix?, annotations?}: metadata of an object named <fullname>-<suffix, else component>. */}}
{{- define "keybearer.metadata" -}}
{{- $suffix := default .component .suffix -}}
name: {{ include "keybearer.fullname" .root }}{{ with $suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "keybearer.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: keybearer
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* {root, image, own?}: our own images have a registry and a tag in common. */}}
{{- define "keybearer.image" -}}
{{- $repository := .image.repository -}}
{{- $tag := .image.tag -}}
{{- if .own -}}
{{- with .root.Values.image.registry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- $tag = coalesce $tag .root.Values.image.tag .root.Chart.AppVersion -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- end -}}
{{- end }}

{{- define "keybearer.publicUrl" -}}
{{- if .Values.publicUrl -}}
{{- .Values.publicUrl | trimSuffix "/" -}}
{{- else if .Values.hosts -}}
https://{{ first .Values.hosts }}
{{- end -}}
{{- end }}

{{/* "true" where only this machine's own browser gets to PUBLIC_URL, through a forwarded port. */}}
{{- define "keybearer.isLocal" -}}
{{- if regexMatch "^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]+)?$" (include "keybearer.publicUrl" .) }}true{{ end -}}
{{- end }}

{{/* {root, name}: the names under which the cluster's DNS knows the Service <fullname>-<name>. */}}
{{- define "keybearer.serviceNames" -}}
{{- $short := printf "%s-%s" (include "keybearer.fullname" .root) .name -}}
{{- $long := printf "%s.%s" $short .root.Release.Namespace -}}
{{ $short }},{{ $long }},{{ $long }}.svc,{{ $long }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{/* The Secrets that this installation needs, as they are called in `secrets`, separated by spaces. */}}
{{- define "keybearer.secretsNeeded" -}}
keyring signing
{{- if ne .Values.database.mode "external" }} database databaseMigrator{{ end }}
{{- if eq .Values.database.mode "bundled" }} postgres postgresTls{{ end }}
{{- if .Values.valkey.enabled }} valkey{{ end }}
{{- if include "keybearer.hasLivekit" . }} livekit{{ end }}
{{- end }}

{{/* Those of them that the operator may rotate, as they are called in `secrets`, separated by spaces. */}}
{{- define "keybearer.secretsRotated" -}}
keyring signing
{{- if ne .Values.database.mode "external" }} database databaseMigrator{{ end }}
{{- if eq .Values.database.mode "bundled" }} postgres{{ end }}
{{- if .Values.valkey.enabled }} valkey{{ end }}
{{- if .Values.livekit.enabled }} livekit{{ end }}
{{- end }}

{{/* {root, name}: the name of the Secret `secrets.<name>`. */}}
{{- define "keybearer.secret" -}}
{{- $own := (index .root.Values.secrets .name).existingSecret -}}
{{- $own | default (printf "%s-%s" (include "keybearer.fullname" .root) (kebabcase .name)) -}}
{{- end }}

{{- define "keybearer.hasLivekit" -}}
{{- if or .Values.livekit.enabled .Values.livekit.url }}true{{ end -}}
{{- end }}

{{- define "keybearer.backupClaim" -}}
{{- .Values.backup.persistence.existingClaim | default (printf "%s-backup" (include "keybearer.fullname" .)) -}}
{{- end }}

{{/* "true" where PostgreSQL itself writes to the backup volume. */}}
{{- define "keybearer.archivesWal" -}}
{{- if and .Values.backup.enabled .Values.backup.wal.enabled (eq .Values.database.mode "bundled") }}true{{ end -}}
{{- end }}

{{/* "true" where a restore is asked for. */}}
{{- define "keybearer.restores" -}}
{{- if or .Values.restore.archive .Values.restore.inPlace }}true{{ end -}}
{{- end }}

{{- define "keybearer.databaseHost" -}}
{{- printf "%s-postgres%s" (include "keybearer.fullname" .) (ternary "-rw" "" (eq .Values.database.mode "cnpg")) -}}
{{- end }}

{{/* {root, values}: replicas, unless an autoscaler owns them. */}}
{{- define "keybearer.replicas" -}}
{{- if not .hpa.enabled }}
replicas: {{ .replicas }}
{{- end }}
{{- end }}

{{/* A value as text. YAML's numbers are floats here, and large ones would come out as 1e+06. */}}
{{- define "keybearer.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}
