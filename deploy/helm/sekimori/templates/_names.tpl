{{- define "sekimori.labels" -}}
app.kubernetes.io/name: sekimori
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "sekimori.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end }}
