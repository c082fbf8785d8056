{{- define "nats.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What the objects' names begin with: the release's name where that contains the chart's, else both. */}}
{{- define "nats.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of an object; input: root, of (its values), suffix. */}}
{{- define "nats.objectName" -}}
{{ .of.name | default (printf "%s%s" (include "nats.fullname" .root) .suffix) }}
{{- end }}

{{- define "nats.statefulSetName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.statefulSet "suffix" "") }}
{{- end }}
{{- define "nats.headlessServiceName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.headlessService "suffix" "-headless") }}
{{- end }}
{{- define "nats.serviceName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.service "suffix" "") }}
{{- end }}
{{- define "nats.configMapName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.configMap "suffix" "-config") }}
{{- end }}
{{- define "nats.contextsSecretName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.natsBox.contextsSecret "suffix" "-box-contexts") }}
{{- end }}
{{- define "nats.serviceAccountName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.serviceAccount "suffix" "") }}
{{- end }}
{{- define "nats.boxServiceAccountName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.natsBox.serviceAccount "suffix" "-box") }}
{{- end }}
{{- define "nats.pvcName" -}}
{{ include "nats.objectName" (dict "root" . "of" .Values.config.jetstream.fileStore.pvc "suffix" "-js") }}
{{- end }}

{{/* Labels that select pods; input: root, component (nats or nats-box). */}}
{{- define "nats.selectorLabels" -}}
app.kubernetes.io/name: {{ include "nats.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "nats.labels" -}}
{{ include "nats.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Metadata of an object; input: root, component, name. */}}
{{- define "nats.metadata" -}}
name: {{ .name }}
{{- with .root.Values.namespaceOverride }}
namespace: {{ . | quote }}
{{- end }}
labels:
  {{- include "nats.labels" . | nindent 2 }}
{{- end }}

{{/* Image and pull policy of a container; input: its image values. */}}
{{- define "nats.image" -}}
{{- $image := empty .digest | ternary (printf "%s:%s" .repository .tag) (printf "%s@%s" .repository (toString .digest)) -}}
{{- with .registry }}{{ $image = printf "%s/%s" . $image }}{{ end -}}
image: {{ .fullImageName | default $image }}
{{- with .pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* Environment of a container as a list; input: map of name to text or to the rest of the entry. */}}
{{- define "nats.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "string" $value }}
- name: {{ $name | quote }}
  value: {{ $value | quote }}
{{- else if kindIs "map" $value }}
- {{ merge (dict "name" $name) $value | toYaml | nindent 2 }}
{{- else }}
{{- fail (printf "env var %q must be string or map, got %s" $name (kindOf $value)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Ports of the server in use, as JSON {list: [{name, port, appProtocol}]}. */}}
{{- define "nats.ports" -}}
{{- $ports := list (dict "name" "nats" "port" .Values.config.nats.port "appProtocol" "tcp") -}}
{{- with .Values.config.cluster -}}{{- if .enabled -}}
{{- $ports = append $ports (dict "name" "cluster" "port" .port "appProtocol" "tcp") -}}
{{- end -}}{{- end -}}
{{- with .Values.config.monitor -}}{{- if .enabled -}}
{{- $ports = append $ports (dict "name" "monitor" "port" .port "appProtocol" "http") -}}
{{- end -}}{{- end -}}
{{- dict "list" $ports | toJson -}}
{{- end }}

{{/* True where JetStream keeps its files on a claimed volume. */}}
{{- define "nats.hasPvc" -}}
{{- with .Values.config.jetstream -}}
{{- if and .enabled .fileStore.enabled .fileStore.pvc.enabled -}}true{{- end -}}
{{- end -}}
{{- end }}
