{{- define "billet.selector" -}}
app.kubernetes.io/name: billet
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "billet.labels" -}}
{{ include "billet.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "billet.name" -}}
{{- if contains "billet" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-billet" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}
