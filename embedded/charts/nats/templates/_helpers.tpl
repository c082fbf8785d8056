{{/* Labels that select pods; the argument is a list of the root context and the component. */}}
{{- define "nats.selector" -}}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "nats.labels" -}}
{{- $chart := (index . 0).Chart -}}
{{ include "nats.selector" . }}
app.kubernetes.io/version: {{ $chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ $chart.Name }}-{{ $chart.Version }}
{{- end }}

{{/* Entries of a container's env from a map of variable to text or to an entry without its name. */}}
{{- define "nats.env" -}}
{{- range $name, $value := . }}
- {{ kindIs "map" $value | ternary $value (dict "value" ($value | toString)) | merge (dict "name" $name) | toJson }}
{{- end }}
{{- end }}

{{/* nats.conf: JSON in which a text between << and >> stands without its quotes. */}}
{{- define "nats.conf" -}}
{{- $conf := dict "port" 4222 "http_port" 8222 "server_name" "<< $SERVER_NAME >>" "pid_file" "/var/run/nats/nats.pid" -}}
{{- $_ := merge $conf (dict "lame_duck_duration" "30s" "lame_duck_grace_period" "10s") -}}
{{- with .Values.config.cluster }}
{{- if .enabled }}
{{- $routes := list -}}
{{- range $index := until (int .replicas) }}
{{- $routes = append $routes (printf "nats://%s-%d.%s-headless:6222" $.Release.Name $index $.Release.Name) -}}
{{- end }}
{{- $_ := set $conf "cluster" (dict "name" $.Release.Name "no_advertise" true "port" .port "routes" $routes) -}}
{{- end }}
{{- end }}
{{- with .Values.config.jetstream }}
{{- if .enabled }}
{{- $jetstream := dict -}}
{{- if .fileStore.enabled }}
{{- $limit := .fileStore.maxSize | default .fileStore.pvc.size -}}
{{- $_ := merge $jetstream (dict "store_dir" .fileStore.dir "max_file_store" (printf "<< %s >>" $limit)) -}}
{{- end }}
{{- $_ := set $jetstream "max_memory_store" (.memoryStore.enabled | ternary (printf "<< %s >>" .memoryStore.maxSize) 0) -}}
{{- $_ := set $conf "jetstream" $jetstream -}}
{{- end }}
{{- end }}
{{- $text := mergeOverwrite $conf (deepCopy .Values.config.merge) | toPrettyJson -}}
{{- regexReplaceAll "\"\\\\u003c\\\\u003c\\s+(.*?)\\s+\\\\u003e\\\\u003e\"" $text "${1}" }}
{{- end }}

{{- define "nats.container" -}}
name: nats
image: {{ .Values.container.image.repository }}:{{ .Values.container.image.tag }}
args: [--config, /etc/nats-config/nats.conf]
env:
  - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
  - { name: SERVER_NAME, value: $(POD_NAME) }
  {{- include "nats.env" .Values.container.env | nindent 2 }}
ports:
  - { name: nats, containerPort: 4222 }
  {{- if .Values.config.cluster.enabled }}
  - { name: cluster, containerPort: {{ .Values.config.cluster.port }} }
  {{- end }}
  - { name: monitor, containerPort: 8222 }
lifecycle: { preStop: { exec: { command: [nats-server, "-sl=ldm=/var/run/nats/nats.pid"] } } }
startupProbe: { httpGet: { path: /healthz, port: monitor }, initialDelaySeconds: 10, periodSeconds: 10, failureThreshold: 90 }
readinessProbe: { httpGet: { path: "/healthz?js-server-only=true", port: monitor }, initialDelaySeconds: 10 }
livenessProbe: { httpGet: { path: "/healthz?js-enabled-only=true", port: monitor }, initialDelaySeconds: 10, periodSeconds: 30 }
volumeMounts:
  - { name: config, mountPath: /etc/nats-config }
  - { name: pid, mountPath: /var/run/nats }
  {{- if and .Values.config.jetstream.enabled .Values.config.jetstream.fileStore.pvc.enabled }}
  - { name: {{ .Release.Name }}-js, mountPath: {{ .Values.config.jetstream.fileStore.dir }} }
  {{- end }}
{{- end }}

{{- define "nats.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "nats.labels" (list . "nats") | nindent 4 }}
spec:
  selector: {{- include "nats.selector" (list . "nats") | nindent 4 }}
  ports:
    {{- range $name, $port := dict "nats" 4222 "monitor" 8222 }}
    {{- $settings := index $.Values.service.ports $name }}
    {{- if $settings.enabled }}
    - {{ dict "name" $name "port" $port "targetPort" $name | merge (omit $settings "enabled") | toJson }}
    {{- end }}
    {{- end }}
{{- end }}
