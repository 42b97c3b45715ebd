{{/* What every pod has in common: Pod Security "restricted", and no access to the cluster's API. */}}

{{/* {root, component, annotations?}: metadata of a pod's template. */}}
{{- define "keybearer.podMetadata" -}}
labels:
  {{- include "keybearer.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: keybearer
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* {root, user, group?, scheduling?, account?, token?}: the head of a pod's spec. `group` owns its volumes. */}}
{{- define "keybearer.pod" -}}
serviceAccountName: {{ .account | default (include "keybearer.fullname" .root) }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .group | default .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- range $key, $value := merge (dict) (.scheduling | default dict) .root.Values.scheduling }}
{{- if $value }}
{{ $key }}: {{- toYaml $value | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* {root, image, own?}: what every container has in common. */}}
{{- define "keybearer.container" -}}
image: {{ include "keybearer.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* {root, component}: over zones first, then nodes; each rollout by itself. */}}
{{- define "keybearer.spread" -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "keybearer.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* {root, component, values}: an autoscaler on CPU, and a limit on what a drained node may take at once. */}}
{{- define "keybearer.availability" -}}
{{- if .values.hpa.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "keybearer.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "keybearer.fullname" .root }}-{{ .component }}
  minReplicas: {{ .values.hpa.min }}
  maxReplicas: {{ .values.hpa.max }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .values.hpa.cpuPercent }}}
  behavior:
    # Up at once, down slowly: a stopping pod hands its live streams to the others.
    scaleUp:
      policies: [{type: Percent, value: 100, periodSeconds: 15}, {type: Pods, value: 4, periodSeconds: 15}]
    scaleDown:
      stabilizationWindowSeconds: 300
      policies: [{type: Percent, value: 25, periodSeconds: 60}]
---
{{- end }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "keybearer.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "keybearer.selector" . | nindent 6 }}
{{- end }}

{{/* {root, component, template, suffix?, backoffLimit?}: a Job whose name ends in a hash of its own spec. */}}
{{/* A Job's pod template cannot change. So a changed value makes a new Job beside which the old one goes, instead of a */}}
{{/* refused upgrade; no hooks, so that `kubectl apply` and GitOps do the same as Helm. */}}
{{- define "keybearer.job" -}}
{{- $template := include .template .root -}}
{{- $suffix := printf "%s-%s" (.suffix | default .component) ($template | sha256sum | trunc 8) -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "keybearer.metadata" (dict "root" .root "component" .component "suffix" $suffix) | nindent 2 }}
spec:
  # It repeats safely, so it goes on until what is wrong was mended.
  backoffLimit: 1000
  template:
    {{- $template | nindent 4 }}
{{- end }}

{{/* {root, component, template, suffix?, schedule}: one at a time, in UTC. */}}
{{- define "keybearer.cronJob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  {{- include "keybearer.metadata" . | nindent 2 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  {{- if .suspend }}
  suspend: true
  {{- end }}
  # Made up for after an outage, but not on the next day.
  startingDeadlineSeconds: 21600
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    metadata:
      {{- include "keybearer.podMetadata" (dict "root" .root "component" .component) | nindent 6 }}
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: 14400
      template:
        {{- include .template .root | nindent 8 }}
{{- end }}
