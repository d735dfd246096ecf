package gemini

import (
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Rename implements format.Renamer: a request to count tokens names the model in
// the request that stands inside.
func (GenerateContent) Rename(b *format.Body, doc tape.Value, model string) {
	names := modelsIn(nil, doc)
	for key, value := range doc.Members {
		if string(canonical(key)) == "generateContentRequest" {
			names = modelsIn(names, value)
		}
	}
	format.ReplaceAll(b, doc, inOrder(names), chat.Quote(resource(model)))
}

// Rename implements format.Renamer: each request of a batch names the model.
func (Embeddings) Rename(b *format.Body, doc tape.Value, model string) {
	names := modelsIn(nil, doc)
	for request := range doc.Get("requests").Elements {
		names = modelsIn(names, request)
	}
	format.ReplaceAll(b, doc, inOrder(names), chat.Quote(resource(model)))
}

// modelsIn appends the names of the model in a request.
func modelsIn(names []tape.Value, request tape.Value) []tape.Value {
	for key, value := range request.Members {
		if key.Is("model") && value.Kind() == tape.String {
			names = append(names, value)
		}
	}
	return names
}

// inOrder sorts values as they stand in their document.
func inOrder(values []tape.Value) []tape.Value {
	slices.SortFunc(values, func(a, b tape.Value) int { return a.Start() - b.Start() })
	return values
}

// interfaces that must be satisfied
var (
	_ format.Renamer = GenerateContent{}
	_ format.Renamer = Embeddings{}
)
