{{- define "nats.labels" }}
app.kubernetes.io/name: nats
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: nats
{{- end }}

{{- /* The parent's templates/nats.yaml asks for it: what a subchart is not shown (its own values are all) comes with it.
       dict Values, Release, accounts: text of accounts.conf, durability */}}
{{- define "nats.objects" -}}
{{- $name := printf "%s-nats" .Release.Name }}
{{- $secret := default (printf "%s-parley-secrets" .Release.Name) .Values.existingSecret }}
{{- $config := include "nats.config" . }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
data:
  nats.conf: |
    {{- $config | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
spec:
  ipFamilyPolicy: {{ .Values.global.ipFamilyPolicy }}
  selector: {{- include "nats.labels" . | indent 4 }}
  ports:
    - {name: nats, port: 4222, targetPort: 4222}
---
# Names of the single servers: clients have all of them, and leave one that is cut off
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}-peers
  labels: {{- include "nats.labels" . | indent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ipFamilyPolicy: {{ .Values.global.ipFamilyPolicy }}
  selector: {{- include "nats.labels" . | indent 4 }}
  ports:
    - {name: nats, port: 4222, targetPort: 4222}
    - {name: routes, port: 6222, targetPort: 6222}
    - {name: monitor, port: 8222, targetPort: 8222}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
automountServiceAccountToken: false
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "nats.labels" . | indent 6 }}
{{- if .Values.global.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "nats.labels" . | indent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: 4222}]
      from: [{podSelector: {matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}}}}]
    - ports: [{port: 6222}]
      from:
        - podSelector:
            matchLabels: {{- include "nats.labels" . | indent 14 }}
  egress:
    # Its own, should the release's other policies be left out: without names the servers do not find each other
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}] # OpenShift's listens there
    - ports: [{port: 6222}]
      to:
        - podSelector:
            matchLabels: {{- include "nats.labels" . | indent 14 }}
{{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels: {{- include "nats.labels" . | indent 4 }}
spec:
  serviceName: {{ $name }}-peers
  replicas: {{ .Values.replicas }}
  podManagementPolicy: Parallel
  selector:
    matchLabels: {{- include "nats.labels" . | indent 6 }}
  template:
    metadata:
      labels: {{- include "nats.labels" . | indent 8 }}
      annotations:
        # Files of a subPath are those of the pod's begin, and nats-server reads them then
        parley/config: {{ printf "%s%s" $config .accounts | sha256sum | trunc 16 }}
        # But for the password between servers: one at a time would find none that takes it (docs/operations.md, Rotating secrets)
        parley/secret-version: {{ toJson (omit (include "parley.secretData" (dict "root" . "secret" $secret) | fromJson) "nats-routes-password") | sha256sum | trunc 16 }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext: {{- toYaml .Values.podSecurityContext | nindent 8 }}
      {{- with include "parley.pullSecrets" . }}{{ . | nindent 6 }}{{ end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "nats.labels" . | indent 14 }}
      containers:
        - name: nats
          image: {{ .Values.image }}
          imagePullPolicy: {{ .Values.pullPolicy }}
          args: [-c, /etc/nats/nats.conf]
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          env:
            - name: POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            {{- range $user := list "gateway" "history" "presence" "upload" "setup" "scanner" "integration" "operator" "system" "routes" }}
            - name: NATS_{{ upper $user }}_PASSWORD
              valueFrom: {secretKeyRef: {name: {{ $secret }}, key: nats-{{ $user }}-password}}
            {{- end }}
            # nats-server puts no variable into a text, Kubernetes does
            {{- range $i := until (int .Values.replicas) }}
            - {name: NATS_ROUTE_{{ $i }}, value: "nats://routes:$(NATS_ROUTES_PASSWORD)@{{ $name }}-{{ $i }}.{{ $name }}-peers:6222"}
            {{- end }}
          ports:
            - {name: nats, containerPort: 4222}
            - {name: routes, containerPort: 6222}
            - {name: monitor, containerPort: 8222}
          # In full: a server is there when its copies are whole, and the next one is restarted only then
          startupProbe:
            httpGet: {path: /healthz, port: monitor}
            periodSeconds: 2
            timeoutSeconds: 4
            failureThreshold: {{ ceil (divf .Values.startupSeconds 2) }}
          readinessProbe:
            httpGet: {path: "/healthz?js-server-only=true", port: monitor}
            periodSeconds: 5
            timeoutSeconds: 4
          livenessProbe:
            httpGet: {path: "/healthz?js-enabled-only=true", port: monitor}
            periodSeconds: 15
            timeoutSeconds: 8
          # Hands its leaderships over and sends clients to the others first; TERM behind it is then not heard
          lifecycle: {preStop: {exec: {command: [nats-server, --signal, ldm=/run/nats/nats.pid]}}}
          resources: {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts:
            - {name: config, mountPath: /etc/nats/nats.conf, subPath: nats.conf, readOnly: true}
            - {name: accounts, mountPath: /etc/nats/accounts.conf, subPath: accounts.conf, readOnly: true}
            - {name: data, mountPath: /data}
            - {name: run, mountPath: /run/nats}
      volumes:
        - name: config
          configMap: {name: {{ $name }}}
        - name: accounts
          configMap: {name: {{ .Release.Name }}-nats-accounts}
        - name: run
          emptyDir: {sizeLimit: 1Mi}
  # What it holds stays when the release is removed
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  volumeClaimTemplates:
    - metadata: {name: data, labels: {app.kubernetes.io/instance: {{ .Release.Name }}}}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .Values.storage.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .Values.storage.size }}}}
{{- end -}}
