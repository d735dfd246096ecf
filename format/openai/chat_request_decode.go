package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a request, the same in all formats: no client needs more, and a small
// document must not demand much memory or time.
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
	hasTools bool // the field tools was read

	// Fields that yield to another one, which may stand behind them.
	maxTokens, user           tape.Value
	functions, functionCall   tape.Value
	reasoning, thinking       tape.Value
	enableThinking, thinkingN tape.Value
}

// requestFields are the fields with a neutral meaning, by name.
var requestFields = format.FieldsOf(chatFields)

// chatFields are their readers.
var chatFields = map[string]format.FieldReader[*requestDecoder]{
	"model":                 (*requestDecoder).model,
	"messages":              (*requestDecoder).messages,
	"stream":                format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.Stream = b == chat.True }),
	"stream_options":        (*requestDecoder).streamOptions,
	"tools":                 (*requestDecoder).tools,
	"tool_choice":           (*requestDecoder).toolChoice,
	"parallel_tool_calls":   format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.ParallelTools = b }),
	"functions":             format.LaterField(func(d *requestDecoder) *tape.Value { return &d.functions }),
	"function_call":         format.LaterField(func(d *requestDecoder) *tape.Value { return &d.functionCall }),
	"max_completion_tokens": (*requestDecoder).limit,
	"max_tokens":            format.LaterField(func(d *requestDecoder) *tape.Value { return &d.maxTokens }),
	"temperature":           format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.Temperature }),
	"top_p":                 format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopP }),
	"top_k":                 format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopK }),
	"frequency_penalty":     format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.FrequencyPenalty }),
	"presence_penalty":      format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.PresencePenalty }),
	"seed":                  format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.Seed }),
	"n":                     (*requestDecoder).n,
	"logprobs":              format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.Logprobs = b }),
	"top_logprobs":          format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopLogprobs }),
	"logit_bias":            format.ObjectField(func(d *requestDecoder) *chat.Raw { return &d.r.LogitBias }),
	"stop":                  (*requestDecoder).stop,
	"reasoning_effort":      (*requestDecoder).effort,
	"reasoning":             format.LaterField(func(d *requestDecoder) *tape.Value { return &d.reasoning }),
	"thinking":              format.LaterField(func(d *requestDecoder) *tape.Value { return &d.thinking }),
	"enable_thinking":       format.LaterField(func(d *requestDecoder) *tape.Value { return &d.enableThinking }),
	"thinking_budget":       format.LaterField(func(d *requestDecoder) *tape.Value { return &d.thinkingN }),
	"response_format":       (*requestDecoder).responseFormat,
	"safety_identifier":     format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.User }),
	"user":                  format.LaterField(func(d *requestDecoder) *tape.Value { return &d.user }),
	"metadata":              format.ObjectField(func(d *requestDecoder) *chat.Raw { return &d.r.Metadata }),
	"service_tier":          format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.ServiceTier }),
	"verbosity":             format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.Verbosity }),
	"store":                 format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.Store = b }),
	"modalities":            (*requestDecoder).modalities,
	webSearchField:          (*requestDecoder).webSearch,
}

// request reads all fields.
func (d *requestDecoder) request(doc tape.Value) error {
	if err := requestFields.Read(d, doc, d.unknown); err != nil {
		return err
	}
	if d.r.Turns == nil && d.r.System == nil {
		return chat.Invalid("messages", "the field messages must be an array with at least one message")
	}
	return d.settle()
}

// unknown keeps a field of the request that has no neutral meaning.
func (d *messageDecoder) unknown(key, v tape.Value) error {
	if v.Present() {
		d.extra(key.Text(), v)
	}
	return nil
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
			return chat.MustBe("user", "a string")
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
