{{/* The server's configuration as YAML, merged and patched. */}}
{{- define "nats.config" -}}
{{- include "nats.finish" (dict "doc" (include "nats.rawConfig" .) "by" .Values.config) -}}
{{- end }}

{{- define "nats.rawConfig" -}}
server_name: << $SERVER_NAME >>
pid_file: /var/run/nats/nats.pid
lame_duck_grace_period: 10s
lame_duck_duration: 30s
port: {{ .Values.config.nats.port }}
{{- with .Values.config.monitor }}
{{- if .enabled }}
http_port: {{ .port }}
{{- end }}
{{- end }}
{{- with .Values.config.cluster }}
{{- if .enabled }}
cluster:
  {{- include "nats.finish" (dict "doc" (include "nats.clusterConfig" $) "by" .) | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.config.jetstream }}
{{- if .enabled }}
jetstream:
  {{- include "nats.finish" (dict "doc" (include "nats.jetstreamConfig" .) "by" .) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "nats.jetstreamConfig" -}}
{{- if .memoryStore.enabled }}
{{- with .memoryStore.maxSize }}
max_memory_store: << {{ . }} >>
{{- end }}
{{- else }}
max_memory_store: 0
{{- end }}
{{- with .fileStore }}
{{- if .enabled }}
store_dir: {{ .dir }}
{{- with .maxSize | default (.pvc.enabled | ternary .pvc.size "") }}
max_file_store: << {{ . }} >>
{{- end }}
{{- else }}
max_file_store: 0
{{- end }}
{{- end }}
{{- end }}

{{- define "nats.clusterConfig" -}}
{{- $cluster := .Values.config.cluster -}}
{{- $login := $cluster.routeURLs -}}
{{- $secured := and $login.user $login.password -}}
{{- $user := "" -}}
{{- if $secured -}}{{- $user = printf "%s:%s@" (urlquery $login.user) (urlquery $login.password) -}}{{- end -}}
{{- $domain := include "nats.headlessServiceName" . -}}
{{- if $login.useFQDN -}}
{{- $domain = printf "%s.%s.svc.%s" $domain (.Values.namespaceOverride | default .Release.Namespace) $login.k8sClusterDomain -}}
{{- end -}}
name: {{ include "nats.statefulSetName" . }}
port: {{ $cluster.port }}
no_advertise: {{ $cluster.noAdvertise }}
routes:
  {{- range $i := until (int $cluster.replicas) }}
  - {{ printf "nats://%s%s-%d.%s:%d" $user (include "nats.statefulSetName" $) $i $domain (int $cluster.port) }}
  {{- end }}
{{- if $secured }}
authorization:
  user: {{ $login.user | quote }}
  password: {{ $login.password | quote }}
{{- end }}
{{- end }}

{{/* Further files the reloader watches: certificates and includes named in the configuration; input: value. */}}
{{- define "nats.watchedFiles" -}}
{{- if kindIs "map" . -}}
{{- range $key, $value := . -}}
{{- if has $key (list "cert_file" "key_file" "ca_file") }}
- -config
- {{ $value }}
{{- else if hasSuffix "$include" $key }}
- -config
- {{ clean (printf "/etc/nats-config/%s" $value) }}
{{- else -}}
{{- include "nats.watchedFiles" $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
