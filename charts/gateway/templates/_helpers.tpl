{{/*
Sorted environment of the gateway (see shared.sortEnv): extraEnv, overridden by what has a key of its own under `env`.
Settings that are empty are left to the gateway's own default.
*/}}
{{- define "gateway.env" -}}
{{- $env := deepCopy .Values.extraEnv -}}
{{- range $name, $key := dict
  "ROUTER_PORT" "routerPort"
  "NOETL_BASE_URL" "noetlBaseUrl"
  "RUST_LOG" "rustLog"
  "CORS_ALLOWED_ORIGINS" "corsAllowedOrigins"
  "CORS_ALLOW_CREDENTIALS" "corsAllowCredentials"
  "NATS_URL" "natsUrl"
  "NATS_UPDATES_SUBJECT_PREFIX" "natsUpdatesSubjectPrefix"
  "NATS_CALLBACK_SUBJECT_PREFIX" "natsCallbackSubjectPrefix"
  "NATS_SESSION_BUCKET" "natsSessionBucket"
  "NATS_SESSION_CACHE_TTL_SECS" "natsSessionCacheTtlSecs"
  "NATS_REQUEST_BUCKET" "natsRequestBucket"
  "NATS_REQUEST_TTL_SECS" "natsRequestTtlSecs"
  "GATEWAY_PUBLIC_URL" "publicUrl"
  "GATEWAY_AUTH_BYPASS" "authBypass"
-}}
{{- $value := get $.Values.env $key -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) -}}
{{- $_ := set $env $name $value -}}
{{- end -}}
{{- end -}}
{{- if .Values.natsCa -}}
{{- $_ := set $env "NATS_CA_FILE" "/opt/gateway-scripts/nats-ca.crt" -}}
{{- end -}}
{{- include "shared.sortEnv" (dict "env" $env "variables" .Values.secrets.variables) -}}
{{- end }}
