{{/* Names and labels. A suffix of up to 22 characters must still fit into 63. */}}
{{- define "plateau.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "plateau.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "plateau.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "plateau.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What never changes of a release, and so may be selected by. */}}
{{- define "plateau.selectorLabels" -}}
app.kubernetes.io/name: {{ include "plateau.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of objects. Pods have only what does not change with a version: a pod is replaced when it has to be. */}}
{{- define "plateau.labels" -}}
{{ include "plateau.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: plateau
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
A service as the other templates want it, from (list $ "serving"); trainers of a further lineage from
(list $ "trainer" $lineage). As JSON: a template can only return text.
*/}}
{{- define "plateau.service" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- $keys := dict "target-model" "targetModel" "flatness-scorer" "flatnessScorer" "trainer" "trainer" "serving" "serving" "console" "console" -}}
{{- $opsPorts := dict "target-model" 9101 "flatness-scorer" 9102 "trainer" 9103 "serving" 9080 "console" 9104 -}}
{{- $values := index $root.Values (get $keys $service) -}}
{{- $result := dict "service" $service "name" (printf "%s-%s" (include "plateau.fullname" $root) $service) "opsPort" (get $opsPorts $service) "lineage" $root.Values.lineage "replicas" $values.replicas "settings" ($values.settings | default dict) -}}
{{- if gt (len .) 2 -}}
{{- $lineage := index . 2 -}}
{{- $_ := set $result "lineage" $lineage.name -}}
{{- $_ := set $result "further" true -}}
{{- $_ := set $result "name" (printf "%s-%s-%s" (include "plateau.fullname" $root) $service $lineage.name) -}}
{{- $_ := set $result "replicas" ($lineage.replicas | default $values.replicas) -}}
{{- $_ := set $result "settings" (merge dict (deepCopy ($lineage.settings | default dict)) (deepCopy ($values.settings | default dict))) -}}
{{- $_ := set $result "domains" ($lineage.domains | default list) -}}
{{- $_ := set $result "tenants" ($lineage.tenants | default list) -}}
{{- end -}}
{{- toJson $result -}}
{{- end }}

{{/* Every workload of the release, as a JSON list of what "plateau.service" gives. */}}
{{- define "plateau.services" -}}
{{- $all := list (include "plateau.service" (list . "target-model") | fromJson) -}}
{{- if .Values.flatnessScorer.enabled -}}{{- $all = append $all (include "plateau.service" (list . "flatness-scorer") | fromJson) -}}{{- end -}}
{{- if .Values.trainer.enabled -}}
{{- $all = append $all (include "plateau.service" (list . "trainer") | fromJson) -}}
{{- range .Values.furtherLineages -}}{{- $all = append $all (include "plateau.service" (list $ "trainer" .) | fromJson) -}}{{- end -}}
{{- end -}}
{{- $all = append $all (include "plateau.service" (list . "serving") | fromJson) -}}
{{- if .Values.console.enabled -}}{{- $all = append $all (include "plateau.service" (list . "console") | fromJson) -}}{{- end -}}
{{- toJson $all -}}
{{- end }}

{{/* By what a workload's pods are selected. */}}
{{- define "plateau.podLabels" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{ include "plateau.selectorLabels" $root }}
app.kubernetes.io/component: {{ $it.service }}
{{- if eq $it.service "trainer" }}
plateau/lineage: {{ $it.lineage }}
{{- end }}
{{- end }}

{{- define "plateau.image" -}}
{{- $root := index . 0 -}}
{{- $tag := index . 1 -}}
{{- if $tag -}}
{{- printf "%s:%s" $root.Values.image.repository $tag -}}
{{- else if $root.Values.image.digest -}}
{{- printf "%s@%s" $root.Values.image.repository $root.Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $root.Values.image.repository ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "plateau.checkpointsClaim" -}}
{{- .Values.checkpoints.pvc.claimName | default (printf "%s-checkpoints" (include "plateau.fullname" .)) -}}
{{- end }}

{{/* The secret that holds a service's certificate. */}}
{{- define "plateau.tlsSecret" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- get $root.Values.mtls.secretNames $service | default (printf "%s-tls-%s" (include "plateau.fullname" $root) $service) -}}
{{- end }}
