package handler

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// A signature of a model's thoughts is bound to the model, the account and the
// conversation that it came from. When a request comes to another source than
// the turns before it, that source may refuse it; without its signatures the
// same request is valid.

// placeholder is what Gemini takes in the place of a signature
// (https://ai.google.dev/gemini-api/docs/thought-signatures).
const placeholder = `"skip_thought_signature_validator"`

// losesSignatures says whether the request is to be sent once more without its
// signatures, because the upstream has refused one of them.
func (x *exchange) losesSignatures(out *outcome) bool {
	if x.unsigned || x.committed || out.class != routing.ClassClientFault || x.endpoint.Operation != format.OperationChat {
		return false
	}
	return out.err.Code == "invalid_encrypted_content" ||
		strings.Contains(strings.ToLower(out.err.Message), "signature")
}

// unsign takes the signatures out of a request that is passed on.
func (s *splice) unsign(id format.ID, root tape.Value) {
	switch id {
	case format.AnthropicMessages:
		for message := range root.Get("messages").Elements {
			s.cutElements(message.Get("content"), func(block tape.Value) bool {
				kind := block.Get("type")
				return kind.Is("thinking") || kind.Is("redacted_thinking")
			})
		}
	case format.OpenAIResponses:
		s.cutElements(root.Get("input"), func(item tape.Value) bool { return item.Get("type").Is("reasoning") })
	case format.Gemini:
		for content := range root.Get("contents").Elements {
			for part := range content.Get("parts").Elements {
				for _, name := range []string{"thoughtSignature", "thought_signature"} {
					if old := part.Get(name); old.Kind() == tape.String {
						s.replace(old, placeholder)
					}
				}
			}
		}
	}
}

// cutElements removes the elements of a list that drop names. A list of which
// nothing would be left keeps a text that says nothing, for no format takes an
// empty turn.
func (s *splice) cutElements(list tape.Value, drop func(tape.Value) bool) {
	kept, dropped := 0, 0
	for e := range list.Elements {
		if drop(e) {
			dropped++
		} else {
			kept++
		}
	}
	if dropped == 0 {
		return
	}
	if kept == 0 {
		s.replace(list, `[{"type":"text","text":"."}]`)
		return
	}
	// A run of dropped elements goes with the comma behind it, the last one with
	// the comma in front of it.
	end := -1 // of the last element that stays
	from := -1
	for e := range list.Elements {
		switch {
		case drop(e):
			if from < 0 {
				from = e.Start()
			}
		case from >= 0:
			s.cut(from, e.Start())
			from, end = -1, e.End()
		default:
			end = e.End()
		}
	}
	if from >= 0 {
		s.cut(end, list.End()-1)
	}
}

// withoutSignatures is the request without its signatures, and without the
// thoughts that are worth nothing without them.
func withoutSignatures(r *chat.Request) *chat.Request {
	plain := *r
	plain.Turns = make([]chat.Turn, len(r.Turns))
	for i, turn := range r.Turns {
		plain.Turns[i] = chat.Turn{Role: turn.Role}
		for _, block := range turn.Blocks {
			if block.Kind == chat.RedactedThinking || (block.Kind == chat.Thinking && block.Signature != nil) {
				continue
			}
			block.Signature, block.Origin = nil, ""
			plain.Turns[i].Blocks = append(plain.Turns[i].Blocks, block)
		}
	}
	return &plain
}
