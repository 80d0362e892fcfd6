{{/* How services reach Kafka: the values under kafka, or what Strimzi makes. */}}
{{- define "plateau.strimziCluster" -}}
{{- .Values.strimzi.clusterName | default (printf "%s-kafka" (include "plateau.fullname" .)) -}}
{{- end }}

{{- define "plateau.strimziNamespace" -}}
{{- .Values.strimzi.clusterNamespace | default .Release.Namespace -}}
{{- end }}

{{- define "plateau.kafka" -}}
{{- $kafka := .Values.kafka -}}
{{- $auth := $kafka.auth.type -}}
{{- $tls := $kafka.tls.enabled -}}
{{- $caSecret := $kafka.tls.caSecretName -}}
{{- $caKey := $kafka.tls.caSecretKey -}}
{{- $servers := $kafka.bootstrapServers -}}
{{- $copies := int $kafka.replication -}}
{{- if .Values.strimzi.enabled -}}
{{- $auth = .Values.strimzi.authentication -}}
{{- $tls = true -}}
{{- $caSecret = $caSecret | default (printf "%s-cluster-ca-cert" (include "plateau.strimziCluster" .)) -}}
{{- $servers = list (printf "%s-kafka-bootstrap.%s.svc:9093" (include "plateau.strimziCluster" .) (include "plateau.strimziNamespace" .)) -}}
{{- if and (eq $copies 0) (lt (int .Values.strimzi.nodes.replicas) 3) -}}{{- $copies = int .Values.strimzi.nodes.replicas -}}{{- end -}}
{{- end -}}
{{- toJson (dict "servers" $servers "auth" $auth "tls" $tls "caSecret" $caSecret "caKey" $caKey "copies" $copies) -}}
{{- end }}

{{/* The user that a service is to Kafka, and the secret that it shows. */}}
{{- define "plateau.kafkaUser" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- $auth := $root.Values.kafka.auth -}}
{{- $own := printf "%s-%s" (include "plateau.fullname" $root) $service -}}
{{- $user := get $auth.users $service | default dict -}}
{{- if $root.Values.strimzi.enabled -}}
{{- toJson (dict "username" $own "secretName" $own) -}}
{{- else if $auth.sharedUser.secretName -}}
{{- toJson (dict "username" $auth.sharedUser.username "secretName" $auth.sharedUser.secretName) -}}
{{- else -}}
{{- toJson (dict "username" ($user.username | default $own) "secretName" ($user.secretName | default $own)) -}}
{{- end -}}
{{- end }}

{{/* Settings of the event log, the same for services and tools. */}}
{{- define "plateau.kafkaEnvironment" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- $kafka := include "plateau.kafka" $root | fromJson -}}
{{- $user := include "plateau.kafkaUser" . | fromJson -}}
- name: PLATEAU_EVENT_LOG
  value: {{ printf "kafka:%s" (join "," $kafka.servers) | quote }}
{{- if $kafka.copies }}
- name: PLATEAU_KAFKA_REPLICATION
  value: {{ $kafka.copies | quote }}
{{- end }}
{{- if $kafka.tls }}
- name: PLATEAU_KAFKA_TLS
  value: "on"
{{- if $kafka.caSecret }}
- name: PLATEAU_KAFKA_CA_FILE
  value: /etc/plateau/kafka-ca/{{ $kafka.caKey }}
{{- end }}
{{- end }}
{{- if eq $kafka.auth "tls" }}
- name: PLATEAU_KAFKA_CERT_FILE
  value: /etc/plateau/kafka-user/{{ $root.Values.kafka.auth.certificateKey }}
- name: PLATEAU_KAFKA_KEY_FILE
  value: /etc/plateau/kafka-user/{{ $root.Values.kafka.auth.privateKeyKey }}
{{- else if eq $kafka.auth "scram-sha-512" }}
- name: PLATEAU_KAFKA_SASL
  value: scram-sha-512
- name: PLATEAU_KAFKA_USERNAME
  value: {{ $user.username | quote }}
- name: PLATEAU_KAFKA_PASSWORD_FILE
  value: /etc/plateau/kafka-user/{{ $root.Values.kafka.auth.passwordKey }}
{{- else if eq $kafka.auth "oauthbearer" }}
- name: PLATEAU_KAFKA_SASL
  value: oauthbearer
- name: PLATEAU_KAFKA_TOKEN_ENDPOINT
  value: {{ $root.Values.kafka.auth.tokenEndpoint | quote }}
- name: PLATEAU_KAFKA_CLIENT_ID
  value: {{ $user.username | quote }}
- name: PLATEAU_KAFKA_CLIENT_SECRET_FILE
  value: /etc/plateau/kafka-user/{{ $root.Values.kafka.auth.clientSecretKey }}
{{- end }}
{{- end }}

{{- define "plateau.kafkaVolumes" -}}
{{- $root := index . 0 -}}
{{- $kafka := include "plateau.kafka" $root | fromJson -}}
{{- $user := include "plateau.kafkaUser" . | fromJson -}}
{{- if and $kafka.tls $kafka.caSecret }}
- name: kafka-ca
  secret:
    secretName: {{ $kafka.caSecret }}
    defaultMode: 0440
    items: [{ key: {{ $kafka.caKey | quote }}, path: {{ $kafka.caKey | quote }} }]
{{- end }}
{{- if ne $kafka.auth "none" }}
- name: kafka-user
  secret:
    secretName: {{ $user.secretName }}
    defaultMode: 0440
    items:
{{- range (include "plateau.kafkaUserKeys" $root | fromJsonArray) }}
      - { key: {{ . | quote }}, path: {{ . | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "plateau.kafkaUserKeys" -}}
{{- $auth := (include "plateau.kafka" . | fromJson).auth -}}
{{- $keys := .Values.kafka.auth -}}
{{- if eq $auth "tls" -}}{{- toJson (list $keys.certificateKey $keys.privateKeyKey) -}}
{{- else if eq $auth "scram-sha-512" -}}{{- toJson (list $keys.passwordKey) -}}
{{- else -}}{{- toJson (list $keys.clientSecretKey) -}}{{- end -}}
{{- end }}

{{- define "plateau.kafkaMounts" -}}
{{- $kafka := include "plateau.kafka" . | fromJson -}}
{{- if and $kafka.tls $kafka.caSecret }}
- { name: kafka-ca, mountPath: /etc/plateau/kafka-ca, readOnly: true }
{{- end }}
{{- if ne $kafka.auth "none" }}
- { name: kafka-user, mountPath: /etc/plateau/kafka-user, readOnly: true }
{{- end }}
{{- end }}
