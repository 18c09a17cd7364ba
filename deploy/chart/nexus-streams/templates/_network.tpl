{{/* What may go out: DNS, Kafka, Redis, and what the values add: (dict "root" $ "kafkaOnly" BOOL). */}}
{{- define "nexus.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- ports:
    {{- range $policy.kafkaPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with $policy.kafkaPeers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if not .kafkaOnly }}
- ports:
    {{- range $policy.redisPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with $policy.redisPeers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
