package anthropic

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// answer is the members of an answer.
type answer struct {
	kind, failure             tape.Value
	id, model, content, usage tape.Value
	stopReason, stopSequence  tape.Value
}

// readAnswer finds the members of an answer and checks that it is one.
func readAnswer(doc tape.Value) (a answer, err error) {
	for key, value := range doc.Members {
		switch string(key.Unescaped()) {
		case "type":
			a.kind = value
		case "error":
			a.failure = value
		case "id":
			a.id = value
		case "model":
			a.model = value
		case "content":
			a.content = value
		case "usage":
			a.usage = value
		case "stop_reason":
			a.stopReason = value
		case "stop_sequence":
			a.stopSequence = value
		}
	}
	switch {
	case a.kind.Is("error"), format.IsFailure(a.failure):
		return a, errorIn(doc)
	case a.content.Kind() != tape.Array:
		return a, chat.BadAnswer("the upstream's answer is no message: it has no content")
	default:
		return a, nil
	}
}

// InspectResponse implements format.ResponseCodec.
func (Messages) InspectResponse(doc tape.Value) (chat.Usage, error) {
	a, err := readAnswer(doc)
	if err != nil {
		return chat.Usage{}, err
	}
	var c counts
	c.take(a.usage)
	return c.usage(), nil
}

// DecodeResponse implements format.ResponseCodec.
func (Messages) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	a, err := readAnswer(doc)
	if err != nil {
		return nil, err
	}
	r := &chat.Response{
		ID:     a.id.Literal(),
		Model:  a.model.Literal(),
		Blocks: make([]chat.Block, 0, min(a.content.Len(), 8)),
	}
	if a.content.Len() > maxAnswerBlocks {
		return nil, tooManyBlocks()
	}
	tools := false
	for element := range a.content.Elements {
		b, err := answerBlock(element)
		if err != nil {
			return nil, err
		}
		if b.Kind == chat.Text && b.Text.Empty() && len(b.Citations) == 0 {
			continue
		}
		if b.Kind == chat.ToolUse {
			tools = true
			if b.ID.Empty() {
				b.ID = madeID(r.ID, len(r.Blocks))
			}
		}
		r.Blocks = append(r.Blocks, b)
	}
	r.Stop = stopOf(a.stopReason.Literal(), a.stopSequence.Literal(), tools)
	var c counts
	c.take(a.usage)
	r.Usage = c.usage()
	return r, nil
}

// maxAnswerBlocks is how many blocks an answer may have.
const maxAnswerBlocks = 4096

func tooManyBlocks() *chat.Error {
	return chat.BadAnswer("the upstream's answer has too many blocks")
}

// answerBlock reads a block of an answer.
func answerBlock(v tape.Value) (b chat.Block, err error) {
	switch kind := v.Get("type"); {
	case kind.Is("text"):
		b.Text, b.Citations = v.Get("text").Literal(), citationsOf(v.Get("citations"))
	case kind.Is("thinking"):
		b.Kind, b.Origin = chat.Thinking, origin
		b.Text, b.Signature = v.Get("thinking").Literal().OrEmpty(), v.Get("signature").Literal()
	case kind.Is("redacted_thinking"):
		b.Kind, b.Origin = chat.RedactedThinking, origin
		b.Text = v.Get("data").Literal().OrEmpty()
	case kind.Is("tool_use"):
		b.Kind, b.ID, b.Name = chat.ToolUse, v.Get("id").Literal(), v.Get("name").Literal()
		if b.Name.Empty() {
			return b, chat.BadAnswer("the upstream's answer calls a tool without a name")
		}
		switch input := v.Get("input"); input.Kind() {
		case tape.Object:
			b.Arguments.Object = input.Raw()
		case tape.String:
			b.Arguments.Text = input.Literal()
		}
	case kind.Kind() == tape.String:
		b.Kind, b.Origin = chat.Opaque, origin
		b.Type, b.Raw = format.Bounded(kind.Text(), 64), v.Raw()
	default:
		return b, chat.BadAnswer("the upstream's answer has content without a type")
	}
	return b, nil
}

// madeID is the id of a call that the upstream gave none: different in every
// answer, since the client sends it back among the others.
func madeID(answer []byte, number int) chat.Literal {
	return chat.Quote("toolu_" + format.Digest(24, strconv.AppendInt(bytes.Clone(answer), int64(number), 10)))
}
