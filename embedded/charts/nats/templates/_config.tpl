{{/*
Content of nats.conf, which may be JSON; a string between "<< " and " >>" loses its quotes.
*/}}
{{- define "nats.conf" -}}
{{- $json := include "nats.config" . | fromYaml | toPrettyJson }}
{{- $json = $json | replace "\\u003c" "<" | replace "\\u003e" ">" | replace "\\u0026" "&" }}
{{- regexReplaceAll "\"<<\\s+(.*?)\\s+>>\"" $json "${1}" }}
{{- end }}

{{- define "nats.config" -}}
{{- $config := dict "lame_duck_duration" "30s" "lame_duck_grace_period" "10s" "pid_file" "/var/run/nats/nats.pid" }}
{{- $_ := set $config "server_name" "<< $SERVER_NAME >>" }}
{{- with .Values.config }}
  {{- $_ := set $config "port" .nats.port }}
  {{- if .monitor.enabled }}
    {{- $_ := set $config "http_port" .monitor.port }}
  {{- end }}
  {{- if .cluster.enabled }}
    {{- $cluster := include "nats.config.cluster" $ | fromYaml }}
    {{- $_ := set $config "cluster" (include "nats.customise" (dict "doc" $cluster "over" .cluster) | fromYaml) }}
  {{- end }}
  {{- if .jetstream.enabled }}
    {{- $jetstream := include "nats.config.jetstream" . | fromYaml }}
    {{- $_ := set $config "jetstream" (include "nats.customise" (dict "doc" $jetstream "over" .jetstream) | fromYaml) }}
  {{- end }}
  {{- include "nats.customise" (dict "doc" $config "over" .) }}
{{- end }}
{{- end }}

{{- define "nats.config.jetstream" -}}
{{- with .jetstream.fileStore }}
{{- if .enabled }}
store_dir: {{ .dir }}
{{- with .maxSize | default (ternary .pvc.size "" .pvc.enabled) }}
max_file_store: << {{ . }} >>
{{- end }}
{{- else }}
max_file_store: 0
{{- end }}
{{- end }}
{{- with .jetstream.memoryStore }}
{{- if .enabled }}
max_memory_store: << {{ .maxSize }} >>
{{- else }}
max_memory_store: 0
{{- end }}
{{- end }}
{{- end }}

{{- define "nats.config.cluster" -}}
{{- $name := include "nats.fullname" $ }}
{{- with .Values.config.cluster -}}
{{- $login := and .routeURLs.user .routeURLs.password }}
{{- $userinfo := "" }}
{{- if $login }}
{{- $userinfo = printf "%s:%s@" (urlquery .routeURLs.user) (urlquery .routeURLs.password) }}
{{- end }}
name: {{ $name }}
port: {{ .port }}
no_advertise: {{ .noAdvertise }}
routes:
{{- range $index := until (int .replicas) }}
  - nats://{{ $userinfo }}{{ $name }}-{{ $index }}.{{ $name }}-headless:{{ $.Values.config.cluster.port }}
{{- end }}
{{- if $login }}
authorization:
  user: {{ .routeURLs.user | quote }}
  password: {{ .routeURLs.password | quote }}
{{- end }}
{{- end }}
{{- end }}
