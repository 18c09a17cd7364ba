{{/* The enabled roles by name, each with what `worker` says where it says nothing itself; as YAML. */}}
{{- define "nexus.roles" -}}
{{- $roles := dict -}}
{{- include "nexus.refuse" (dict "at" "worker" "overrides" .Values.worker.overrides "extraEnv" .Values.worker.extraEnv) -}}
{{- range $name, $own := .Values.roles -}}
{{- if $own.enabled -}}
{{- include "nexus.refuse" (dict "at" (printf "roles.%s" $name) "overrides" $own.overrides "extraEnv" $own.extraEnv) -}}
{{- $_ := set $roles $name (mergeOverwrite (deepCopy $.Values.worker) (omit $own "enabled")) -}}
{{- end -}}
{{- end -}}
{{- if not $roles -}}
{{- fail "roles: none is enabled, so that there would be no worker" -}}
{{- end -}}
{{- toYaml $roles -}}
{{- end -}}

{{/* KEDA's triggers of a role: (dict "root" $ "name" ROLE "role" {...}). */}}
{{- define "nexus.triggers" -}}
{{- $settings := .root.Values.settings -}}
{{- $keda := .role.autoscaling.keda -}}
{{- $wanted := list -}}
{{- if has "adapt" .role.stages -}}
{{- range $source := $settings.sources | default dict -}}
{{- $wanted = append $wanted (dict "topic" $source.topic "group" (include "nexus.group" (dict "root" $.root "stage" "adapt"))) -}}
{{- end -}}
{{- end -}}
{{- if has "resolve" .role.stages -}}
{{- $events := printf "%sevents" (dig "topics" "prefix" "nexus." $settings) -}}
{{- $wanted = append $wanted (dict "topic" $events "group" (include "nexus.group" (dict "root" .root "stage" "resolve"))) -}}
{{- end -}}
{{- if not (or $wanted $keda.extraTriggers) -}}
{{- fail (printf "roles.%s: KEDA has no lag to go by: adapt needs sources, and publish has no lag in Kafka; scale it by hpa or extraTriggers" .name) -}}
{{- end -}}
{{- $security := dig "kafka" "security" (dict) $settings -}}
{{- $protocol := default "PLAINTEXT" $security.protocol -}}
{{- $mechanism := default "PLAIN" $security.mechanism -}}
{{- $sasl := get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512") $mechanism -}}
{{- if and $wanted (hasPrefix "SASL" $protocol) (not $sasl) -}}
{{- fail (printf "roles.%s: KEDA is not told here how to log in with %s; scale it by hpa" .name $mechanism) -}}
{{- end -}}
{{- range $index, $one := $wanted }}
{{- if $index }}
{{ end -}}
- type: kafka
  metadata:
    bootstrapServers: {{ required "settings.kafka.bootstrap_servers: KEDA needs it too" (dig "kafka" "bootstrap_servers" "" $settings) | quote }}
    consumerGroup: {{ $one.group | quote }}
    topic: {{ $one.topic | quote }}
    lagThreshold: {{ $keda.lagThreshold | quote }}
    offsetResetPolicy: earliest
    {{- if hasPrefix "SASL" $protocol }}
    sasl: {{ $sasl }}
    {{- end }}
    {{- if hasSuffix "SSL" $protocol }}
    tls: enable
    {{- end }}
  {{- if ne $protocol "PLAINTEXT" }}
  authenticationRef:
    name: {{ include "nexus.fullname" $.root }}-kafka
  {{- end }}
{{- end }}
{{- with $keda.extraTriggers }}
{{ toYaml . }}
{{- end }}
{{- end -}}
