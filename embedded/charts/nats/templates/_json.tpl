{{/*
Merge and patch, which nats/nats offers for every object; input: doc (YAML text), by (map with `merge`, `patch`).
Output: YAML.
*/}}
{{- define "nats.finish" -}}
{{- $doc := mergeOverwrite (fromYaml .doc) (deepCopy (.by.merge | default dict)) -}}
{{- range $each := .by.patch -}}
{{- $step := $each -}}
{{- if eq $each.op "copy" -}}
{{- $step = dict "op" "add" "path" $each.path "value" (include "nats.at" (dict "node" $doc "pointer" $each.from) | fromJson).node -}}
{{- end -}}
{{- $pointer := $step.path | default "" -}}
{{- $tokens := list -}}
{{- range $token := splitList "/" $pointer | rest -}}
{{- $tokens = append $tokens ($token | replace "~1" "/" | replace "~0" "~") -}}
{{- end -}}
{{- $doc = (include "nats.patch" (dict "node" $doc "tokens" $tokens "step" $step) | fromJson).node -}}
{{- end -}}
{{- toYaml $doc -}}
{{- end }}

{{/* What a pointer leads to; input: node, pointer. Output: JSON {node: ...}. */}}
{{- define "nats.at" -}}
{{- $node := .node -}}
{{- range $token := splitList "/" .pointer | rest -}}
{{- $node = kindIs "slice" $node | ternary (index (append (kindIs "slice" $node | ternary $node list) nil) (regexMatch "^[0-9]+$" $token | ternary (atoi $token) 0)) (get (kindIs "map" $node | ternary $node dict) $token) -}}
{{- end -}}
{{- dict "node" $node | toJson -}}
{{- end }}

{{/*
One step of a JSON patch (RFC 6902: add, replace, remove; copy above); input: node, tokens (path below it), step.
Output: JSON {node: ...}.
*/}}
{{- define "nats.patch" -}}
{{- $node := .node -}}
{{- $step := .step -}}
{{- if not (has $step.op (list "add" "replace" "remove")) -}}
{{- fail (printf "patch: this stand-in knows add, replace, remove and copy, not %v" $step.op) -}}
{{- end -}}
{{- if not .tokens -}}
{{- $node = $step.value -}}
{{- else -}}
{{- $key := first .tokens -}}
{{- $tokens := rest .tokens -}}
{{- $here := not $tokens -}}
{{- $missing := printf "patch: %s %s: there is no %q" $step.op $step.path $key -}}
{{- if kindIs "map" $node -}}
{{- if not (or (hasKey $node $key) (and $here (eq $step.op "add"))) -}}{{- fail $missing -}}{{- end -}}
{{- if and $here (eq $step.op "remove") -}}
{{- $node = omit $node $key -}}
{{- else -}}
{{- $node = set $node $key (include "nats.patch" (dict "node" (get $node $key) "tokens" $tokens "step" $step) | fromJson).node -}}
{{- end -}}
{{- else if kindIs "slice" $node -}}
{{- $adds := and $here (eq $step.op "add") -}}
{{- $at := eq $key "-" | ternary (len $node) (atoi $key) -}}
{{- if or (lt $at 0) (gt $at (len $node)) (and (not $adds) (eq $at (len $node))) (and (ne $key "-") (ne $key (toString $at))) -}}{{- fail $missing -}}{{- end -}}
{{- $before := slice $node 0 $at -}}
{{- $after := slice $node ($adds | ternary $at (add1 $at | int)) -}}
{{- if and $here (eq $step.op "remove") -}}
{{- $node = concat $before $after -}}
{{- else -}}
{{- $old := $adds | ternary nil (index (append $node nil) $at) -}}
{{- $new := (include "nats.patch" (dict "node" $old "tokens" $tokens "step" $step) | fromJson).node -}}
{{- $node = concat (append $before $new) $after -}}
{{- end -}}
{{- else -}}
{{- fail $missing -}}
{{- end -}}
{{- end -}}
{{- dict "node" $node | toJson -}}
{{- end }}

{{/*
Text of nats.conf: pretty JSON, in which a string `<< x >>` stands as x and a key that ends in $include as an include
directive; input: value, indent.
*/}}
{{- define "nats.conf" -}}
{{- $value := .value -}}
{{- $inner := printf "%s  " .indent -}}
{{- if and (kindIs "map" $value) $value -}}
{
{{- $keys := keys $value | sortAlpha -}}
{{- range $i, $key := $keys }}
{{ $inner }}
{{- if hasSuffix "$include" $key -}}
include {{ get $value $key }};
{{- else -}}
{{ toRawJson $key }}: {{ include "nats.conf" (dict "value" (get $value $key) "indent" $inner) }}
{{- if ne (add1 $i | int) (len $keys) }},{{ end }}
{{- end -}}
{{- end }}
{{ .indent }}}
{{- else if and (kindIs "slice" $value) $value -}}
[
{{- range $i, $item := $value }}
{{ $inner }}{{ include "nats.conf" (dict "value" $item "indent" $inner) }}
{{- if ne (add1 $i | int) (len $value) }},{{ end }}
{{- end }}
{{ .indent }}]
{{- else if and (kindIs "string" $value) (regexMatch "^<<\\s+.*\\s+>>$" $value) -}}
{{ regexReplaceAll "^<<\\s+(.*?)\\s+>>$" $value "${1}" }}
{{- else -}}
{{ toRawJson $value }}
{{- end -}}
{{- end }}
