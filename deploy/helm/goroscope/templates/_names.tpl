{{/* The name of what is made. */}}
{{- define "goroscope.name" -}}
{{- $own := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $own .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $own | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What the pods are found by; it never changes. */}}
{{- define "goroscope.selector" -}}
app.kubernetes.io/name: goroscope
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "goroscope.labels" -}}
{{ include "goroscope.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "goroscope.serviceAccount" -}}
{{- default (include "goroscope.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "goroscope.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}
