{{- define "nats.config" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: "/run/nats/nats.pid"
ping_interval: "{{ .Values.pingInterval }}"
ping_max: 2
max_payload: {{ .Values.maxPayload }}
max_pending: 64MB
max_subscriptions: 0
lame_duck_grace_period: "2s"
lame_duck_duration: "30s"
jetstream {
  store_dir: "/data"
  max_file_store: {{ .Values.storage.maxFileStore }}
  max_memory_store: 64MB
  # In quotes: a bare 2m is two million seconds
  sync_interval: "{{ ternary "always" .Values.syncInterval (eq .durability "strict") }}"
}
{{- if gt (int .Values.replicas) 1 }}
cluster {
  name: {{ .Release.Name }}
  listen: "0.0.0.0:6222"
  authorization { user: routes, password: $NATS_ROUTES_PASSWORD, timeout: 5 }
  routes: [
    {{- range $i := until (int .Values.replicas) }}
    $NATS_ROUTE_{{ $i }}
    {{- end }}
  ]
  connect_retries: 120
}
{{- end }}
include "accounts.conf"
{{- end -}}
