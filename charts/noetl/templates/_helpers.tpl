{{/* URL of this release's API inside the cluster. */}}
{{- define "noetl.serverUrl" -}}
http://noetl.{{ include "shared.namespace" . }}.svc.cluster.local:{{ .Values.service.port }}
{{- end }}

{{/*
User and password of a NATS URL, JSON {user, password}, empty where it has none. Of several servers the first that has them.
*/}}
{{- define "noetl.natsLogin" -}}
{{- $userInfo := regexFind "://[^/@,:]*:[^/@,]*@" (toString .) | trimPrefix "://" | trimSuffix "@" -}}
{{- $parts := splitn ":" 2 $userInfo -}}
{{- dict "user" ($parts._0 | default "") "password" ($parts._1 | default "") | toJson -}}
{{- end }}

{{/*
Sorted environment (see shared.sortEnv); input: root, env. NATS_USER and NATS_PASSWORD, with which NoETL connects for its
key-value buckets whatever its URL says, are those of the URL where they are empty.
*/}}
{{- define "noetl.env" -}}
{{- $env := merge (dict) .env (dict "NOETL_SERVER_URL" (include "noetl.serverUrl" .root)) -}}
{{- $login := include "noetl.natsLogin" $env.NATS_URL | fromJson -}}
{{- $user := $env.NATS_USER | default "" | toString -}}
{{- if and (not $env.NATS_PASSWORD) (or (not $user) (eq $user $login.user)) -}}
{{- $_ := set $env "NATS_PASSWORD" $login.password -}}
{{- end -}}
{{- if not $user -}}
{{- $_ := set $env "NATS_USER" ($login.user | default "noetl") -}}
{{- end -}}
{{- /* Before all else: the module that keeps credentials out of logs (files/sitecustomize.py). */ -}}
{{- $path := prepend (compact (list ($env.PYTHONPATH | default "" | toString))) "/opt/noetl-scripts" -}}
{{- $_ := set $env "PYTHONPATH" (join ":" $path) -}}
{{- if .root.Values.natsCa -}}
{{- $_ := set $env "NATS_CA_FILE" "/opt/noetl-scripts/nats-ca.crt" -}}
{{- end -}}
{{- include "shared.sortEnv" (dict "env" $env "variables" .root.Values.secrets.variables) -}}
{{- end }}

{{/*
Annotations that restart the pods of a Deployment; input: root, env (sorted), files, podAnnotations.
The checksum covers the ConfigMaps and the names, never the values, of the credentials.
*/}}
{{- define "noetl.podAnnotations" -}}
{{- $config := dict "plain" .env.plain "credentials" (keys .env.credentials | sortAlpha) "files" .files -}}
checksum/config: {{ toJson $config | sha256sum }}
secrets/revision: {{ include "shared.text" (.root.Values.secrets.revision | default .root.Release.Revision) | quote }}
{{- range $key, $value := .podAnnotations }}
{{ $key }}: {{ include "shared.text" $value | quote }}
{{- end }}
{{- end }}

{{/* Scripts of a Deployment, and the authorities of NATS, JSON of name to text; input: root, names. */}}
{{- define "noetl.files" -}}
{{- $files := dict -}}
{{- range $name := .names -}}
{{- $_ := set $files $name ($.root.Files.Get (printf "files/%s" $name)) -}}
{{- end -}}
{{- with .root.Values.natsCa -}}
{{- $_ := set $files "nats-ca.crt" . -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}

{{/* ConfigMap of a Deployment's scripts; input: root, name, files. */}}
{{- define "noetl.scripts" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: noetl-{{ .name }}-scripts
  namespace: {{ include "shared.namespace" .root }}
  labels:
    {{- include "shared.labels" (dict "root" .root "app" (printf "noetl-%s" .name)) | nindent 4 }}
data:
  {{- range $name, $content := .files }}
  {{ $name }}: |
    {{- $content | trim | nindent 4 }}
  {{- end }}
{{- end }}

{{/*
A volume that is a claim where persistence is on, else as short-lived as the pod and no larger than the claim would be: a pod that writes more
is evicted, and not its neighbours with it; input: name, claim.
*/}}
{{- define "noetl.volume" -}}
- name: {{ .name }}
  {{- if .claim.enabled }}
  persistentVolumeClaim:
    claimName: {{ .claim.name }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ include "shared.text" .claim.size | quote }}
  {{- end }}
{{- end }}

{{/* ConfigMap and Secret of one Deployment; input: root, name, env (sorted). */}}
{{- define "noetl.environment" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: noetl-{{ .name }}-config
  namespace: {{ include "shared.namespace" .root }}
  labels:
    {{- include "shared.labels" (dict "root" .root "app" (printf "noetl-%s" .name)) | nindent 4 }}
data:
  {{- range $key, $value := .env.plain }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
---
apiVersion: v1
kind: Secret
metadata:
  name: noetl-{{ .name }}-credentials
  namespace: {{ include "shared.namespace" .root }}
  labels:
    {{- include "shared.labels" (dict "root" .root "app" (printf "noetl-%s" .name)) | nindent 4 }}
type: Opaque
data:
  {{- range $key, $value := .env.credentials }}
  {{ $key }}: {{ $value | b64enc }}
  {{- end }}
{{- end }}
