{{- define "nats.natsContainer" -}}
name: nats
{{ include "nats.image" .Values.container.image }}
args: [--config, /etc/nats-config/nats.conf]
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: SERVER_NAME
    value: {{ printf "%s$(POD_NAME)" .Values.config.serverNamePrefix | quote }}
  {{- include "nats.env" .Values.container.env | nindent 2 }}
ports:
  {{- range $port := (include "nats.ports" . | fromJson).list }}
  - {{ merge (dict "name" $port.name "containerPort" $port.port) (get $.Values.container.ports $port.name) | toYaml | nindent 4 }}
  {{- end }}
lifecycle:
  preStop:
    exec:
      # Lame duck mode: clients move to another server before this one stops.
      command: [nats-server, -sl=ldm=/var/run/nats/nats.pid]
{{- if .Values.config.monitor.enabled }}
{{- range $probe := list
  (dict "name" "startupProbe" "path" "/healthz" "period" 10 "failures" 90)
  (dict "name" "readinessProbe" "path" "/healthz?js-server-only=true" "period" 10 "failures" 3)
  (dict "name" "livenessProbe" "path" "/healthz?js-enabled-only=true" "period" 30 "failures" 3)
}}
{{ $probe.name }}:
  httpGet:
    path: {{ $probe.path }}
    port: monitor
  initialDelaySeconds: 10
  timeoutSeconds: 5
  periodSeconds: {{ $probe.period }}
  successThreshold: 1
  failureThreshold: {{ $probe.failures }}
{{- end }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/nats-config
  - name: pid
    mountPath: /var/run/nats
  {{- if include "nats.hasPvc" . }}
  - name: {{ include "nats.pvcName" . }}
    mountPath: {{ .Values.config.jetstream.fileStore.dir | quote }}
  {{- end }}
  {{- include "nats.caMount" . | nindent 2 }}
  {{- range (include "nats.certificates" . | fromJson).list }}
  - name: {{ .name | quote }}
    mountPath: {{ .dir | quote }}
  {{- end }}
resources:
  {{- toYaml .Values.container.resources | nindent 2 }}
{{- end }}

{{/* Input: root, mounts (of the finished nats container). */}}
{{- define "nats.reloaderContainer" -}}
{{- $values := .root.Values -}}
name: reloader
{{ include "nats.image" $values.reloader.image }}
{{- with $values.reloader.env }}
env:
  {{- include "nats.env" . | nindent 2 }}
{{- end }}
args:
  - -pid
  - /var/run/nats/nats.pid
  - -config
  - /etc/nats-config/nats.conf
  {{- include "nats.watchedFiles" (include "nats.config" .root | fromYaml) | nindent 2 }}
volumeMounts:
  - name: pid
    mountPath: /var/run/nats
  {{- range $mount := .mounts }}
  {{- $watched := false }}
  {{- range $values.reloader.natsVolumeMountPrefixes }}
  {{- $watched = or $watched (hasPrefix . $mount.mountPath) }}
  {{- end }}
  {{- if $watched }}
  - {{ toYaml $mount | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "nats.promExporterContainer" -}}
name: prom-exporter
{{ include "nats.image" .Values.promExporter.image }}
ports:
  - name: prom-metrics
    containerPort: {{ .Values.promExporter.port }}
{{- with .Values.promExporter.env }}
env:
  {{- include "nats.env" . | nindent 2 }}
{{- end }}
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
  - http://{{ .Values.promExporter.monitorDomain }}:{{ .Values.config.monitor.port }}/
{{- end }}
