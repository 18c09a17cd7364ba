{{/* The settings file, after refusing what belongs into a Secret. */}}
{{- define "nexus.settings" -}}
{{- $settings := .Values.settings -}}
{{- if hasKey $settings "identity_key" -}}
{{- fail "settings.identity_key: everyone who reads the ConfigMap would see it; put it into a Secret and name that in secrets.identityKey" -}}
{{- end -}}
{{- $security := dig "kafka" "security" (dict) $settings -}}
{{- range list "password" "key_password" -}}
{{- if hasKey $security . -}}
{{- fail (printf "settings.kafka.security.%s: everyone who reads the ConfigMap would see it; put it into a Secret and name that in secrets" .) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]*@" (dig "redis" "url" "" $settings) -}}
{{- fail "settings.redis.url: has a password that everyone who reads the ConfigMap would see; put the address into a Secret and name that in secrets.redisUrl" -}}
{{- end -}}
{{- range list "stages" "admin_host" "admin_port" "drain_seconds" -}}
{{- if hasKey (dig "worker" (dict) $settings) . -}}
{{- fail (printf "settings.worker.%s: the chart sets it; see roles and worker in its values" .) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* Refuse variables that would undo what the chart decides, or show a secret: (dict "at" PATH "overrides" {...} "extraEnv" [...]). */}}
{{- define "nexus.refuse" -}}
{{- $own := "^NEXUS__WORKER(__(STAGES|ADMIN_HOST|ADMIN_PORT|DRAIN_SECONDS))?$" -}}
{{- $secret := "^NEXUS__(IDENTITY_KEY|REDIS(__URL)?|KAFKA(__SECURITY(__(PASSWORD|KEY_PASSWORD))?)?)$" -}}
{{- $login := "^NEXUS__KAFKA__SECURITY__(USERNAME|CA_FILE|CERT_FILE|KEY_FILE)$" -}}
{{- $at := .at -}}
{{- range $name, $_ := .overrides -}}
{{- if regexMatch $own $name -}}
{{- fail (printf "%s.overrides.%s: the chart sets it; see roles, admin and worker.drainSeconds in its values" $at $name) -}}
{{- else if regexMatch $secret $name -}}
{{- fail (printf "%s.overrides.%s: everyone who reads the Deployment would see it; put it into a Secret and name that in secrets" $at $name) -}}
{{- else if regexMatch $login $name -}}
{{- fail (printf "%s.overrides.%s: the chart sets it; see secrets in its values, or settings.kafka.security" $at $name) -}}
{{- end -}}
{{- end -}}
{{- range .extraEnv -}}
{{- $name := upper (default "" .name) -}}
{{- if regexMatch $own $name -}}
{{- fail (printf "%s.extraEnv: %s: the chart sets it; see roles, admin and worker.drainSeconds in its values" $at .name) -}}
{{- else if and (hasKey . "value") (regexMatch $secret $name) -}}
{{- fail (printf "%s.extraEnv: %s: everyone who reads the pod would see its value; take it from a Secret" $at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of one of Kafka's consumer groups: (dict "root" $ "stage" "adapt"); adapt is shared by spaces. */}}
{{- define "nexus.group" -}}
{{- $settings := .root.Values.settings -}}
{{- $space := default "default" $settings.space -}}
{{- $between := ternary "" (printf "%s." $space) (or (eq $space "default") (eq .stage "adapt")) -}}
{{- printf "%s%s%s" (dig "topics" "prefix" "nexus." $settings) $between .stage -}}
{{- end -}}

{{/* A variable from a Secret: (dict "name" NAME "from" (dict "name" ... "key" ...)). */}}
{{- define "nexus.fromSecret" -}}
{{- if .from.name }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.name }}
      key: {{ .from.key }}
{{- end }}
{{- end -}}

{{/* The variables that every container has: (dict "root" $ "secrets" {...} "kafkaOnly" BOOL). */}}
{{- define "nexus.env" -}}
- name: NEXUS_CONFIG
  value: /etc/nexus/nexus.yaml
{{- if not .kafkaOnly }}
{{- if not .secrets.identityKey.name }}
{{- fail "secrets.identityKey.name: name the Secret with the identity key; ids made with another key are other ids, so it is fixed at the birth of a space" }}
{{- end }}
{{- include "nexus.fromSecret" (dict "name" "NEXUS__IDENTITY_KEY" "from" .secrets.identityKey) }}
{{- include "nexus.fromSecret" (dict "name" "NEXUS__REDIS__URL" "from" .secrets.redisUrl) }}
{{- end }}
{{- include "nexus.fromSecret" (dict "name" "NEXUS__KAFKA__SECURITY__USERNAME" "from" .secrets.kafkaUsername) }}
{{- include "nexus.fromSecret" (dict "name" "NEXUS__KAFKA__SECURITY__PASSWORD" "from" .secrets.kafkaPassword) }}
{{- include "nexus.fromSecret" (dict "name" "NEXUS__KAFKA__SECURITY__KEY_PASSWORD" "from" .secrets.kafkaKeyPassword) }}
{{- if .secrets.kafkaCa.name }}
- name: NEXUS__KAFKA__SECURITY__CA_FILE
  value: /etc/nexus/kafka-ca/{{ .secrets.kafkaCa.key }}
{{- end }}
{{- if .secrets.kafkaClient.name }}
- name: NEXUS__KAFKA__SECURITY__CERT_FILE
  value: /etc/nexus/kafka-client/{{ .secrets.kafkaClient.certificate }}
- name: NEXUS__KAFKA__SECURITY__KEY_FILE
  value: /etc/nexus/kafka-client/{{ .secrets.kafkaClient.key }}
{{- end }}
{{- end -}}

{{/* Volumes and their mounts that every pod has: (dict "root" $ "secrets" {...} "configMap" NAME "tmpSize" SIZE). */}}
{{- define "nexus.volumes" -}}
- name: settings
  configMap:
    name: {{ .configMap }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmpSize }}
{{- with .secrets.kafkaCa }}
{{- if .name }}
- name: kafka-ca
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- with .secrets.kafkaClient }}
{{- if .name }}
- name: kafka-client
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .certificate }}
        path: {{ .certificate }}
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "nexus.volumeMounts" -}}
- name: settings
  mountPath: /etc/nexus/nexus.yaml
  subPath: nexus.yaml
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .secrets.kafkaCa.name }}
- name: kafka-ca
  mountPath: /etc/nexus/kafka-ca
  readOnly: true
{{- end }}
{{- if .secrets.kafkaClient.name }}
- name: kafka-client
  mountPath: /etc/nexus/kafka-client
  readOnly: true
{{- end }}
{{- end -}}

{{/* What every pod of the chart says of itself. */}}
{{- define "nexus.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* What every container of the chart says of itself. */}}
{{- define "nexus.container" -}}
image: {{ include "nexus.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}
