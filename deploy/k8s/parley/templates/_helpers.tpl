{{/* Names. 40 bytes leave room for what is appended; longer ones are refused (parley.check), for two that are cut could be one. */}}
{{- define "parley.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name }}{{- end -}}
{{- end -}}

{{/* dict root, name */}}
{{- define "parley.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "parley.labels" -}}
{{ include "parley.selector" . }}
app.kubernetes.io/part-of: parley
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* dict root, name: of an image */}}
{{- define "parley.image" -}}
{{- $tag := default .root.Chart.AppVersion .root.Values.image.tag -}}
{{- if eq $tag "latest" -}}{{- fail "image.tag is latest: name a version, so that an upgrade and a rollback mean something" -}}{{- end -}}
{{- printf "%s-%s:%s" .root.Values.image.prefix .name $tag -}}
{{- with get .root.Values.image.digests .name }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The same name in the subcharts, which do not see the parent's values */}}
{{- define "parley.secretName" -}}
{{- default (printf "%s-parley-secrets" .Release.Name) .Values.secrets.existing -}}
{{- end -}}

{{- define "parley.natsUrl" -}}
{{- if .Values.bus.url -}}
{{- .Values.bus.url -}}
{{- else if .Values.nats.enabled -}}
{{- $scheme := "nats" -}}
{{- $urls := list -}}
{{- range $i := until (int .Values.nats.replicas) -}}
{{- $urls = append $urls (printf "%s://%s-nats-%d.%s-nats-peers:4222" $scheme $.Release.Name $i $.Release.Name) -}}
{{- end -}}
{{- join "," $urls -}}
{{- else -}}
{{- fail "bus.url is empty: name the servers of NATS, or set nats.enabled for a trial" -}}
{{- end -}}
{{- end -}}

{{/* A list of addresses -> their ports, as JSON: what a NetworkPolicy has to let through */}}
{{- define "parley.portsOf" -}}
{{- $ports := list -}}
{{- range . -}}
{{- $scheme := regexFind "^[a-z+]+://" . -}}
{{- $host := regexReplaceAll "[/?#].*$" (trimPrefix $scheme .) "" -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
{{- $ports = append $ports (int (default (get (dict "http://" "80" "https://" "443") $scheme | default "4222") $port)) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* What a release cannot do without, said before anything is made */}}
{{- define "parley.check" -}}
{{- if gt (len (include "parley.fullname" .)) 40 -}}{{- fail (printf "the name %s is longer than 40 letters: set fullnameOverride" (include "parley.fullname" .)) -}}{{- end -}}
{{- if and (or .Values.nats.enabled .Values.postgresql.enabled) (gt (len .Release.Name) 41) -}}{{- fail (printf "the release name %s is longer than 41 letters, and what NATS and PostgreSQL of the trial are called would be too long" .Release.Name) -}}{{- end -}}
{{- if not (or .Values.auth.tokenSecret .Values.auth.jwksUrl) -}}{{- fail "nobody could sign in: set auth.tokenSecret or auth.jwksUrl" -}}{{- end -}}
{{- if contains "@" .Values.bus.url -}}{{- fail "bus.url holds a user or a password, which everybody could read in the pods: the services show their own, from the Secret (bus.auth)" -}}{{- end -}}
{{- if and .Values.bus.tls.enabled (not .Values.bus.tls.caSecret) -}}{{- fail "bus.tls.enabled needs bus.tls.caSecret" -}}{{- end -}}
{{- if and .Values.database.tls.enabled (not .Values.database.tls.caSecret) -}}{{- fail "database.tls.enabled needs database.tls.caSecret" -}}{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}{{- fail "ingress.enabled needs ingress.host: without a name it would take what comes for all others" -}}{{- end -}}
{{- if and .Values.gatewayApi.enabled (not .Values.gatewayApi.hostnames) -}}{{- fail "gatewayApi.enabled needs gatewayApi.hostnames: without a name it would take what comes for all others" -}}{{- end -}}
{{- if and .Values.gatewayApi.enabled (not .Values.gatewayApi.parentRefs) -}}{{- fail "gatewayApi.enabled needs gatewayApi.parentRefs" -}}{{- end -}}
{{- if and .Values.nats.enabled (gt (int .Values.bus.replicas) (int .Values.nats.replicas)) -}}{{- fail (printf "bus.replicas is %d but there are %d servers of NATS" (int .Values.bus.replicas) (int .Values.nats.replicas)) -}}{{- end -}}
{{- if and (eq .Values.durability "strict") (not .Values.nats.enabled) -}}{{- fail "durability: strict is for the chart's own NATS: yours has sync_interval: always in the jetstream block of its configuration for that, which nobody here can see" -}}{{- end -}}
{{- if .Values.nats.enabled -}}
{{- if .Values.bus.url -}}{{- fail "bus.url and nats.enabled exclude each other: the policies let the services reach the chart's own NATS alone" -}}{{- end -}}
{{- if .Values.bus.tls.enabled -}}{{- fail "bus.tls.enabled: the chart's own NATS (nats.enabled) speaks no TLS" -}}{{- end -}}
{{- if not (and .Values.bus.auth .Values.bus.accounts.create) -}}{{- fail "nats.enabled needs bus.auth and bus.accounts.create: the chart's own NATS has these users and lets nobody else in" -}}{{- end -}}
{{- end -}}
{{- if and .Values.postgresql.enabled .Values.database.tls.enabled -}}{{- fail "database.tls.enabled: the chart's own PostgreSQL (postgresql.enabled) speaks no TLS" -}}{{- end -}}
{{- range $sub := list "nats" "postgresql" -}}
{{- if and (index $.Values $sub).enabled (ne (default "" (index $.Values $sub).existingSecret) $.Values.secrets.existing) -}}{{- fail (printf "%s.existingSecret has to be the same as secrets.existing" $sub) -}}{{- end -}}
{{- end -}}
{{- if and (eq .Values.upload.store "s3") (not (and .Values.objectStore.endpoint .Values.objectStore.bucket)) -}}{{- fail "upload.store: s3 needs objectStore.endpoint and objectStore.bucket" -}}{{- end -}}
{{- if and (eq .Values.upload.store "volume") .Values.upload.autoscaling.enabled -}}{{- fail "upload.autoscaling needs upload.store: s3, a volume belongs to one pod" -}}{{- end -}}
{{- end -}}

{{/* What the Secret holds, as JSON; where it can be seen, and is not just what the Job make-secrets put there (check.py leaves a hash): a first
     installation is rendered before that, and the upgrade behind it would replace every pod for nothing. dict root, secret */}}
{{- define "parley.secretData" -}}
{{- $secret := default dict (lookup "v1" "Secret" .root.Release.Namespace .secret) -}}
{{- $data := dig "data" dict $secret -}}
{{- if eq (dig "metadata" "annotations" "parley/made" "" $secret) (toJson (omit $data "nats-routes-password") | sha256sum) -}}{{- $data = dict -}}{{- end -}}
{{- toJson $data -}}
{{- end -}}

{{/* Changes with the Secret */}}
{{- define "parley.secretVersion" -}}
{{- printf "%s %s" .Values.secrets.version (include "parley.secretData" (dict "root" . "secret" (include "parley.secretName" .))) | sha256sum | trunc 16 -}}
{{- end -}}

{{- define "parley.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* dict root, name: what every pod of ours has in common */}}
{{- define "parley.podBasics" -}}
serviceAccountName: {{ include "parley.fullname" .root }}-{{ .name }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with include "parley.pullSecrets" .root }}{{ . | nindent 0 }}{{ end }}
{{- end -}}

{{/* Of every pod, those of the subcharts too: they see what is global */}}
{{- define "parley.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets -}}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* It is the cluster's, so two releases of one name in two namespaces need two. dict root, class */}}
{{- define "parley.className" -}}
{{ .root.Release.Namespace }}-{{ include "parley.fullname" .root }}-{{ .class }}
{{- end -}}

{{- define "parley.priorityClass" -}}
{{- $own := (index .root.Values .name).priorityClassName -}}
{{- if $own -}}{{ $own }}
{{- else if .root.Values.priorityClasses.create -}}
{{ include "parley.className" (dict "root" .root "class" (ternary "core" "side" (has .name (list "gateway" "history")))) }}
{{- end -}}
{{- end -}}

{{/* Servers of its own that are not there yet are part of what a hook would keep waiting: then it is a Job among the rest, and the services
     wait for it. Also when an installation failed half way, or most of them are not ready: what mends them may stand behind the hook. */}}
{{- define "parley.setupIsHook" -}}
{{- $hook := "yes" }}
{{- range $sub := list "nats" "postgresql" -}}
{{- if (index $.Values $sub).enabled -}}
{{- $there := lookup "apps/v1" "StatefulSet" $.Release.Namespace (printf "%s-%s" $.Release.Name $sub) | default dict -}}
{{- if le (mul 2 (dig "status" "readyReplicas" 0 $there)) (dig "spec" "replicas" 1 $there | int64) -}}{{- $hook = "" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $hook -}}
{{- end -}}

{{/* Where Jobs and the pod of helm test may run */}}
{{- define "parley.jobPlace" -}}
{{- with .Values.jobs.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.jobs.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
