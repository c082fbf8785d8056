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
{{- with .Values.config.nats.tls }}
{{- if .enabled }}
tls:
  {{- include "nats.finish" (dict "doc" (include "nats.tlsConfig" (dict "root" $ "tls" .)) "by" .) | nindent 2 }}
{{- end }}
{{- end }}
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
  - {{ printf "%s://%s%s-%d.%s:%d" ($cluster.tls.enabled | ternary "tls" "nats") $user (include "nats.statefulSetName" $) $i $domain (int $cluster.port) }}
  {{- end }}
{{- if $secured }}
authorization:
  user: {{ $login.user | quote }}
  password: {{ $login.password | quote }}
{{- end }}
{{- with $cluster.tls }}
{{- if .enabled }}
tls:
  {{- include "nats.finish" (dict "doc" (include "nats.tlsConfig" (dict "root" $ "tls" .)) "by" .) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* A `tls` block; input: root, tls (its values). */}}
{{- define "nats.tlsConfig" -}}
{{- with .tls }}
{{- if .secretName }}
cert_file: {{ printf "%s/%s" (trimSuffix "/" .dir) .cert | quote }}
key_file: {{ printf "%s/%s" (trimSuffix "/" .dir) .key | quote }}
{{- end }}
{{- end }}
{{- with .root.Values.tlsCA }}
{{- if and .enabled (or .configMapName .secretName) }}
ca_file: {{ printf "%s/%s" (trimSuffix "/" .dir) .key | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Volume of the authorities, and where it is mounted. */}}
{{- define "nats.caVolume" -}}
{{- with .Values.tlsCA }}
{{- if and .enabled (or .configMapName .secretName) }}
- name: tls-ca
  {{- if .configMapName }}
  configMap:
    name: {{ .configMapName | quote }}
  {{- else }}
  secret:
    secretName: {{ .secretName | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- define "nats.caMount" -}}
{{- with .Values.tlsCA }}
{{- if and .enabled (or .configMapName .secretName) }}
- name: tls-ca
  mountPath: {{ .dir | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Secrets with a certificate, JSON {list: [{name, secretName, dir}]}. */}}
{{- define "nats.certificates" -}}
{{- $found := list -}}
{{- range $name := list "nats" "cluster" -}}
{{- $part := get $.Values.config $name -}}
{{- if and (or (eq $name "nats") $part.enabled) $part.tls.enabled $part.tls.secretName -}}
{{- $found = append $found (dict "name" (printf "%s-tls" $name) "secretName" $part.tls.secretName "dir" $part.tls.dir) -}}
{{- end -}}
{{- end -}}
{{- dict "list" $found | toJson -}}
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
