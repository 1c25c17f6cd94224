{{/* How many pods, or nothing where an autoscaler counts them from the beginning. A field that Helm had set and leaves out becomes 1, so where the
     autoscaler was switched on later the number stays in, as it is at the moment. An autoscaler leaves a Deployment alone that somebody scaled to none,
     as for a restore: that one begins anew, with the least, and the number stays in from then on. dict root, name */}}
{{- define "parley.replicas" -}}
{{- $v := .root.Values -}}
{{- $own := index $v .name -}}
{{- if $own.autoscaling.enabled -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace (printf "%s-%s" (include "parley.fullname" .root) .name) -}}
{{- $pods := dig "spec" "replicas" 1 (default dict $live) | int -}}
{{- if and $live (or (eq $pods 0) (ne "autoscaler" (dig "metadata" "annotations" "parley/counted-by" "" $live))) -}}
{{- min (max $pods (int $own.autoscaling.minReplicas)) (int $own.autoscaling.maxReplicas) -}}
{{- end -}}
{{- else if and (eq .name "upload") (eq $v.upload.store "volume") -}}1
{{- else -}}{{ int $own.replicas }}
{{- end -}}
{{- end -}}

{{/* One service: dict root, name */}}
{{- define "parley.deployment" -}}
{{- $v := .root.Values -}}
{{- $own := index $v .name -}}
{{- $config := include "parley.config" . | fromYaml -}}
{{- $ports := include "parley.ports" . | fromYaml -}}
{{- $drain := ternary "10000" (get $config "PARLEY_DRAIN_MS" | default "5000") (eq .name "web") | int -}}
{{- $volume := and (eq .name "upload") (eq $v.upload.store "volume") -}}
{{- $health := ternary "/" "/healthz" (eq .name "web") -}}
{{- $ready := ternary "/" "/readyz" (eq .name "web") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "parley.fullname" .root }}-{{ .name }}
  labels: {{- include "parley.labels" . | nindent 4 }}
  {{- $counted := include "parley.replicas" . }}
  {{- $about := deepCopy $v.secrets.reloadAnnotations }}
  {{- if not $counted }}{{ $_ := set $about "parley/counted-by" "autoscaler" }}{{ end }}
  {{- with $about }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $counted }}
  replicas: {{ . }}
  {{- end }}
  revisionHistoryLimit: 5
  {{- if $volume }}
  strategy: {type: Recreate} # its volume belongs to one pod
  {{- else }}
  # One at a time, and not before the new one has shown that it stays ready
  minReadySeconds: 5
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  {{- end }}
  selector:
    matchLabels: {{- include "parley.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "parley.labels" . | nindent 8 }}
      {{- $annotations := deepCopy $own.podAnnotations }}
      {{- if include "parley.secrets" . | fromYaml }}{{ $_ := set $annotations "parley/secret-version" (include "parley.secretVersion" .root) }}{{ end }}
      {{- with $annotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "parley.podBasics" . | nindent 6 }}
      # What is on its way, then the drain, then the rest of the stop
      terminationGracePeriodSeconds: {{ add $own.preStopSeconds (ceil (divf $drain 1000)) 15 }}
      {{- with include "parley.priorityClass" . }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- if $v.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- range $v.topologySpread.keys }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "parley.selector" $ | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      {{- range $key := list "nodeSelector" "tolerations" "affinity" }}
      {{- with index $own $key }}
      {{ $key }}: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "parley.image" . }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          securityContext: {{- include "parley.securityContext" . | nindent 12 }}
          env: {{- include "parley.env" (merge (dict "config" $config) .) | nindent 12 }}
          ports:
            - {name: {{ ternary "ws" "http" (eq .name "gateway") }}, containerPort: {{ $ports.main }}}
            {{- if include "parley.hasTls" . }}
            - {name: wss, containerPort: {{ $ports.tls }}}
            {{- end }}
            {{- if ne .name "web" }}
            - {name: admin, containerPort: {{ $ports.admin }}}
            {{- end }}
          startupProbe:
            httpGet: {path: {{ $health }}, port: {{ $ports.admin }}}
            periodSeconds: 1
            timeoutSeconds: 4
            failureThreshold: 60
          # Whether it can do its work now; what it waits for is in the answer
          readinessProbe:
            httpGet: {path: {{ $ready }}, port: {{ $ports.admin }}}
            periodSeconds: 2
            timeoutSeconds: 4
            failureThreshold: 2
          # Whether its loop turns: answered by that loop, and never by what others do
          livenessProbe:
            httpGet: {path: {{ $health }}, port: {{ $ports.admin }}}
            periodSeconds: 10
            timeoutSeconds: 8
            failureThreshold: 3
          {{- if $own.preStopSeconds }}
          lifecycle: {preStop: {sleep: {seconds: {{ $own.preStopSeconds }}}}}
          {{- end }}
          resources: {{- toYaml $own.resources | nindent 12 }}
          volumeMounts: {{- include "parley.volumeMounts" . | nindent 12 }}
            - {name: tmp, mountPath: /tmp}
            {{- if $volume }}
            - {name: files, mountPath: /var/lib/parley/upload}
            {{- end }}
      volumes: {{- include "parley.volumes" . | nindent 8 }}
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        {{- if $volume }}
        - name: files
          persistentVolumeClaim: {claimName: {{ default (printf "%s-upload" (include "parley.fullname" .root)) $v.upload.persistence.existingClaim }}}
        {{- end }}
{{- end -}}
