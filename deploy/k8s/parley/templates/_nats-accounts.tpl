{{/* Users of NATS and what each may do: tests/chart tries it on a nats-server, docs/subjects.md says it in words. Wildcards stand for whole
     tokens only, so streams are named one by one. Answers go to _INBOX.<who asked>.<who answers>. (lib/bus/names.c): each hears its own, and writes
     only what it is asked for; JetStream's come from the server, so nobody may write those. `allow_responses` would do the same at the price of an
     entry for every message with a reply subject, those of the log among them. */}}
{{- define "parley.js" -}}
{{- /* list of calls, list of streams -> subjects of JetStream's API */ -}}
{{- $out := list -}}
{{- range $stream := .streams -}}{{- range $call := $.calls -}}
{{- $out = append $out (printf "$JS.API.%s.%s" (trimSuffix ".>" $call) $stream) -}}
{{- if hasSuffix ".>" $call -}}{{- $out = append $out (printf "$JS.API.%s.%s.>" (trimSuffix ".>" $call) $stream) -}}{{- end -}}
{{- end -}}{{- end -}}
{{- toJson $out -}}
{{- end -}}

{{- define "parley.natsUsers" -}}
{{- $logs := list -}}{{- $live := list -}}
{{- range $p := until (int .Values.shards) -}}{{- $logs = append $logs (printf "CHAT_%d" $p) -}}{{- $live = append $live (printf "live.%d.>" $p) -}}{{- end -}}
{{- $info := list "STREAM.INFO" -}}
{{- $get := list "STREAM.INFO" "STREAM.MSG.GET" -}}
{{- $read := list "STREAM.INFO" "STREAM.MSG.GET" "CONSUMER.CREATE.>" "CONSUMER.MSG.NEXT.>" "CONSUMER.DELETE.>" -}}
{{- $log := list "STREAM.INFO" "STREAM.MSG.GET" "DIRECT.GET.>" -}}
{{- $users := list
  (dict "name" "gateway"
    "publish" (concat (list "chat.>" "digest.>" "typing.>" "gateway.alive" "presence.gw.>" "rpc.>" "_INBOX.history.gateway.>" "$JS.API.INFO")
      (include "parley.js" (dict "calls" $log "streams" $logs) | fromJsonArray)
      (include "parley.js" (dict "calls" $read "streams" (list "KV_MEMBERS" "KV_CHANNELS")) | fromJsonArray)
      (include "parley.js" (dict "calls" (list "STREAM.MSG.GET") "streams" (list "KV_PRESENCE")) | fromJsonArray))
    "subscribe" (list "live.>" "digest.>" "typing.>" "gateway.membership" "presence.>" "_INBOX.gateway.>"))
  (dict "name" "history"
    "publish" (concat (list "chat.>" "live.user.>" "digest.>" "dlq.>" "gateway.membership" "rpc.upload.>" "_INBOX.gateway.history.>" "_INBOX.upload.history.>" "$KV.MEMBERS.>" "$KV.CHANNELS.>" "$JS.API.INFO")
      (include "parley.js" (dict "calls" (concat $log $read (list "STREAM.MSG.DELETE" "STREAM.PURGE") | uniq) "streams" $logs) | fromJsonArray)
      (include "parley.js" (dict "calls" $read "streams" (list "KV_MEMBERS" "KV_CHANNELS")) | fromJsonArray)
      (include "parley.js" (dict "calls" $info "streams" (list "SYSTEM" "KV_PRESENCE")) | fromJsonArray))
    "subscribe" (list "rpc.history.>" "gateway.alive" "_INBOX.history.>"))
  (dict "name" "presence"
    "publish" (concat (list "presence.>" "_INBOX.gateway.presence.>" "_INBOX.integration.presence.>" "$KV.PRESENCE.>" "$JS.API.INFO")
      (include "parley.js" (dict "calls" $read "streams" (list "KV_MEMBERS" "KV_CHANNELS" "KV_PRESENCE")) | fromJsonArray))
    "subscribe" (list "presence.>" "gateway.alive" "rpc.presence.>" "_INBOX.presence.>"))
  (dict "name" "upload"
    "publish" (concat (list "upload.completed" "dlq.upload" "rpc.history.files" "_INBOX.history.upload.>" "$KV.UPLOADS.>" "$KV.FILES.>" "$JS.API.INFO")
      (include "parley.js" (dict "calls" $read "streams" (list "KV_UPLOADS" "KV_FILES")) | fromJsonArray)
      (include "parley.js" (dict "calls" (list "STREAM.PURGE") "streams" (list "KV_UPLOADS" "KV_FILES")) | fromJsonArray)
      (include "parley.js" (dict "calls" $get "streams" (list "KV_MEMBERS" "KV_CHANNELS")) | fromJsonArray))
    "subscribe" (list "rpc.upload.>" "_INBOX.upload.>"))
  (dict "name" "setup"
    "publish" (concat (list "$JS.API.INFO" "$JS.API.STREAM.INFO.*" "$JS.API.STREAM.CREATE.*" "$JS.API.STREAM.UPDATE.*")
      (include "parley.js" (dict "calls" (list "STREAM.PURGE") "streams" $logs) | fromJsonArray))
    "subscribe" (list "_INBOX.setup.>"))
  (dict "name" "scanner"
    "publish" (concat (include "parley.js" (dict "calls" (list "CONSUMER.INFO" "CONSUMER.MSG.NEXT" "CONSUMER.DURABLE.CREATE") "streams" (list "SYSTEM.scanner")) | fromJsonArray)
      (list "$JS.API.CONSUMER.CREATE.SYSTEM.scanner.upload.completed" "$JS.ACK.SYSTEM.scanner.>"))
    "subscribe" (list "_INBOX.scanner.>"))
  (dict "name" "operator"
    "publish" (list "$JS.API.>" "$JS.SNAPSHOT.>" "$JS.ACK.>")
    "subscribe" (list "_INBOX.>" "$JS.EVENT.>"))
  (dict "name" "integration"
    "publish" (list "rpc.presence.query")
    "subscribe" (concat $live (list "presence.user.>" "presence.changes" "upload.completed" "_INBOX.integration.>")))
-}}
{{- range $users }}
      {
        user: {{ .name }}, password: $NATS_{{ upper .name }}_PASSWORD
        permissions: {
          publish: {{ if .publish }}{ allow: {{ toRawJson .publish }} }{{ else }}{ deny: ">" }{{ end }}
          subscribe: { allow: {{ toRawJson .subscribe }} }
        }
      }
{{- end }}
{{- with .Values.bus.accounts.extraUsers }}
{{ . | indent 6 }}
{{- end }}
{{- end -}}

{{/* accounts.conf */}}
{{- define "parley.accounts" -}}
accounts {
  PARLEY {
    jetstream: enabled
    users: [
      {{- include "parley.natsUsers" . | nindent 4 }}
    ]
  }
  # For those who run the servers: `nats server report`, and nothing of what is in PARLEY
  SYS { users: [ { user: system, password: $NATS_SYSTEM_PASSWORD } ] }
}
system_account: SYS
{{- end -}}
