package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a request (reliability.md, S13).
const (
	maxMessages = 4096
	maxTools    = 1024
)

// How many fields that have no neutral meaning are kept, how long their names
// may be, and what stands for those that are not.
const (
	maxExtra     = 64
	maxExtraName = 128
	moreFields   = "[more fields]"
)

// DecodeRequest implements format.RequestCodec.
func (Chat) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := requestDecoder{messageDecoder: messageDecoder{r: &chat.Request{Format: origin}, list: "messages"}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// requestDecoder reads one request.
type requestDecoder struct {
	messageDecoder
	seen uint64 // the fields that were read, by their number

	// Fields that yield to another one, which may stand behind them.
	maxTokens, user           tape.Value
	functions, functionCall   tape.Value
	reasoning, thinking       tape.Value
	enableThinking, thinkingN tape.Value
}

// requestField is a field of the request with a neutral meaning.
type requestField struct {
	name   string
	number uint // in requestDecoder.seen
	read   func(d *requestDecoder, field string, v tape.Value) error
}

// requestFields are the fields with a neutral meaning, by name.
var requestFields = numbered(map[string]func(*requestDecoder, string, tape.Value) error{
	"model":                 (*requestDecoder).model,
	"messages":              (*requestDecoder).messages,
	"stream":                truth(func(d *requestDecoder, b chat.Bool) { d.r.Stream = b == chat.True }),
	"stream_options":        (*requestDecoder).streamOptions,
	"tools":                 (*requestDecoder).tools,
	"tool_choice":           (*requestDecoder).toolChoice,
	"parallel_tool_calls":   truth(func(d *requestDecoder, b chat.Bool) { d.r.ParallelTools = b }),
	"functions":             later(func(d *requestDecoder) *tape.Value { return &d.functions }),
	"function_call":         later(func(d *requestDecoder) *tape.Value { return &d.functionCall }),
	"max_completion_tokens": (*requestDecoder).limit,
	"max_tokens":            later(func(d *requestDecoder) *tape.Value { return &d.maxTokens }),
	"temperature":           number(func(d *requestDecoder) *chat.Number { return &d.r.Temperature }),
	"top_p":                 number(func(d *requestDecoder) *chat.Number { return &d.r.TopP }),
	"top_k":                 number(func(d *requestDecoder) *chat.Number { return &d.r.TopK }),
	"frequency_penalty":     number(func(d *requestDecoder) *chat.Number { return &d.r.FrequencyPenalty }),
	"presence_penalty":      number(func(d *requestDecoder) *chat.Number { return &d.r.PresencePenalty }),
	"seed":                  number(func(d *requestDecoder) *chat.Number { return &d.r.Seed }),
	"n":                     (*requestDecoder).n,
	"logprobs":              truth(func(d *requestDecoder, b chat.Bool) { d.r.Logprobs = b }),
	"top_logprobs":          number(func(d *requestDecoder) *chat.Number { return &d.r.TopLogprobs }),
	"logit_bias":            object(func(d *requestDecoder) *chat.Raw { return &d.r.LogitBias }),
	"stop":                  (*requestDecoder).stop,
	"reasoning_effort":      (*requestDecoder).effort,
	"reasoning":             later(func(d *requestDecoder) *tape.Value { return &d.reasoning }),
	"thinking":              later(func(d *requestDecoder) *tape.Value { return &d.thinking }),
	"enable_thinking":       later(func(d *requestDecoder) *tape.Value { return &d.enableThinking }),
	"thinking_budget":       later(func(d *requestDecoder) *tape.Value { return &d.thinkingN }),
	"response_format":       (*requestDecoder).responseFormat,
	"safety_identifier":     text(func(d *requestDecoder) *chat.Literal { return &d.r.User }),
	"user":                  later(func(d *requestDecoder) *tape.Value { return &d.user }),
	"metadata":              object(func(d *requestDecoder) *chat.Raw { return &d.r.Metadata }),
	"service_tier":          text(func(d *requestDecoder) *chat.Literal { return &d.r.ServiceTier }),
	"verbosity":             text(func(d *requestDecoder) *chat.Literal { return &d.r.Verbosity }),
	"store":                 truth(func(d *requestDecoder, b chat.Bool) { d.r.Store = b }),
	"modalities":            (*requestDecoder).modalities,
	webSearchField:          (*requestDecoder).webSearch,
})

// numbered gives each field its number.
func numbered(read map[string]func(*requestDecoder, string, tape.Value) error) map[string]requestField {
	fields := make(map[string]requestField, len(read))
	for name, f := range read {
		fields[name] = requestField{name: name, number: uint(len(fields)), read: f}
	}
	return fields
}

// request reads all fields.
func (d *requestDecoder) request(doc tape.Value) error {
	for key, value := range doc.Members {
		field, known := requestFields[string(name(key))]
		if !known {
			if present(value) {
				d.extra(key.Text(), value)
			}
			continue
		}
		if d.seen&(1<<field.number) != 0 {
			return chat.Invalid(field.name, "the field "+field.name+" stands twice in the request")
		}
		d.seen |= 1 << field.number
		if !present(value) {
			continue
		}
		if err := field.read(d, field.name, value); err != nil {
			return err
		}
	}
	if d.r.Turns == nil && d.r.System == nil {
		return chat.Invalid("messages", "the field messages must be an array with at least one message")
	}
	return d.settle()
}

// extra keeps a field that has no neutral meaning. Their number is bounded: all
// of them are compared and reported.
func (d *messageDecoder) extra(name string, v tape.Value) {
	switch n := len(d.r.Extra); {
	case n > maxExtra:
	case n == maxExtra:
		d.r.Extra = append(d.r.Extra, chat.Field{Name: moreFields})
	default:
		d.r.Extra = append(d.r.Extra, chat.Field{Name: format.Bounded(name, maxExtraName), Value: v.Raw()})
	}
}

// extraOnce keeps the first of many fields with the same path.
func (d *messageDecoder) extraOnce(path string, v tape.Value) {
	for i := range d.r.Extra {
		if d.r.Extra[i].Name == path {
			return
		}
	}
	d.extra(path, v)
}

// settle reads the fields that yield to others.
func (d *requestDecoder) settle() error {
	if d.maxTokens.Exists() && d.r.MaxTokens == nil {
		if err := d.limit("max_tokens", d.maxTokens); err != nil {
			return err
		}
	}
	if d.user.Exists() && d.r.User == nil {
		if d.user.Kind() != tape.String {
			return mustBe("user", "a string")
		}
		d.r.User = d.user.Literal()
	}
	if d.r.Reasoning.State == chat.ReasoningUnset {
		if err := d.otherReasoning(); err != nil {
			return err
		}
	}
	return d.legacyFunctions()
}
