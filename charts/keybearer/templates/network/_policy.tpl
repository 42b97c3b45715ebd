{{/* {root, name, direction, component?, peers?, ports}: lets pods talk. No `peers`: with anybody. */}}
{{- define "keybearer.policy" -}}
{{- $rule := dict "ports" list -}}
{{- range .ports -}}
{{- $_ := set $rule "ports" (append $rule.ports (dict "protocol" (splitList "/" . | first) "port" (splitList "/" . | last | int))) -}}
{{- end -}}
{{- with .peers -}}
{{- $_ := set $rule (eq $.direction "Ingress" | ternary "from" "to") . -}}
{{- end -}}
{{- include "keybearer.policyOfRules" (merge (dict "rules" (list $rule)) .) -}}
{{- end }}

{{/* {root, name, direction, component?, rules} */}}
{{- define "keybearer.policyOfRules" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "keybearer.metadata" (dict "root" .root "component" .component "suffix" .name) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "keybearer.selector" . | nindent 6 }}
  policyTypes: [{{ .direction }}]
  {{ lower .direction }}:
    {{- toYaml .rules | nindent 4 }}
{{- end }}

{{/* {root, from, to, ports}: a path inside this release, allowed at both of its ends. */}}
{{- define "keybearer.path" -}}
{{- $common := dict "root" .root "ports" .ports -}}
{{- include "keybearer.policy" (merge (dict "name" (printf "%s-to-%s" .from .to) "direction" "Egress" "component" .from "peers" (list (include "keybearer.peer" (dict "root" .root "component" .to) | fromYaml))) $common) -}}
{{- include "keybearer.policy" (merge (dict "name" (printf "%s-from-%s" .to .from) "direction" "Ingress" "component" .to "peers" (list (include "keybearer.peer" (dict "root" .root "component" .from) | fromYaml))) $common) -}}
{{- end }}

{{/* {root, component} */}}
{{- define "keybearer.peer" -}}
podSelector:
  matchLabels:
    {{- include "keybearer.selector" . | nindent 4 }}
{{- end }}

{{/* {root, except?}: all addresses but `except`, in the families that the cluster has. */}}
{{- define "keybearer.addresses" -}}
{{- range $family := .root.Values.networkPolicy.ipFamilies }}
{{- $except := list }}
{{- range $.except }}
{{- if eq (contains ":" .) (eq $family "IPv6") }}
{{- $except = append $except . }}
{{- end }}
{{- end }}
- ipBlock:
    cidr: {{ eq $family "IPv6" | ternary "::/0" "0.0.0.0/0" | quote }}
    {{- with $except }}
    except: {{ toJson . }}
    {{- end }}
{{- end }}
{{- end }}
