{{/*
One document per object, before the `merge` and `patch` of its values entry.
*/}}
{{- define "nats.object.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "nats.fullname" $ }}-config
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
data:
  nats.conf: |
    {{- include "nats.conf" $ | nindent 4 }}
{{- end }}

{{- define "nats.object.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "nats.fullname" $ }}
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
spec:
  selector:
    {{- include "nats.selector" (dict "ctx" $ "component" "nats") | nindent 4 }}
  ports:
    {{- include "nats.servicePorts" (dict "ctx" $ "ports" .Values.service.ports) | nindent 4 }}
{{- end }}

{{- define "nats.object.headlessService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "nats.fullname" $ }}-headless
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "nats.selector" (dict "ctx" $ "component" "nats") | nindent 4 }}
  ports:
    {{- include "nats.servicePorts" (dict "ctx" $) | nindent 4 }}
{{- end }}

{{- define "nats.object.statefulSet" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "nats.fullname" $ }}
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
spec:
  replicas: {{ .Values.config.cluster.enabled | ternary .Values.config.cluster.replicas 1 }}
  serviceName: {{ include "nats.fullname" $ }}-headless
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "nats.selector" (dict "ctx" $ "component" "nats") | nindent 6 }}
  template:
    {{- include "nats.customise" (dict "doc" (include "nats.podTemplate" $ | fromYaml) "over" .Values.podTemplate) | nindent 4 }}
  {{- if include "nats.hasVolume" $ }}
  {{- with .Values.config.jetstream.fileStore.pvc }}
  {{- $spec := dict "accessModes" (list "ReadWriteOnce") "resources" (dict "requests" (dict "storage" .size)) }}
  {{- if .storageClassName }}
  {{- $_ := set $spec "storageClassName" .storageClassName }}
  {{- end }}
  {{- $claim := dict "metadata" (dict "name" .name) "spec" $spec }}
  volumeClaimTemplates:
    - {{ include "nats.customise" (dict "doc" $claim "over" .) | nindent 6 | trim }}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "nats.object.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "nats.fullname" $ }}
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats") | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "nats.selector" (dict "ctx" $ "component" "nats") | nindent 6 }}
{{- end }}

{{- define "nats.object.contextsSecret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "nats.fullname" $ }}-box-contexts
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats-box") | nindent 4 }}
type: Opaque
stringData:
  {{- range $name, $context := .Values.natsBox.contexts }}
  {{- $doc := dict "url" (printf "nats://%s%s" (include "nats.fullname" $) (ternary "" "-headless" $.Values.service.enabled)) }}
  {{ $name }}.json: |
    {{- include "nats.customise" (dict "doc" $doc "over" $context) | fromYaml | toPrettyJson | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "nats.object.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "nats.fullname" $ }}-box
  labels:
    {{- include "nats.labels" (dict "ctx" $ "component" "nats-box") | nindent 4 }}
spec:
  replicas: 1
  selector:
    matchLabels:
      {{- include "nats.selector" (dict "ctx" $ "component" "nats-box") | nindent 6 }}
  template:
    {{- include "nats.customise" (dict "doc" (include "nats.box.podTemplate" $ | fromYaml) "over" .Values.natsBox.podTemplate) | nindent 4 }}
{{- end }}
