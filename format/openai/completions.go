package openai

import (
	"net/http"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	format.RegisterChat(format.OpenAICompletions, Completions{})
}

// Completions is the codec of the legacy Completions format
// (https://platform.openai.com/docs/api-reference/completions). A chat format can
// serve its requests, whose prompt becomes the one turn of a user; the other way
// round there is no translation. The zero value is ready for use, also
// concurrently.
type Completions struct{}

// originCompletions is how the neutral form names the Completions format.
const originCompletions = string(format.OpenAICompletions)

// completionsObject is the value of object in answers and chunks alike.
const completionsObject = `,"object":"text_completion","created":`

// DecodeError implements format.ErrorCodec.
func (Completions) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	return decodeError(status, header, body)
}

// EncodeError implements format.ErrorCodec.
func (Completions) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	return encodeError(dst, e)
}

// EncodeRequest implements format.RequestCodec: it refuses, for a conversation is
// no prompt.
func (Completions) EncodeRequest(*format.Body, *chat.Request, chat.Target) (chat.Report, error) {
	return nil, chat.Invalid("model", "this model takes prompts only (/v1/completions), not conversations; use another model")
}

// InspectResponse implements format.ResponseCodec.
func (Completions) InspectResponse(doc tape.Value) (chat.Usage, error) {
	return Chat{}.InspectResponse(doc)
}

// DecodeResponse implements format.ResponseCodec. Of several choices the first
// one counts.
func (Completions) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	var c counts
	choices, err := answer(doc, &c)
	if err != nil {
		return nil, err
	}
	choice := first(choices)
	text := choice.Get("text").Literal()
	if failed := failedChoice(choices); failed != nil {
		return nil, failed
	}
	if text == nil {
		return nil, chat.BadAnswer("the upstream's answer has no text")
	}
	r := &chat.Response{
		ID:    doc.Member("id").Literal(),
		Model: doc.Member("model").Literal(),
		Stop:  stopOf(choice.Member("finish_reason").Literal(), content{}),
		Usage: c.usage(),
	}
	r.Created, _ = doc.Get("created").Int()
	if !text.Empty() {
		r.Blocks = []chat.Block{{Kind: chat.Text, Text: text}}
	}
	if r.Stop.Reason == chat.StopEnd {
		metSequence(&r.Stop, choice.Member("stop_reason"))
	}
	return r, nil
}

// EncodeResponse implements format.ResponseCodec. Thoughts have no place in the
// format; a refusal is the text.
func (Completions) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	dst = append(dst, `{"id":`...)
	dst = appendPrefixed(dst, "cmpl-", r.ID, x)
	dst = append(dst, completionsObject...)
	dst = strconv.AppendInt(dst, created(r, x), 10)
	dst = append(dst, `,"model":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"choices":[{"text":"`...)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch b.Kind {
		case chat.Text, chat.Refusal:
			dst = append(dst, b.Text.Inner()...)
		case chat.Thinking, chat.RedactedThinking:
			report.Drop("content." + b.Kind.String())
		case chat.Opaque:
			report.Drop("content." + b.Type)
		default:
			report.Lose("content." + b.Kind.String())
		}
	}
	dst = append(dst, `","index":0,"logprobs":null,"finish_reason":"`...)
	dst = append(dst, finishReason(r.Stop.Reason, content{}, false)...)
	dst = append(dst, `"}],"usage":`...)
	dst = appendUsage(dst, &r.Usage)
	return append(dst, '}'), report
}

// Interface guards.
var _ format.Chat = Completions{}
