package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// countFields are the fields of a request to count tokens
// (https://docs.anthropic.com/en/api/messages-count-tokens). Others are refused.
var countFields = map[string]bool{
	"model": true, "messages": true, "system": true, "tools": true, "tool_choice": true,
	"thinking": true, "output_config": true, "cache_control": true,
}

// DecodeCountRequest implements format.Counter. Such a request has no max_tokens.
func (Messages) DecodeCountRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	r := &chat.Request{Format: origin, MaxTokens: chat.Number("1")}
	d := requestDecoder{turnDecoder: turnDecoder{r: r}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	r.MaxTokens = nil
	return r, nil
}

// EncodeCountRequest implements format.Counter.
func (m Messages) EncodeCountRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	return format.EncodePrompt(b, m, r, to, countFields)
}

// DecodeCount implements format.Counter.
func (Messages) DecodeCount(doc tape.Value) (int64, error) {
	if doc.Get("type").Is("error") || doc.Get("error").Kind() == tape.Object {
		return 0, errorIn(doc)
	}
	return format.InputTokens(doc)
}

// EncodeCount implements format.Counter.
func (Messages) EncodeCount(dst []byte, tokens int64) []byte {
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, tokens, 10)
	return append(dst, '}')
}

// interfaces that must be satisfied
var _ format.Counter = Messages{}
