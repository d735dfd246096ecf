package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// countFields are the fields of a request to count tokens
// (https://platform.openai.com/docs/api-reference/responses/input-tokens).
var countFields = map[string]bool{
	"conversation": true, "input": true, "instructions": true, "model": true,
	"parallel_tool_calls": true, "previous_response_id": true, "reasoning": true, "text": true,
	"tool_choice": true, "tools": true, "truncation": true,
}

// DecodeCountRequest implements format.Counter.
func (r Responses) DecodeCountRequest(doc tape.Value) (*chat.Request, error) {
	return r.DecodeRequest(doc)
}

// EncodeCountRequest implements format.Counter.
func (r Responses) EncodeCountRequest(b *format.Body, request *chat.Request, to chat.Target) (chat.Report, error) {
	return format.EncodePrompt(b, r, request, to, countFields)
}

// DecodeCount implements format.Counter.
func (Responses) DecodeCount(doc tape.Value) (int64, error) {
	if format.IsFailure(doc.Get("error")) {
		return 0, errorIn(doc)
	}
	return format.InputTokens(doc)
}

// EncodeCount implements format.Counter.
func (Responses) EncodeCount(dst []byte, tokens int64) []byte {
	dst = appendCount(dst, `{"object":"response.input_tokens","input_tokens":`, tokens)
	return append(dst, '}')
}

// Interface guards.
var _ format.Counter = Responses{}
