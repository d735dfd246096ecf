package demo

import (
	"net/http"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// listModels answers GET /models in the shape that the request's headers ask for.
func listModels(r *http.Request) *http.Response {
	switch {
	case r.Header.Get("Anthropic-Version") != "":
		return respond(r, http.StatusOK, "application/json", anthropicModels())
	case r.Header.Get("X-Goog-Api-Key") != "":
		return respond(r, http.StatusOK, "application/json", geminiModels())
	default:
		return respond(r, http.StatusOK, "application/json", openaiModels())
	}
}

// openaiModels is the list as OpenAI writes it.
func openaiModels() []byte {
	out := []byte(`{"object":"list","data":[`)
	for i, m := range models {
		if i > 0 {
			out = append(out, ',')
		}
		out = chat.AppendQuoted(append(out, `{"id":`...), m.name)
		out = strconv.AppendInt(append(out, `,"object":"model","created":`...), created, 10)
		out = append(out, `,"owned_by":"demo"}`...)
	}
	return append(out, `]}`...)
}

// anthropicModels is the list as Anthropic writes it.
func anthropicModels() []byte {
	out := []byte(`{"data":[`)
	for i, m := range models {
		if i > 0 {
			out = append(out, ',')
		}
		out = chat.AppendQuoted(append(out, `{"type":"model","id":`...), m.name)
		out = chat.AppendQuoted(append(out, `,"display_name":`...), m.name)
		out = append(out, `,"created_at":"2026-01-01T00:00:00Z"}`...)
	}
	out = chat.AppendQuoted(append(out, `],"has_more":false,"first_id":`...), models[0].name)
	out = chat.AppendQuoted(append(out, `,"last_id":`...), models[len(models)-1].name)
	return append(out, '}')
}

// geminiModels is the list as Google writes it.
func geminiModels() []byte {
	out := []byte(`{"models":[`)
	for i, m := range models {
		if i > 0 {
			out = append(out, ',')
		}
		out = chat.AppendQuoted(append(out, `{"name":`...), "models/"+m.name)
		out = chat.AppendQuoted(append(out, `,"displayName":`...), m.name)
		out = append(out, `,"supportedGenerationMethods":["generateContent"]}`...)
	}
	return append(out, `]}`...)
}
