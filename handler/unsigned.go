package handler

import (
	"bytes"
	"fmt"
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
	refused := out.err.Code == "invalid_encrypted_content" || strings.Contains(strings.ToLower(out.err.Message), "signature")
	return refused && x.signedFor(x.source)
}

// signedFor says that a source gets signatures with the request: that what it would
// get without them is something else.
func (x *exchange) signedFor(source *routing.Candidate) bool {
	spoken := x.formatFor(source)
	if spoken == x.endpoint.Format {
		var edits splice
		edits.unsign(spoken, x.document.index.Root())
		return len(edits.edits) > 0
	}
	request, err := x.decoded()
	if err != nil {
		return false
	}
	with, err := encodedFor(source, spoken, request)
	if err != nil {
		return false
	}
	without, err := encodedFor(source, spoken, withoutSignatures(request))
	return err == nil && !bytes.Equal(with, without)
}

// encodedFor is what a source gets of a request, in the format that it is spoken to.
func encodedFor(source *routing.Candidate, spoken format.ID, request *chat.Request) ([]byte, error) {
	codec, ok := format.ChatOf(format.Family(spoken))
	if !ok {
		return nil, fmt.Errorf("no codec for format %s", spoken)
	}
	var body format.Body
	target := source.Target
	target.Names = new(chat.Names)
	if _, err := codec.EncodeRequest(&body, request, target); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// unsign takes the signatures out of a request that is passed on: with the thoughts
// that they belong to, where those are worth nothing without them.
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
		s.cutElements(root.Get("input"), func(item tape.Value) bool {
			return item.Get("type").Is("reasoning") && !item.Get("encrypted_content").Literal().Empty()
		})
	case format.Gemini:
		for content := range root.Get("contents").Elements {
			for part := range content.Get("parts").Elements {
				for _, name := range []string{"thoughtSignature", "thought_signature"} {
					if old := part.Get(name); old.Kind() == tape.String && string(old.Raw()) != placeholder {
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
