package handler

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// appendModels appends the models with commas between them.
func appendModels(dst []byte, models []routing.Offer, one func([]byte, *routing.Offer) []byte) []byte {
	for i := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, &models[i])
	}
	return dst
}

// appendIDOf appends the id of model i, or null if there is none.
func appendIDOf(dst []byte, models []routing.Offer, i int) []byte {
	if i < 0 || i >= len(models) {
		return append(dst, "null"...)
	}
	return chat.AppendQuoted(dst, models[i].Name)
}

// appendOpenAIModel appends a model as OpenAI lists it. When it was made is not
// known, which the format can say only as 0.
func appendOpenAIModel(dst []byte, m *routing.Offer) []byte {
	dst = append(dst, `{"id":`...)
	dst = chat.AppendQuoted(dst, m.Name)
	dst = append(dst, `,"object":"model","created":0,"owned_by":`...)
	owner := m.Vendor()
	if owner == "" {
		owner = "ai_gateway"
	}
	dst = chat.AppendQuoted(dst, owner)
	return append(dst, '}')
}

// appendAnthropicModel appends a model as Anthropic lists it. The epoch stands
// for an unknown release date there (docs.anthropic.com, API reference, "Get a
// model").
func appendAnthropicModel(dst []byte, m *routing.Offer) []byte {
	dst = append(dst, `{"type":"model","id":`...)
	dst = chat.AppendQuoted(dst, m.Name)
	dst = append(dst, `,"display_name":`...)
	dst = chat.AppendQuoted(dst, m.DisplayName())
	return append(dst, `,"created_at":"1970-01-01T00:00:00Z"}`...)
}

// appendGeminiModel appends a model as Google lists it
// (https://ai.google.dev/api/models). Limits that are not known are left out.
func appendGeminiModel(dst []byte, m *routing.Offer) []byte {
	dst = append(dst, `{"name":`...)
	dst = chat.AppendQuoted(dst, "models/"+m.Name)
	dst = append(dst, `,"displayName":`...)
	dst = chat.AppendQuoted(dst, m.DisplayName())
	if text := m.Description(); text != "" {
		dst = append(dst, `,"description":`...)
		dst = chat.AppendQuoted(dst, text)
	}
	return append(dst, `,"supportedGenerationMethods":["generateContent","countTokens"]}`...)
}
