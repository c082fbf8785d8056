{{/*
Applies the `merge` and `patch` of a values entry to a document.
Input: dict "doc" map, "over" values entry. Output: YAML.
*/}}
{{- define "nats.customise" -}}
{{- $doc := mergeOverwrite (deepCopy .doc) (deepCopy (.over.merge | default dict)) }}
{{- range .over.patch | default list }}
  {{- if not (has .op (list "add" "remove" "replace")) }}
    {{- fail (printf "patch operation %v is not supported; allowed: add, remove, replace" .op) }}
  {{- end }}
  {{- if not (hasPrefix "/" .path) }}
    {{- fail (printf "patch path %v does not start with /" .path) }}
  {{- end }}
  {{- $args := dict "doc" $doc "tokens" (splitList "/" .path | rest) "op" .op "value" .value "path" .path }}
  {{- $doc = (include "nats.patch" $args | fromJson).doc }}
{{- end }}
{{- toYaml $doc }}
{{- end }}

{{/*
One operation of a JSON patch (RFC 6902), applied along the path by recursion.
Input: dict "doc" map or list, "tokens" rest of the path, "op", "value", "path" for messages. Output: JSON {"doc": ...}.
*/}}
{{- define "nats.patch" -}}
{{- $doc := .doc }}
{{- $token := first .tokens | replace "~1" "/" | replace "~0" "~" }}
{{- $deeper := rest .tokens }}
{{- if kindIs "slice" $doc }}
  {{- $length := len $doc }}
  {{- $adds := and (eq .op "add") (not $deeper) }}
  {{- $index := ternary $length (atoi $token) (and $adds (eq $token "-")) }}
  {{- if or (lt $index 0) (gt $index (ternary $length (sub $length 1 | int) $adds)) }}
    {{- fail (printf "patch path %s does not exist" .path) }}
  {{- end }}
  {{- $before := slice $doc 0 $index }}
  {{- $after := list }}
  {{- if lt $index $length }}
    {{- $after = slice $doc (ternary $index (add1 $index | int) $adds) }}
  {{- end }}
  {{- if $deeper }}
    {{- $child := include "nats.patch" (merge (dict "doc" (index $doc $index) "tokens" $deeper) (omit . "doc" "tokens")) | fromJson }}
    {{- $before = append $before $child.doc }}
  {{- else if ne .op "remove" }}
    {{- $before = append $before .value }}
  {{- end }}
  {{- $doc = concat $before $after }}
{{- else if kindIs "map" $doc }}
  {{- if and (not (hasKey $doc $token)) (or $deeper (ne .op "add")) }}
    {{- fail (printf "patch path %s does not exist" .path) }}
  {{- end }}
  {{- if $deeper }}
    {{- $child := include "nats.patch" (merge (dict "doc" (index $doc $token) "tokens" $deeper) (omit . "doc" "tokens")) | fromJson }}
    {{- $_ := set $doc $token $child.doc }}
  {{- else if eq .op "remove" }}
    {{- $_ := unset $doc $token }}
  {{- else }}
    {{- $_ := set $doc $token .value }}
  {{- end }}
{{- else }}
  {{- fail (printf "patch path %s leads through a scalar" .path) }}
{{- end }}
{{- dict "doc" $doc | toJson }}
{{- end }}

{{/*
Labels. Input: dict "ctx" root, "component" nats or nats-box.
*/}}
{{- define "nats.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version | replace "+" "_" }}
{{ include "nats.selector" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
{{- end }}

{{- define "nats.selector" -}}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/*
Name of the release's objects: "nats" where the release is called that, else "<release>-nats".
*/}}
{{- define "nats.fullname" -}}
{{- contains "nats" .Release.Name | ternary .Release.Name (printf "%s-nats" .Release.Name) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nats.image" -}}
image: {{ .repository }}:{{ .tag }}
{{- with .pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/*
Entries of a container's env. Input: map variable -> text, or entry without its name.
*/}}
{{- define "nats.env" -}}
{{- range $name, $value := . }}
{{- if kindIs "map" $value }}
- {{ merge (dict "name" $name) $value | toYaml | nindent 2 | trim }}
{{- else if kindIs "string" $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- else }}
{{- fail (printf "env var %s must be string or map, got %s" $name (kindOf $value)) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Ports of a Service: those that the server listens on. Input: dict "ctx" root, "ports" map or nil (headless: every port).
*/}}
{{- define "nats.servicePorts" -}}
{{- range $name := list "nats" "cluster" "monitor" }}
{{- $listener := index $.ctx.Values.config $name }}
{{- $port := $.ports | default dict | dig $name dict }}
{{- if and (or (eq $name "nats") $listener.enabled) (or (not $.ports) $port.enabled) }}
{{- $defaults := dict "name" $name "port" $listener.port "targetPort" $name "appProtocol" (eq $name "monitor" | ternary "http" "tcp") }}
- {{ merge (omit $port "enabled") $defaults | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}
