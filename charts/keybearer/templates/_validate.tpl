{{/* What no schema can say. Each refusal names the value and what to set it to. */}}
{{- define "keybearer.validate" -}}
{{- $v := .Values -}}
{{- $url := include "keybearer.publicUrl" . -}}
{{- if not $url -}}
{{- fail "\n\nhosts: say under which names people open Keybearer, the main one first: --set 'hosts={keybearer.example.com}'. To try it through a forwarded port, set publicUrl instead: --set publicUrl=http://localhost:8080\n" -}}
{{- end -}}
{{- range $v.hosts -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$" .) -}}
{{- fail (printf "\n\nhosts: %q is no host name. Write it in lower case, without scheme, port and path: keybearer.example.com\n" .) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^https?://[^/?#@]+$" $url) -}}
{{- fail (printf "\n\npublicUrl: %q must be scheme, host and port alone: https://keybearer.example.com\n" $url) -}}
{{- end -}}
{{- if and (hasPrefix "http://" $url) (not (include "keybearer.isLocal" .)) -}}
{{- fail (printf "\n\npublicUrl: %q is plain http on a host that is not this machine; sign-in cookies would travel in the clear. Use https.\n" $url) -}}
{{- end -}}
{{- if and $v.ingress.enabled $v.httpRoute.enabled -}}
{{- fail "\n\nhttpRoute.enabled: there is an Ingress already. Set ingress.enabled to false, or httpRoute.enabled.\n" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "\n\nhttpRoute.parentRefs: name the Gateway: [{name: public, namespace: gateways}]\n" -}}
{{- end -}}
{{- range $name := list "backend" "frontendProxy" -}}
{{- $hpa := (index $v $name).hpa -}}
{{- if and $hpa.enabled (gt (int $hpa.min) (int $hpa.max)) -}}
{{- fail (printf "\n\n%s.hpa.min: %d is more than %s.hpa.max, %d. Lower the first or raise the second.\n" $name (int $hpa.min) $name (int $hpa.max)) -}}
{{- end -}}
{{- end -}}
{{- include "keybearer.validateDatabase" . -}}
{{- include "keybearer.validateSecrets" . -}}
{{- if and $v.restore.archive $v.restore.inPlace -}}
{{- fail "\n\nrestore.inPlace: restore.archive is set too. Keep one of them: an archive for an empty database, inPlace for one that was put back by other means.\n" -}}
{{- end -}}
{{- if and (include "keybearer.restores" .) (not $v.backup.enabled) -}}
{{- fail "\n\nrestore: there is no backup volume without backup.enabled. Set it to true; with a volume of your own, backup.persistence.existingClaim too.\n" -}}
{{- end -}}
{{- if and $v.sandbox.enabled (not (include "keybearer.isLocal" .)) -}}
{{- fail (printf "\n\nsandbox.enabled: fake providers let anybody in as anybody, and are for a forwarded port alone. Set it to false, or publicUrl to http://localhost:8080 (it is %s).\n" $url) -}}
{{- end -}}
{{- if and $v.mail.from (not $v.mail.existingSecret) -}}
{{- fail "\n\nmail.existingSecret: name a Secret whose `url` is the server that takes mail: kubectl create secret generic keybearer-mail --from-literal=url=smtps://name:password@mail.example.com\n" -}}
{{- end -}}
{{- if and $v.mail.existingSecret (not $v.mail.from) -}}
{{- fail "\n\nmail.from: say which address mail comes from: keybearer@example.com\n" -}}
{{- end -}}
{{- if and $v.livekit.enabled (not $v.livekit.url) -}}
{{- fail "\n\nlivekit.url: say where browsers will reach the LiveKit server: wss://livekit.example.com\n" -}}
{{- end -}}
{{- end }}

{{- define "keybearer.validateDatabase" -}}
{{- $v := .Values -}}
{{- if eq $v.database.mode "external" -}}
{{- if not $v.database.external.existingSecret -}}
{{- fail "\n\ndatabase.external.existingSecret: name a Secret with the keys url and migration-url, the addresses of your PostgreSQL with the two logins (docs/settings.md, \"Roles and logins\").\n" -}}
{{- end -}}
{{- else -}}
{{- $pods := ternary $v.backend.hpa.max $v.backend.replicas $v.backend.hpa.enabled | int -}}
{{- $pool := int $v.backend.databasePoolSize -}}
{{- /* One pod more during a rollout; 20 for Jobs, the exporter and whoever looks after the database. */ -}}
{{- $needed := add (mul (add $pods 1) (add $pool 1)) 20 -}}
{{- if lt (int $v.postgres.maxConnections) $needed -}}
{{- fail (printf "\n\npostgres.maxConnections: %d is too few: (%d backends + 1) × (%d pooled connections + 1) + 20 is %d. Set it to %d, or lower backend.hpa.max or backend.databasePoolSize.\n" (int $v.postgres.maxConnections) $pods $pool $needed $needed) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "keybearer.validateSecrets" -}}
{{- $v := .Values -}}
{{- range $name, $source := omit $v.secrets "job" -}}
{{- if and $source.existingSecret $source.externalSecret -}}
{{- fail (printf "\n\nsecrets.%s: existingSecret and externalSecret are both set. Keep one of them.\n" $name) -}}
{{- end -}}
{{- if and $source.externalSecret (not (or $source.externalSecret.data $source.externalSecret.dataFrom)) -}}
{{- fail (printf "\n\nsecrets.%s.externalSecret: add data or dataFrom, which say where the values are.\n" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $v.livekit.url (not $v.livekit.enabled) (not (or $v.secrets.livekit.existingSecret $v.secrets.livekit.externalSecret)) -}}
{{- fail "\n\nsecrets.livekit.existingSecret: livekit.url leads to a server of your own, so name a Secret with its api-key and api-secret.\n" -}}
{{- end -}}
{{- end }}
