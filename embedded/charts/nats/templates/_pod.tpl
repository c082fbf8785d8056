{{/*
True where JetStream keeps its files on a volume of its own.
*/}}
{{- define "nats.hasVolume" -}}
{{- with .Values.config.jetstream }}{{ if and .enabled .fileStore.enabled .fileStore.pvc.enabled }}true{{ end }}{{ end }}
{{- end }}

{{- define "nats.podTemplate" -}}
metadata:
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
  {{- if .Values.podTemplate.configChecksumAnnotation }}
  annotations:
    checksum/config: {{ include "nats.conf" $ | sha256sum }}
  {{- end }}
spec:
  containers:
    - {{ include "nats.customise" (dict "doc" (include "nats.container" $ | fromYaml) "over" .Values.container) | nindent 6 | trim }}
    {{- if .Values.reloader.enabled }}
    - {{ include "nats.customise" (dict "doc" (include "nats.reloader" $ | fromYaml) "over" .Values.reloader) | nindent 6 | trim }}
    {{- end }}
    {{- if .Values.promExporter.enabled }}
    - {{ include "nats.customise" (dict "doc" (include "nats.exporter" $ | fromYaml) "over" .Values.promExporter) | nindent 6 | trim }}
    {{- end }}
  enableServiceLinks: false
  {{- if .Values.reloader.enabled }}
  # The reloader signals the server's process.
  shareProcessNamespace: true
  {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "nats.fullname" $ }}-config
    - name: pid
      emptyDir: {}
  {{- with .Values.podTemplate.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range $key, $constraint := . }}
    {{- $selector := dict "matchLabels" (include "nats.selector" (dict "ctx" $ "component" "nats") | fromYaml) }}
    - {{ merge (dict "topologyKey" $key "labelSelector" $selector) $constraint | toYaml | nindent 6 | trim }}
    {{- end }}
  {{- end }}
  # Longer than the lame duck's duration and grace period together.
  terminationGracePeriodSeconds: 60
{{- end }}

{{- define "nats.container" -}}
name: nats
{{ include "nats.image" .Values.container.image }}
args: [--config, /etc/nats-config/nats.conf]
ports:
  {{- range $name := list "nats" "cluster" "monitor" }}
  {{- $listener := index $.Values.config $name }}
  {{- if or (eq $name "nats") $listener.enabled }}
  - name: {{ $name }}
    containerPort: {{ $listener.port }}
  {{- end }}
  {{- end }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: SERVER_NAME
    value: {{ .Values.config.serverNamePrefix }}$(POD_NAME)
  {{- include "nats.env" .Values.container.env | nindent 2 }}
lifecycle:
  preStop:
    exec:
      # Lame duck mode hands the clients over before the server stops.
      command: [nats-server, -sl=ldm=/var/run/nats/nats.pid]
{{- if .Values.config.monitor.enabled }}
startupProbe:
  httpGet: {path: /healthz, port: monitor}
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 5
  successThreshold: 1
  failureThreshold: 90
readinessProbe:
  httpGet: {path: "/healthz?js-server-only=true", port: monitor}
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 5
  successThreshold: 1
  failureThreshold: 3
livenessProbe:
  httpGet: {path: "/healthz?js-enabled-only=true", port: monitor}
  initialDelaySeconds: 10
  periodSeconds: 30
  timeoutSeconds: 5
  successThreshold: 1
  failureThreshold: 3
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/nats-config
  - name: pid
    mountPath: /var/run/nats
  {{- if include "nats.hasVolume" $ }}
  - name: {{ .Values.config.jetstream.fileStore.pvc.name }}
    mountPath: {{ .Values.config.jetstream.fileStore.dir }}
  {{- end }}
resources:
  {{- toYaml .Values.container.resources | nindent 2 }}
{{- end }}

{{- define "nats.reloader" -}}
name: reloader
{{ include "nats.image" .Values.reloader.image }}
args: [-pid, /var/run/nats/nats.pid, -config, /etc/nats-config/nats.conf]
volumeMounts:
  - name: pid
    mountPath: /var/run/nats
  - name: config
    mountPath: /etc/nats-config
{{- end }}

{{- define "nats.exporter" -}}
name: prom-exporter
{{ include "nats.image" .Values.promExporter.image }}
ports:
  - name: prom-metrics
    containerPort: {{ .Values.promExporter.port }}
args:
  - -port={{ .Values.promExporter.port }}
  - -connz
  - -routez
  - -subz
  - -varz
  - -prefix=nats
  - -use_internal_server_id
  {{- if .Values.config.jetstream.enabled }}
  - -jsz=all
  {{- end }}
  - http://localhost:{{ .Values.config.monitor.port }}/
{{- end }}

{{- define "nats.box.podTemplate" -}}
metadata:
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats-box") | nindent 4 }}
spec:
  containers:
    - {{ include "nats.customise" (dict "doc" (include "nats.box.container" $ | fromYaml) "over" .Values.natsBox.container) | nindent 6 | trim }}
  enableServiceLinks: false
  volumes:
    - name: contexts
      secret:
        secretName: {{ include "nats.fullname" $ }}-box-contexts
{{- end }}

{{- define "nats.box.container" -}}
name: nats-box
{{ include "nats.image" .Values.natsBox.container.image }}
{{- with .Values.natsBox.container.env }}
env:
  {{- include "nats.env" . | nindent 2 }}
{{- end }}
# Links the contexts to where the nats command looks for them, then sleeps until the pod is told to stop.
command:
  - sh
  - -ec
  - |
    mkdir -p "$XDG_CONFIG_HOME/nats"
    [ -e "$XDG_CONFIG_HOME/nats/context" ] || ln -s /etc/nats-contexts "$XDG_CONFIG_HOME/nats/context"
    {{- with .Values.natsBox.defaultContextName }}
    [ -f "$XDG_CONFIG_HOME/nats/context.txt" ] || printf %s {{ . | squote }} > "$XDG_CONFIG_HOME/nats/context.txt"
    {{- end }}
    exec /entrypoint.sh "$@"
  - --
args: [sh, -ec, "trap true INT TERM; sleep infinity & wait"]
volumeMounts:
  - name: contexts
    mountPath: /etc/nats-contexts
resources:
  {{- toYaml .Values.natsBox.container.resources | nindent 2 }}
{{- end }}
