{{/* What each service is told: dict root, name -> a YAML map of environment variables */}}
{{- define "parley.config" -}}
{{- $v := .root.Values -}}
{{- $own := index $v .name -}}
{{- $c := dict -}}
{{- if eq .name "web" -}}
{{- range $s, $port := omit (include "parley.allPorts" . | fromYaml) "web" -}}
{{- $_ := set $c (printf "PARLEY_EDGE_%s" (upper $s)) (printf "%s-%s:%d" (include "parley.fullname" $.root) $s (int $port)) -}}
{{- end -}}
{{- $_ := set $c "PARLEY_EDGE_LISTEN" (printf ":%d" (get (include "parley.allPorts" . | fromYaml) "web" | int)) -}}
{{- with $v.trustedProxies }}{{ $_ := set $c "PARLEY_EDGE_TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- if eq $v.upload.store "s3" -}}{{- $_ := set $c "PARLEY_EDGE_FILES_ORIGIN" (include "parley.filesOrigin" .root) -}}{{- end -}}
{{- else -}}
{{- $port := get (include "parley.ports" . | fromYaml) "main" | int -}}
{{- $_ := set $c "PARLEY_LISTEN" (printf ":%d" $port) -}}
{{- $_ := set $c "PARLEY_ADMIN_LISTEN" (printf ":%d" (add $port 1000)) -}}
{{- $c = merge $c (include "parley.config.bus" . | fromYaml) -}}
{{- with $v.trustedProxies }}{{ $_ := set $c "PARLEY_TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- with $v.auth.issuer }}{{ $_ := set $c "PARLEY_TOKEN_ISSUER" . }}{{ end -}}
{{- with $v.auth.audience }}{{ $_ := set $c "PARLEY_TOKEN_AUDIENCE" . }}{{ end -}}
{{- with $v.auth.jwksUrl }}{{ $_ := set $c "PARLEY_TOKEN_JWKS_URL" . }}{{ end -}}
{{- if has .name (list "gateway" "history") -}}{{- $_ := set $c "PARLEY_SHARDS" ($v.shards | int | toString) -}}{{- end -}}
{{- if has .name (list "gateway" "history") -}}{{- $_ := set $c "PARLEY_DEDUPE_WINDOW_MS" ($v.bus.dedupeWindowMs | int64 | toString) -}}{{- end -}}
{{- if eq .name "history" -}}
{{- $c = merge $c (include "parley.config.streams" . | fromYaml) -}}
{{- $_ := set $c "PARLEY_DEMO_SIGNIN" (ternary "on" "off" $v.auth.demoSignin) -}}
{{- end -}}
{{- if has .name (list "history" "upload") -}}
{{- $_ := set $c "PARLEY_STREAM_REPLICAS" ($v.bus.replicas | int | toString) -}}
{{- $_ := set $c "PARLEY_PROVISION" (ternary "off" "on" $v.setup.enabled) -}}
{{- end -}}
{{- if include "parley.hasTls" . -}}
{{- $_ := set $c "PARLEY_TLS_LISTEN" (printf ":%d" (get (include "parley.ports" . | fromYaml) "tls" | int)) -}}
{{- $_ := set $c "PARLEY_TLS_CERT_FILE" "/run/secrets/tls/tls.crt" -}}
{{- $_ := set $c "PARLEY_TLS_KEY_FILE" "/run/secrets/tls/tls.key" -}}
{{- end -}}
{{- if and (eq .name "upload") (eq $v.upload.store "volume") -}}{{- $_ := set $c "PARLEY_UPLOAD_DIR" "/var/lib/parley/upload" -}}{{- end -}}
{{- if and (eq .name "upload") (eq $v.upload.store "s3") -}}{{- $c = merge $c (include "parley.config.s3" . | fromYaml) -}}{{- end -}}
{{- end -}}
{{- if ne .name "web" -}}{{- $c = mergeOverwrite $c (deepCopy $v.config) -}}{{- end -}}
{{- $c = mergeOverwrite $c (deepCopy $own.config) -}}
{{- toYaml $c -}}
{{- end -}}

{{- define "parley.config.bus" -}}
{{- $v := .root.Values -}}
PARLEY_NATS_URL: {{ include "parley.natsUrl" .root | quote }}
{{- if $v.bus.auth }}
PARLEY_NATS_USER: {{ .name }}
{{- end }}
{{- if $v.bus.tls.enabled }}
PARLEY_NATS_TLS_CA: /etc/parley/ca/nats/{{ $v.bus.tls.caKey }}
{{- end }}
{{- end -}}

{{- define "parley.config.s3" -}}
{{- $s3 := .root.Values.objectStore -}}
PARLEY_UPLOAD_STORE: s3
PARLEY_S3_ENDPOINT: {{ $s3.endpoint }}
{{- with $s3.publicEndpoint }}
PARLEY_S3_PUBLIC_ENDPOINT: {{ . }}
{{- end }}
PARLEY_S3_REGION: {{ $s3.region }}
PARLEY_S3_BUCKET: {{ $s3.bucket }}
{{- with $s3.prefix }}
PARLEY_S3_PREFIX: {{ . }}
{{- end }}
PARLEY_S3_PATH_STYLE: {{ ternary "on" "off" $s3.pathStyle | quote }}
{{- if $s3.tls.caSecret }}
PARLEY_S3_CA: /etc/parley/ca/s3/{{ $s3.tls.caKey }}
{{- end }}
{{- end -}}

{{/* What signed addresses begin with, as services/upload/s3_site.c makes them */}}
{{- define "parley.filesOrigin" -}}
{{- $s3 := .Values.objectStore -}}
{{- $at := $s3.publicEndpoint | default $s3.endpoint -}}
{{- if $s3.pathStyle }}{{ $at }}{{ else }}{{ replace "://" (printf "://%s." $s3.bucket) $at }}{{ end -}}
{{- end -}}

{{/* Of history and of the Job that makes streams: the same for both */}}
{{- define "parley.config.streams" -}}
{{- $v := .root.Values -}}
PARLEY_SHARDS: {{ $v.shards | int | quote }}
PARLEY_STREAM_REPLICAS: {{ $v.bus.replicas | int | quote }}
PARLEY_DEDUPE_WINDOW_MS: {{ $v.bus.dedupeWindowMs | int64 | quote }}
PARLEY_LOG_MAX_BYTES: {{ $v.bus.logMaxBytes | int64 | quote }}
PARLEY_LOG_KEEP_HOURS: {{ $v.bus.logKeepHours | int64 | quote }}
{{- if $v.database.tls.enabled }}
PGSSLMODE: verify-full
PGSSLROOTCERT: /etc/parley/ca/postgres/{{ $v.database.tls.caKey }}
{{- end }}
{{- end -}}

{{/* Where each takes requests: the one place for these */}}
{{- define "parley.allPorts" -}}
gateway: 8081
history: 8082
presence: 8083
upload: 8084
web: 8080
{{- end -}}

{{/* Of one: main, admin, and the gateway's with TLS */}}
{{- define "parley.ports" -}}
{{- $main := get (include "parley.allPorts" . | fromYaml) .name | int -}}
main: {{ $main }}
admin: {{ if eq .name "web" }}{{ $main }}{{ else }}{{ add $main 1000 }}{{ end }}
{{- if eq .name "gateway" }}
tls: 8443
{{- end }}
{{- end -}}

{{- define "parley.hasTls" -}}
{{- if and (eq .name "gateway") .root.Values.gateway.tls.existingSecret -}}yes{{- end -}}
{{- end -}}

{{/* Secrets: a YAML map of setting -> key of the Secret */}}
{{- define "parley.secrets" -}}
{{- $v := .root.Values -}}
{{- $c := dict -}}
{{- if has .name (list "gateway" "history" "presence" "upload") -}}
{{- if $v.auth.tokenSecret -}}{{- $_ := set $c "PARLEY_TOKEN_SECRET" "token-secret" -}}{{- end -}}
{{- if ne .name "presence" -}}{{- $_ := set $c "PARLEY_UPLOAD_SECRET" "upload-secret" -}}{{- end -}}
{{- end -}}
{{- if and $v.bus.auth (ne .name "web") -}}{{- $_ := set $c "PARLEY_NATS_PASSWORD" (printf "nats-%s-password" .name) -}}{{- end -}}
{{- if has .name (list "history" "setup") -}}{{- $_ := set $c "PARLEY_PG_URL" "pg-url" -}}{{- end -}}
{{- if and (eq .name "upload") (eq $v.upload.store "s3") -}}
{{- $_ := set $c "PARLEY_S3_ACCESS_KEY_ID" "s3-access-key-id" -}}
{{- $_ := set $c "PARLEY_S3_SECRET_ACCESS_KEY" "s3-secret-access-key" -}}
{{- if $v.objectStore.sessionToken -}}{{- $_ := set $c "PARLEY_S3_SESSION_TOKEN" "s3-session-token" -}}{{- end -}}
{{- end -}}
{{- toYaml $c -}}
{{- end -}}

{{/* dict root, name, config (a map): env of a container, secrets by file */}}
{{- define "parley.env" -}}
{{- range $key, $value := .config }}
- {name: {{ $key }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- range $setting, $key := include "parley.secrets" . | fromYaml }}
- {name: {{ $setting }}_FILE, value: /run/secrets/parley/{{ $key }}}
{{- end }}
{{- end -}}

{{- define "parley.hasS3Ca" -}}
{{- if and (eq .name "upload") (eq .root.Values.upload.store "s3") .root.Values.objectStore.tls.caSecret -}}yes{{- end -}}
{{- end -}}

{{- define "parley.hasCa" -}}
{{- $v := .root.Values -}}
{{- if or (include "parley.hasS3Ca" .) (and $v.bus.tls.enabled (ne .name "web")) (and $v.database.tls.enabled (has .name (list "history" "setup"))) -}}yes{{- end -}}
{{- end -}}

{{- define "parley.volumeMounts" -}}
{{- if include "parley.secrets" . | fromYaml }}
- {name: secrets, mountPath: /run/secrets/parley, readOnly: true}
{{- end }}
{{- if include "parley.hasCa" . }}
- {name: ca, mountPath: /etc/parley/ca, readOnly: true}
{{- end }}
{{- if include "parley.hasTls" . }}
- {name: tls, mountPath: /run/secrets/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Only the keys that this one needs */}}
{{- define "parley.volumes" -}}
{{- $v := .root.Values -}}
{{- with include "parley.secrets" . | fromYaml }}
- name: secrets
  secret:
    secretName: {{ include "parley.secretName" $.root }}
    defaultMode: 0440
    items:
      {{- range $key := values . | sortAlpha }}
      - {key: {{ $key }}, path: {{ $key }}}
      {{- end }}
{{- end }}
{{- if include "parley.hasTls" . }}
- name: tls
  secret:
    secretName: {{ $v.gateway.tls.existingSecret }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- if include "parley.hasCa" . }}
- name: ca
  projected:
    sources:
      {{- if $v.bus.tls.enabled }}
      - secret: {name: {{ $v.bus.tls.caSecret }}, items: [{key: {{ $v.bus.tls.caKey }}, path: nats/{{ $v.bus.tls.caKey }}}]}
      {{- end }}
      {{- if include "parley.hasS3Ca" . }}
      - secret: {name: {{ $v.objectStore.tls.caSecret }}, items: [{key: {{ $v.objectStore.tls.caKey }}, path: s3/{{ $v.objectStore.tls.caKey }}}]}
      {{- end }}
      {{- if and $v.database.tls.enabled (has .name (list "history" "setup")) }}
      - secret: {name: {{ $v.database.tls.caSecret }}, items: [{key: {{ $v.database.tls.caKey }}, path: postgres/{{ $v.database.tls.caKey }}}]}
      {{- end }}
{{- end }}
{{- end -}}
