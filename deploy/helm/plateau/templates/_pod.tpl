{{/* What Pod Security "restricted" asks for, and a root file system that nothing writes to. */}}
{{- define "plateau.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "plateau.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* A Deployment, from (list $ $it). */}}
{{- define "plateau.deployment" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $values := $root.Values -}}
{{- $own := index $values (include "plateau.valuesKey" $it.service) -}}
{{- $scaled := or (and (eq $it.service "flatness-scorer") $values.flatnessScorer.keda.enabled) (and (eq $it.service "serving") $values.serving.autoscaling.enabled) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $it.name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "plateau.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $it.service }}
spec:
  {{- if not $scaled }}
  replicas: {{ $it.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    {{- if eq $it.service "trainer" }}
    # The one that stands by takes over; a third would only take memory.
    rollingUpdate: { maxUnavailable: 1, maxSurge: 0 }
    {{- else }}
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
    {{- end }}
  selector:
    matchLabels:
      {{- include "plateau.podLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "plateau.podLabels" . | nindent 8 }}
        plateau/metrics: "true"
      annotations:
        kubectl.kubernetes.io/default-container: {{ $it.service }}
        {{- with $own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "plateau.fullname" $root }}-{{ $it.service }}
      automountServiceAccountToken: false
      # Kubernetes would describe every Service of the namespace in variables, PLATEAU_..._SERVICE_HOST among them, which
      # the services refuse as settings that they do not know.
      enableServiceLinks: false
      {{- with $values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "plateau.podSecurity" . | nindent 8 }}
      # What preStop and draining take, and room to end.
      terminationGracePeriodSeconds: {{ add $own.preStopSeconds $own.drainSeconds 10 }}
      {{- with include "plateau.initContainers" . }}
      initContainers:
        {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $it.service }}
          image: {{ include "plateau.image" (list $root $own.imageTag) | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args: [{{ $it.service }}]
          securityContext:
            {{- include "plateau.containerSecurity" . | nindent 12 }}
          env:
            {{- include "plateau.allSettings" . | nindent 12 }}
          ports:
            - { name: ops, containerPort: {{ $it.opsPort }} }
            {{- if eq $it.service "target-model" }}
            - { name: grpc, containerPort: 7070 }
            {{- else if eq $it.service "serving" }}
            - { name: http, containerPort: 8080 }
            - { name: grpc, containerPort: 7080 }
            {{- if $values.serving.admin.enabled }}
            - { name: admin, containerPort: 7081 }
            {{- end }}
            {{- else if eq $it.service "console" }}
            - { name: http, containerPort: 8090 }
            {{- end }}
          # The target is there when its model is loaded; the others may wait for it, or for Kafka, as long as it takes.
          startupProbe:
            httpGet: { path: {{ ternary "/readyz" "/healthz" (eq $it.service "target-model") }}, port: ops }
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: {{ div (add $own.startupSeconds 4) 5 }}
          readinessProbe:
            httpGet: { path: /readyz, port: ops }
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          # Only a service whose work stands still says that it is not alive; a busy one may be slow to answer.
          livenessProbe:
            httpGet: { path: /healthz, port: ops }
            periodSeconds: 10
            timeoutSeconds: 10
            failureThreshold: 6
          {{- if $own.preStopSeconds }}
          lifecycle:
            preStop:
              sleep: { seconds: {{ $own.preStopSeconds }} }
          {{- end }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          volumeMounts:
            {{- include "plateau.mounts" . | nindent 12 }}
      volumes:
        {{- include "plateau.volumes" . | nindent 8 }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: {{ $own.spread }}
          labelSelector:
            matchLabels:
              {{- include "plateau.podLabels" (list $root $it) | nindent 14 }}
        {{- end }}
      {{- with $own.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
{{- end }}

{{- define "plateau.readsModel" -}}
{{- if has . (list "target-model" "trainer" "serving") }}yes{{ end -}}
{{- end }}

{{- define "plateau.initContainers" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $own := index $root.Values (include "plateau.valuesKey" $it.service) -}}
{{- if and (eq $root.Values.model.source "fetch") (include "plateau.readsModel" $it.service) }}
- name: fetch-model
  image: {{ include "plateau.image" (list $root $own.imageTag) | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [plateau, model, fetch, {{ $root.Values.model.fetch.name }}, --dir, /models]
  {{- with $root.Values.model.fetch.hub }}
  env:
    - name: HF_ENDPOINT
      value: {{ . | quote }}
  {{- end }}
  securityContext:
    {{- include "plateau.containerSecurity" . | nindent 4 }}
  resources:
    requests: { cpu: 100m, memory: 256Mi }
    limits: { memory: 512Mi }
  volumeMounts:
    - { name: model, mountPath: /models }
    - { name: tmp, mountPath: /tmp }
    - { name: state, mountPath: /var/lib/plateau }
{{- end }}
{{- if eq $it.service "trainer" }}
# The trainer refuses a key that others than its owner can read, and a secret's files are root's, read by the group.
- name: own-signing-key
  image: {{ include "plateau.image" (list $root $own.imageTag) | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [/bin/sh, -c]
  args: ['umask 077 && cat "$0" > "$1"', /etc/plateau/signing-key/{{ $root.Values.signing.privateKeyKey }}, /run/plateau/signing/signing.pem]
  securityContext:
    {{- include "plateau.containerSecurity" . | nindent 4 }}
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 64Mi }
  volumeMounts:
    - { name: signing-key, mountPath: /etc/plateau/signing-key, readOnly: true }
    - { name: signing, mountPath: /run/plateau/signing }
{{- end }}
{{- end }}

{{- define "plateau.mounts" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $values := $root.Values -}}
{{- $service := $it.service -}}
- { name: tmp, mountPath: /tmp }
- { name: state, mountPath: /var/lib/plateau }
{{- include "plateau.kafkaMounts" $root }}
{{- if and (ne $values.model.source "image") (include "plateau.readsModel" $service) }}
- { name: model, mountPath: /models, readOnly: true }
{{- end }}
{{- if has $service (list "trainer" "serving" "console") }}
{{- if eq $values.checkpoints.store "pvc" }}
- { name: checkpoints, mountPath: /checkpoints{{ if ne $service "trainer" }}, readOnly: true{{ end }} }
{{- else }}
- { name: s3, mountPath: /etc/plateau/s3, readOnly: true }
{{- if $values.checkpoints.s3.caSecretName }}
- { name: s3-ca, mountPath: /etc/plateau/s3-ca, readOnly: true }
{{- end }}
{{- end }}
{{- end }}
{{- if eq $service "trainer" }}
- { name: signing, mountPath: /run/plateau/signing, readOnly: true }
{{- end }}
{{- if has $service (list "serving" "console") }}
- { name: verify-key, mountPath: /etc/plateau/verify-key, readOnly: true }
{{- end }}
{{- if and $values.mtls.enabled (has $service (list "target-model" "serving")) }}
- { name: tls, mountPath: /etc/plateau/tls, readOnly: true }
{{- end }}
{{- if and $values.apiKeys.secretName (eq $service "serving") }}
- { name: api-keys, mountPath: /etc/plateau/api-keys, readOnly: true }
{{- end }}
{{- if eq $service "console" }}
- { name: console, mountPath: /etc/plateau/console, readOnly: true }
{{- end }}
{{- end }}

{{/* Secrets are mounted as folders, key by key: a new value arrives in the running pod, and nothing else of the secret. */}}
{{- define "plateau.volumes" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $values := $root.Values -}}
{{- $service := $it.service -}}
{{- $own := index $values (include "plateau.valuesKey" $service) -}}
- name: tmp
  emptyDir: { sizeLimit: {{ $own.tmpSize }} }
- name: state
  emptyDir: { sizeLimit: {{ $own.stateSize }} }
{{- include "plateau.kafkaVolumes" (list $root $service) }}
{{- if include "plateau.readsModel" $service }}
{{- if eq $values.model.source "pvc" }}
- name: model
  persistentVolumeClaim: { claimName: {{ $values.model.claimName }}, readOnly: true }
{{- else if eq $values.model.source "fetch" }}
- name: model
  emptyDir: { sizeLimit: {{ $values.model.fetch.sizeLimit }} }
{{- end }}
{{- end }}
{{- if has $service (list "trainer" "serving" "console") }}
{{- if eq $values.checkpoints.store "pvc" }}
- name: checkpoints
  persistentVolumeClaim: { claimName: {{ include "plateau.checkpointsClaim" $root }} }
{{- else }}
{{- $s3 := $values.checkpoints.s3 }}
{{ include "plateau.secretVolume" (list "s3" $s3.credentialsSecretName $s3.accessKeyIdKey $s3.secretAccessKeyKey) }}
{{- if $s3.caSecretName }}
{{ include "plateau.secretVolume" (list "s3-ca" $s3.caSecretName $s3.caSecretKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq $service "trainer" }}
{{ include "plateau.secretVolume" (list "signing-key" $values.signing.privateKeySecretName $values.signing.privateKeyKey) }}
- name: signing
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{- end }}
{{- if has $service (list "serving" "console") }}
{{ include "plateau.secretVolume" (list "verify-key" $values.signing.publicKeySecretName $values.signing.publicKeyKey) }}
{{- end }}
{{- if and $values.mtls.enabled (has $service (list "target-model" "serving")) }}
{{ include "plateau.secretVolume" (list "tls" (include "plateau.tlsSecret" (list $root $service)) "tls.crt" "tls.key" "ca.crt") }}
{{- end }}
{{- if and $values.apiKeys.secretName (eq $service "serving") }}
{{ include "plateau.secretVolume" (list "api-keys" $values.apiKeys.secretName $values.apiKeys.key) }}
{{- end }}
{{- if eq $service "console" }}
{{ include "plateau.secretVolume" (list "console" $values.console.tokenSecretName $values.console.tokenKey) }}
{{- end }}
{{- end }}

{{/* From (list VOLUME SECRET KEY...). */}}
{{- define "plateau.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
    items:
{{- range rest (rest .) }}
      - { key: {{ . | quote }}, path: {{ . | quote }} }
{{- end }}
{{- end }}
