{{/* Every setting that the chart gives a service, from (list $ $it); $it is what "plateau.service" gives. */}}
{{- define "plateau.environment" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $values := $root.Values -}}
{{- $service := $it.service -}}
{{- $own := index $values (include "plateau.valuesKey" $service) -}}
- name: NODE_OPTIONS
  value: {{ printf "--max-old-space-size=%d" (int $own.maxOldSpaceMiB) | quote }}
- name: PLATEAU_OPS_HOST
  value: 0.0.0.0
- name: PLATEAU_OPS_PORT
  value: {{ $it.opsPort | quote }}
- name: PLATEAU_LOG_LEVEL
  value: {{ $values.telemetry.logLevel }}
- name: PLATEAU_DRAIN_SECONDS
  value: {{ $own.drainSeconds | quote }}
{{ include "plateau.kafkaEnvironment" (list $root $service) }}
- name: PLATEAU_KAFKA_COMPRESSION
  value: {{ $values.kafka.compression }}
- name: PLATEAU_KAFKA_CREATE_TOPICS
  value: "off"
{{- if and $values.kafka.schemaRegistry (ne $service "console") }}
- name: PLATEAU_WIRE
  value: confluent
- name: PLATEAU_SCHEMA_REGISTRY
  value: {{ $values.kafka.schemaRegistry | quote }}
{{- end }}
{{- if $values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $values.telemetry.otlpEndpoint | quote }}
{{- end }}
{{- if has $service (list "target-model" "trainer" "serving") }}
- name: PLATEAU_MODEL
  value: {{ include "plateau.modelPath" $root | quote }}
{{- end }}
{{- if has $service (list "flatness-scorer" "trainer" "serving") }}
- name: PLATEAU_LINEAGE
  value: {{ $it.lineage | quote }}
{{- end }}
{{- if has $service (list "trainer" "serving" "console") }}
{{ include "plateau.checkpointsEnvironment" $root }}
{{- end }}
{{- if has $service (list "serving" "console") }}
- name: PLATEAU_VERIFY_KEY_FILE
  value: /etc/plateau/verify-key/{{ $values.signing.publicKeyKey }}
{{- end }}
{{- if has $service (list "target-model" "serving") }}
{{- if $values.mtls.enabled }}
- name: PLATEAU_TLS_CERT_FILE
  value: /etc/plateau/tls/tls.crt
- name: PLATEAU_TLS_KEY_FILE
  value: /etc/plateau/tls/tls.key
- name: PLATEAU_TLS_CA_FILE
  value: /etc/plateau/tls/ca.crt
- name: PLATEAU_TRUST_DOMAIN
  value: {{ $values.mtls.trustDomain | quote }}
{{- else }}
- name: PLATEAU_PLAINTEXT
  value: allowed
{{- end }}
{{- end }}
{{- if eq $service "target-model" }}
- name: PLATEAU_TARGET_ADDRESS
  value: 0.0.0.0:7070
{{- else if eq $service "trainer" }}
- name: PLATEAU_SIGNING_KEY_FILE
  value: /run/plateau/signing/signing.pem
{{- if $it.further }}
- name: PLATEAU_LEARN_POLICY
  value: "off"
{{- if $it.domains }}
- name: PLATEAU_TRAIN_DOMAINS
  value: {{ join "," $it.domains | quote }}
{{- end }}
{{- if $it.tenants }}
- name: PLATEAU_TRAIN_TENANTS
  value: {{ join "," $it.tenants | quote }}
{{- end }}
{{- end }}
{{- else if eq $service "serving" }}
- name: PLATEAU_TARGET_ADDRESS
  value: {{ printf "%s-target-model.%s.svc:7070" (include "plateau.fullname" $root) $root.Release.Namespace | quote }}
- name: PLATEAU_HTTP_HOST
  value: 0.0.0.0
- name: PLATEAU_HTTP_PORT
  value: "8080"
# Clients reach this port, and metrics name tenants; Prometheus has the ops port.
- name: PLATEAU_HTTP_METRICS
  value: "off"
- name: PLATEAU_GRPC_ADDRESS
  value: 0.0.0.0:7080
- name: PLATEAU_ADMIN_ADDRESS
  value: {{ ternary "0.0.0.0:7081" "127.0.0.1:7081" $values.serving.admin.enabled | quote }}
- name: PLATEAU_CAPTURE
  value: {{ $values.capture | quote }}
{{- if $values.apiKeys.secretName }}
- name: PLATEAU_API_KEYS_FILE
  value: /etc/plateau/api-keys/{{ $values.apiKeys.key }}
{{- end }}
{{- if $values.furtherLineages }}
- name: PLATEAU_FURTHER_LINEAGES
  value: {{ $lineages := list }}{{ range $values.furtherLineages }}{{ $lineages = append $lineages .name }}{{ end }}{{ join "," $lineages | quote }}
{{- end }}
{{- else if eq $service "console" }}
- name: PLATEAU_CONSOLE_HOST
  value: 0.0.0.0
- name: PLATEAU_CONSOLE_PORT
  value: "8090"
- name: PLATEAU_CONSOLE_TOKEN_FILE
  value: /etc/plateau/console/{{ $values.console.tokenKey }}
{{- end }}
{{- end }}

{{/* The chart's settings and the service's own, which may not name one of the chart's. */}}
{{- define "plateau.allSettings" -}}
{{- $it := index . 1 -}}
{{- $environment := include "plateau.environment" . | fromYamlArray -}}
{{- range $name, $value := $it.settings -}}
{{- range $environment -}}
{{- if eq .name $name -}}{{- fail (printf "settings of %s: %s is set by the chart; use the value that it comes from (values.yaml)" $it.service $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $it.settings -}}
{{- $environment = append $environment (dict "name" $name "value" (toString $value)) -}}
{{- end -}}
{{- toYaml $environment -}}
{{- end }}

{{- define "plateau.valuesKey" -}}
{{- get (dict "target-model" "targetModel" "flatness-scorer" "flatnessScorer" "trainer" "trainer" "serving" "serving" "console" "console") . -}}
{{- end }}

{{- define "plateau.modelPath" -}}
{{- $model := .Values.model -}}
{{- if eq $model.source "image" -}}{{- $model.path -}}
{{- else if eq $model.source "pvc" -}}{{- printf "/models/%s" (trimPrefix "/" $model.path) | trimSuffix "/" -}}
{{- else -}}{{- printf "/models/%s" (get (dict "smollm2" "SmolLM2-135M-Instruct.Q4_1.gguf") $model.fetch.name) -}}{{- end -}}
{{- end }}

{{- define "plateau.checkpointsEnvironment" -}}
{{- $checkpoints := .Values.checkpoints -}}
- name: PLATEAU_CHECKPOINTS
{{- if eq $checkpoints.store "pvc" }}
  value: /checkpoints
{{- else }}
  value: {{ printf "s3://%s/%s" $checkpoints.s3.bucket $checkpoints.s3.prefix | trimSuffix "/" | quote }}
{{- if $checkpoints.s3.endpoint }}
- name: PLATEAU_S3_ENDPOINT
  value: {{ $checkpoints.s3.endpoint | quote }}
{{- end }}
- name: PLATEAU_S3_REGION
  value: {{ $checkpoints.s3.region | quote }}
- name: PLATEAU_S3_ACCESS_KEY_ID_FILE
  value: /etc/plateau/s3/{{ $checkpoints.s3.accessKeyIdKey }}
- name: PLATEAU_S3_SECRET_ACCESS_KEY_FILE
  value: /etc/plateau/s3/{{ $checkpoints.s3.secretAccessKeyKey }}
{{- if $checkpoints.s3.caSecretName }}
- name: PLATEAU_S3_CA_FILE
  value: /etc/plateau/s3-ca/{{ $checkpoints.s3.caSecretKey }}
{{- end }}
{{- end }}
{{- end }}
