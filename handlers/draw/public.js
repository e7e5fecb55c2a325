{{define "main"}}{{end}}
