{{/*
Templates that both charts use. charts/noetl/templates/_shared.tpl and charts/gateway/templates/_shared.tpl are the same
file, which a test checks: a chart must stand on its own, without a dependency that has to be fetched.
*/}}

{{/* Namespace of every object. */}}
{{- define "shared.namespace" -}}
{{ .Values.namespace | default .Release.Namespace }}
{{- end }}

{{/*
A scalar as text. Helm reads a number of a values file as a float and would print 1000000 as 1e+06; JSON does not.
*/}}
{{- define "shared.text" -}}
{{ kindIs "string" . | ternary . (toJson .) }}
{{- end }}

{{/* Labels of an object of the chart; input: root, app (what the upstream charts select by). */}}
{{- define "shared.labels" -}}
app: {{ .app }}
app.kubernetes.io/name: {{ .app }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: noetl
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Image and pull policy of a container. */}}
{{- define "shared.image" -}}
{{- $image := .Values.image -}}
image: {{ if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest | quote }}
{{- else -}}
{{ printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
{{- with $image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/*
Sorts a map of environment variables; input: env, variables (names that the user declares to hold a credential).
Output: JSON {plain: {...}, credentials: {...}} of texts. Null values and empty credentials are left out.
*/}}
{{- define "shared.sortEnv" -}}
{{- $plain := dict -}}
{{- $credentials := dict -}}
{{- range $name, $value := .env -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $text := include "shared.text" $value -}}
{{- $byName := regexMatch "(?i)^(NATS_URL|(.*_)?(PASSWORD|TOKEN|SECRET|KEY))$" $name -}}
{{- $byValue := regexMatch "://[^/@\\s]*:[^/@\\s]*@|PRIVATE KEY-----" $text -}}
{{- if or $byName $byValue (has $name $.variables) -}}
{{- if $text -}}{{- $_ := set $credentials $name $text -}}{{- end -}}
{{- else -}}
{{- $_ := set $plain $name $text -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "plain" $plain "credentials" $credentials | toJson -}}
{{- end }}

{{/*
What is wrong with a NATS URL, or nothing. Never quotes the URL. The clients take user and password as they stand, so a
percent-encoded one could not log in; input: key, url, many (whether a comma-separated list will do).
*/}}
{{- define "shared.natsUrlProblem" -}}
{{- $server := "(nats|tls|ws|wss)://([A-Za-z0-9._~-]+(:[A-Za-z0-9._~-]+)?@)?(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?" -}}
{{- $pattern := .many | ternary (printf "^%s( *, *%s)*$" $server $server) (printf "^%s$" $server) -}}
{{- if not (regexMatch $pattern (toString .url)) -}}
{{ .key }} is not a NATS URL the clients can use: nats://USER:PASSWORD@HOST:PORT, user and password of letters, digits and . _ ~ - only (they are not percent-decoded)
{{- if not .many }}, a single server{{ end }}
{{- end -}}
{{- end }}

{{/*
Security context of a pod under Pod Security `restricted`. The user is a number, because Kubernetes cannot tell from a name
that it is not root. No image needs to know it by name.
*/}}
{{- define "shared.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Security context of a container under Pod Security `restricted`. */}}
{{- define "shared.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ .Values.readOnlyRootFilesystem }}
capabilities:
  drop:
    - ALL
{{- end }}

{{/* Where a pod may run; input: the map that holds the four keys. */}}
{{- define "shared.scheduling" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $ $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A Deployment's strategy. Kubernetes wants whole numbers as numbers, and no rollingUpdate (which the defaults bring along)
beside Recreate.
*/}}
{{- define "shared.strategy" -}}
type: {{ .type }}
{{- if ne .type "Recreate" }}
rollingUpdate:
  {{- range $key, $value := .rollingUpdate }}
  {{- $text := include "shared.text" $value }}
  {{ $key }}: {{ $text | regexMatch "^[0-9]+$" | ternary $text (quote $text) }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Ports of a Service that leads to the container port `http`; input: name, service, targetPort. */}}
{{- define "shared.servicePort" -}}
- name: {{ .name }}
  port: {{ .service.port }}
  targetPort: {{ .targetPort | default "http" }}
  protocol: TCP
  {{- with .service.nodePort }}
  nodePort: {{ . }}
  {{- end }}
{{- end }}

{{/* True where a Service asks for a NodePort that its type does not have. */}}
{{- define "shared.nodePortWithoutType" -}}
{{- if and .nodePort (eq .type "ClusterIP") }}true{{ end -}}
{{- end }}

{{/* Ingress and managed certificate; input: root, name (of the Ingress and of the Service behind it). */}}
{{- define "shared.ingress" -}}
{{- $root := .root -}}
{{- $ingress := $root.Values.ingress -}}
{{- $annotations := deepCopy ($ingress.annotations | default dict) -}}
{{- $class := get $annotations "kubernetes.io/ingress.class" | default $ingress.className -}}
{{- $google := has $class (list "gce" "gce-internal") -}}
{{- if $google -}}
{{- $_ := set $annotations "kubernetes.io/ingress.class" $class -}}
{{- end -}}
{{- $managed := and $ingress.managedCertificate.enabled (eq $class "gce") -}}
{{- if $managed -}}
{{- $_ := set $annotations "networking.gke.io/managed-certificates" $ingress.managedCertificate.name -}}
apiVersion: networking.gke.io/v1
kind: ManagedCertificate
metadata:
  name: {{ $ingress.managedCertificate.name }}
  namespace: {{ include "shared.namespace" $root }}
  labels:
    {{- include "shared.labels" (dict "root" $root "app" .name) | nindent 4 }}
spec:
  domains:
    - {{ $ingress.host }}
---
{{ end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .name }}
  namespace: {{ include "shared.namespace" $root }}
  labels:
    {{- include "shared.labels" (dict "root" $root "app" .name) | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- range $key, $value := . }}
    {{ $key }}: {{ include "shared.text" $value | quote }}
    {{- end }}
  {{- end }}
spec:
  {{- if and $class (not (hasKey $annotations "kubernetes.io/ingress.class")) }}
  ingressClassName: {{ $class }}
  {{- end }}
  {{- if and $ingress.tls.enabled (or $ingress.tls.secretName (not $managed)) }}
  tls:
    - hosts:
        - {{ $ingress.host }}
      {{- with $ingress.tls.secretName }}
      secretName: {{ . }}
      {{- end }}
  {{- end }}
  rules:
    - host: {{ $ingress.host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ .name }}
                port:
                  number: {{ $root.Values.service.port }}
{{- end }}

{{/* Ends the rendering with every problem found; input: chart, problems. */}}
{{- define "shared.refuse" -}}
{{- with .problems -}}
{{- fail (printf "chart %s refuses these values:\n- %s" $.chart (join "\n- " .)) -}}
{{- end -}}
{{- end }}

{{/*
Lets a node be drained of one pod at a time; input: root, app, replicas. Of a single pod nothing is kept back: its node
could never be drained.
*/}}
{{- define "shared.disruptionBudget" -}}
{{- if gt (int .replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .app }}
  namespace: {{ include "shared.namespace" .root }}
  labels:
    {{- include "shared.labels" (dict "root" .root "app" .app) | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app: {{ .app }}
{{- end }}
{{- end }}
