package format

import "strings"

// Endpoint is what a client-facing path stands for.
type Endpoint struct {
	// Format is the client's format; it decides the shape of answers and errors.
	Format ID
	// Operation is what the client asks for.
	Operation Operation
	// Name labels the endpoint in logs and metrics.
	Name string
	// Method is the one method the path takes.
	Method string
	// Model is the model named in the path, still escaped; "" if there is none.
	Model string
}

var endpoints = map[string]Endpoint{
	"/chat/completions": {Format: OpenAIChat, Operation: OperationChat, Name: "chat", Method: "POST"},
	"/messages":         {Format: AnthropicMessages, Operation: OperationChat, Name: "messages", Method: "POST"},
	"/models":           {Format: OpenAIChat, Operation: OperationListModels, Name: "models", Method: "GET"},
}

// Match finds the endpoint of an escaped URL path, with or without the leading
// /v1. It does not allocate.
func Match(path string) (Endpoint, bool) {
	path = strings.TrimPrefix(path, "/v1")
	if ep, ok := endpoints[path]; ok {
		return ep, true
	}
	if id, ok := strings.CutPrefix(path, "/models/"); ok && id != "" {
		ep := endpoints["/models"]
		ep.Model = id
		return ep, true
	}
	return Endpoint{}, false
}
