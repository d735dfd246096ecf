package openai

import (
	"strings"

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

// model reads the model's name.
func (d *requestDecoder) model(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return mustBe(field, "a string")
	}
	d.r.Model = v.Text()
	return nil
}

// streamOptions reads include_usage.
func (d *requestDecoder) streamOptions(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return mustBe(field, "an object")
	}
	for key, value := range v.Members {
		switch {
		case !present(value):
		case !key.Is("include_usage"):
			d.extraOnce("stream_options."+key.Text(), value)
		case value.Kind() != tape.True && value.Kind() != tape.False:
			return mustBe("stream_options.include_usage", "true or false")
		default:
			d.r.IncludeUsage = value.Bool()
		}
	}
	return nil
}

// limit reads the largest number of tokens of the answer.
func (d *requestDecoder) limit(field string, v tape.Value) error {
	if n, ok := v.Int(); !ok || n < 1 {
		return mustBe(field, "a whole number of at least 1")
	}
	d.r.MaxTokens = chat.Number(v.Raw())
	return nil
}

// n reads the number of answers.
func (d *requestDecoder) n(field string, v tape.Value) error {
	if n, ok := v.Int(); !ok || n < 1 || n > 128 {
		return mustBe(field, "a whole number from 1 to 128")
	}
	d.r.N = chat.Number(v.Raw())
	return nil
}

// stop reads the stop sequences, one or a list.
func (d *requestDecoder) stop(field string, v tape.Value) error {
	switch v.Kind() {
	case tape.String:
		d.r.Stop = []chat.Literal{v.Literal()}
		return nil
	case tape.Array:
	default:
		return mustBe(field, "a string or an array of strings")
	}
	d.r.Stop = make([]chat.Literal, 0, min(v.Len(), 64))
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return mustBe(field, "a string or an array of strings")
		}
		d.r.Stop = append(d.r.Stop, element.Literal())
	}
	return nil
}

// modalities ignores the default: text.
func (d *requestDecoder) modalities(field string, v tape.Value) error {
	for element := range v.Elements {
		if v.Len() == 1 && element.Is("text") {
			return nil
		}
	}
	d.extra(field, v)
	return nil
}

// responseFormat reads the form of the answer's text.
func (d *requestDecoder) responseFormat(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return mustBe(field, "an object")
	}
	switch kind := v.Get("type"); {
	case kind.Is("text"):
		return nil
	case kind.Is("json_object"):
		d.r.Output.Kind = chat.OutputJSONObject
		return nil
	case !kind.Is("json_schema"):
		return mustBe("response_format.type", "text, json_object or json_schema")
	}
	schema := member(v, "json_schema")
	if schema.Kind() != tape.Object {
		return mustBe("response_format.json_schema", "an object")
	}
	return d.jsonSchema("response_format.json_schema", schema)
}

// jsonSchema reads the schema that the answer's text must have.
func (d *requestDecoder) jsonSchema(path string, v tape.Value) error {
	out := &d.r.Output
	out.Kind = chat.OutputJSONSchema
	for key, value := range v.Members {
		if !present(value) {
			continue
		}
		switch string(name(key)) {
		case "name":
			out.Name = value.Literal()
		case "description":
			out.Description = value.Literal()
		case "schema":
			if value.Kind() != tape.Object {
				return mustBe(path+".schema", "an object")
			}
			out.Schema = value.Raw()
		case "strict":
			out.Strict = chat.BoolOf(value.Bool())
		}
	}
	return nil
}

// efforts are the steps of reasoning.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// effort reads how much the model is to reason.
func (d *requestDecoder) effort(field string, v tape.Value) error {
	for _, e := range efforts {
		if v.Is(e) {
			d.r.Reasoning.Effort = e
			d.r.Reasoning.State = chat.ReasoningOn
			if e == "none" {
				d.r.Reasoning.State = chat.ReasoningOff
			}
			return nil
		}
	}
	return mustBe(field, "one of "+strings.Join(efforts, ", "))
}

// otherReasoning reads the words of compatible servers for reasoning_effort:
// OpenRouter's reasoning, the thinking of DeepSeek and GLM, Qwen's
// enable_thinking and thinking_budget.
func (d *requestDecoder) otherReasoning() error {
	r := &d.r.Reasoning
	if d.reasoning.Kind() == tape.Object {
		if effort := member(d.reasoning, "effort"); effort.Exists() {
			if err := d.effort("reasoning.effort", effort); err != nil {
				return err
			}
		}
		d.budget(member(d.reasoning, "max_tokens"))
		d.switched(member(d.reasoning, "enabled"))
		if member(d.reasoning, "exclude").Bool() {
			r.Summary = "omitted"
		}
	}
	if d.thinking.Kind() == tape.Object {
		switch kind := d.thinking.Get("type"); {
		case kind.Is("enabled"):
			r.State = chat.ReasoningOn
		case kind.Is("disabled"):
			r.State = chat.ReasoningOff
		case kind.Is("adaptive"), kind.Is("auto"):
			r.State, r.Adaptive = chat.ReasoningOn, true
		}
		d.budget(member(d.thinking, "budget_tokens"))
	}
	d.budget(d.thinkingN)
	d.switched(d.enableThinking)
	return nil
}

// budget reads a number of tokens for reasoning.
func (d *requestDecoder) budget(v tape.Value) {
	if n, ok := v.Int(); ok && n > 0 {
		d.r.Reasoning.State = chat.ReasoningOn
		d.r.Reasoning.Budget = chat.Number(v.Raw())
	}
}

// switched reads a switch of reasoning.
func (d *requestDecoder) switched(v tape.Value) {
	switch v.Kind() {
	case tape.True:
		d.r.Reasoning.State = chat.ReasoningOn
	case tape.False:
		d.r.Reasoning.State = chat.ReasoningOff
	}
}

// mustBe is the error of a field that has a wrong value.
func mustBe(field, what string) *chat.Error {
	return chat.Invalid(field, "the field "+field+" must be "+what)
}

// truth reads a field that is true or false.
func truth(set func(*requestDecoder, chat.Bool)) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.True && v.Kind() != tape.False {
			return mustBe(field, "true or false")
		}
		set(d, chat.BoolOf(v.Bool()))
		return nil
	}
}

// number reads a field that is a number.
func number(at func(*requestDecoder) *chat.Number) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.Number {
			return mustBe(field, "a number")
		}
		*at(d) = chat.Number(v.Raw())
		return nil
	}
}

// text reads a field that is a string.
func text(at func(*requestDecoder) *chat.Literal) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.String {
			return mustBe(field, "a string")
		}
		*at(d) = v.Literal()
		return nil
	}
}

// object reads a field that is an object and stays as it is.
func object(at func(*requestDecoder) *chat.Raw) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, field string, v tape.Value) error {
		if v.Kind() != tape.Object {
			return mustBe(field, "an object")
		}
		*at(d) = v.Raw()
		return nil
	}
}

// later keeps a field that yields to another one.
func later(at func(*requestDecoder) *tape.Value) func(*requestDecoder, string, tape.Value) error {
	return func(d *requestDecoder, _ string, v tape.Value) error {
		*at(d) = v
		return nil
	}
}
