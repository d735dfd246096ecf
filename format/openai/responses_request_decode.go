package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Responses is the codec of the Responses format. The zero value is ready for
// use, also concurrently.
type Responses struct{}

// originResponses is how the neutral form names the Responses format.
const originResponses = string(format.OpenAIResponses)

// Members of the field include with a meaning.
const (
	includeLogprobs  = "message.output_text.logprobs"
	includeReasoning = "reasoning.encrypted_content"
)

// DecodeRequest implements format.RequestCodec.
func (Responses) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := responsesDecoder{requestDecoder: requestDecoder{messageDecoder: messageDecoder{
		r:    &chat.Request{Format: originResponses, IncludeUsage: true},
		list: "input",
	}}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// responsesDecoder reads one request.
type responsesDecoder struct {
	requestDecoder
	series       series // which items the open turn takes
	part         string // the member whose parts are being read, for errors
	instructions tape.Value
}

// responsesFields are the fields with a neutral meaning, by name.
var responsesFields = format.FieldsOf(echoing(map[string]format.FieldReader[*responsesDecoder]{
	"model":                shared((*requestDecoder).model),
	"input":                (*responsesDecoder).input,
	"instructions":         (*responsesDecoder).setInstructions,
	"stream":               shared(format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.Stream = b == chat.True })),
	"tools":                (*responsesDecoder).tools,
	"tool_choice":          (*responsesDecoder).toolChoice,
	"parallel_tool_calls":  shared(format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.ParallelTools = b })),
	"max_output_tokens":    shared((*requestDecoder).limit),
	"temperature":          shared(format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.Temperature })),
	"top_p":                shared(format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopP })),
	"top_logprobs":         shared(format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopLogprobs })),
	"include":              (*responsesDecoder).include,
	"reasoning":            (*responsesDecoder).reasoning,
	"text":                 (*responsesDecoder).text,
	"metadata":             shared(format.ObjectField(func(d *requestDecoder) *chat.Raw { return &d.r.Metadata })),
	"safety_identifier":    shared(format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.User })),
	"user":                 shared(format.LaterField(func(d *requestDecoder) *tape.Value { return &d.user })),
	"service_tier":         shared(format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.ServiceTier })),
	"store":                shared(format.TruthField(func(d *requestDecoder, b chat.Bool) { d.r.Store = b })),
	"truncation":           (*responsesDecoder).truncation,
	"previous_response_id": (*responsesDecoder).stateful,
	"conversation":         (*responsesDecoder).stateful,
	"background":           (*responsesDecoder).stateful,
	"prompt":               (*responsesDecoder).stateful,
}))

// shared makes a reader of Chat's fields one of this format's.
func shared(read format.FieldReader[*requestDecoder]) format.FieldReader[*responsesDecoder] {
	return func(d *responsesDecoder, field string, v tape.Value) error {
		return read(&d.requestDecoder, field, v)
	}
}

// echoed are the fields that answers repeat, beside the tools.
var echoed = map[string]bool{
	"instructions": true, "max_output_tokens": true, "max_tool_calls": true, "metadata": true,
	"parallel_tool_calls": true, "prompt_cache_key": true, "prompt_cache_retention": true, "reasoning": true,
	"safety_identifier": true, "service_tier": true, "store": true, "temperature": true, "text": true,
	"tool_choice": true, "top_logprobs": true, "top_p": true, "truncation": true, "user": true,
}

// echoing lets the readers of fields that answers repeat keep them.
func echoing(readers map[string]format.FieldReader[*responsesDecoder]) map[string]format.FieldReader[*responsesDecoder] {
	for name, read := range readers {
		if echoed[name] {
			readers[name] = func(d *responsesDecoder, field string, v tape.Value) error {
				d.echo(field, v.Raw())
				return read(d, field, v)
			}
		}
	}
	return readers
}

// request reads all fields.
func (d *responsesDecoder) request(doc tape.Value) error {
	if err := responsesFields.Read(d, doc, d.unknown); err != nil {
		return err
	}
	return d.settle()
}

// unknown keeps a field of the request that has no neutral meaning.
func (d *responsesDecoder) unknown(key, v tape.Value) error {
	if v.Present() && echoed[string(key.Unescaped())] {
		d.echo(key.Text(), v.Raw())
	}
	return d.messageDecoder.unknown(key, v)
}

// fewEchoes is how many fields most requests have that answers repeat.
const fewEchoes = 8

// echo keeps a field that answers repeat: the first of those with a name.
func (d *responsesDecoder) echo(field string, value chat.Raw) {
	if d.r.Echo == nil {
		d.r.Echo = make([]chat.Field, 0, fewEchoes)
	}
	for i := range d.r.Echo {
		if d.r.Echo[i].Name == field {
			return
		}
	}
	d.r.Echo = append(d.r.Echo, chat.Field{Name: field, Value: value})
}

// settle reads the fields that yield to others, and checks what must be there.
func (d *responsesDecoder) settle() error {
	if d.instructions.Exists() {
		d.r.System = append([]chat.Block{{Kind: chat.Text, Text: d.instructions.Literal()}}, d.r.System...)
	}
	if len(d.r.Turns) == 0 && len(d.r.System) == 0 {
		return chat.Invalid("input", "the field input must be a string or an array with at least one item")
	}
	switch n, ok := d.r.TopLogprobs.Int(); {
	case d.r.Logprobs == chat.True:
	case ok && n == 0:
		d.r.TopLogprobs = nil
	case d.r.TopLogprobs != nil:
		d.r.Logprobs = chat.True
	}
	if d.user.Exists() && d.r.User == nil {
		if d.user.Kind() != tape.String {
			return chat.MustBe("user", "a string")
		}
		d.r.User = d.user.Literal()
	}
	return nil
}

// setInstructions keeps the instructions, which stand before those in the input.
func (d *responsesDecoder) setInstructions(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return chat.MustBe(field, "a string")
	}
	d.instructions = v
	return nil
}

// stateful refuses what only the upstream that knows the earlier answers, or the
// stored template, can serve.
func (d *responsesDecoder) stateful(field string, v tape.Value) error {
	if v.Kind() == tape.False {
		return nil
	}
	return chat.Invalid(field, "the field "+field+" works only with a model whose upstream speaks OpenAI's Responses format; "+
		"leave it out and send the whole conversation as input, or use another model")
}

// truncation keeps what is to happen to a conversation that is too long, unless it
// is the default: nothing.
func (d *responsesDecoder) truncation(field string, v tape.Value) error {
	if !v.Is("disabled") {
		d.extra(field, v)
	}
	return nil
}

// include reads what the answer is to hold besides the usual.
func (d *responsesDecoder) include(field string, v tape.Value) error {
	if v.Kind() != tape.Array {
		return chat.MustBe(field, "an array of strings")
	}
	for element := range v.Elements {
		switch {
		case element.Is(includeReasoning):
		case element.Is(includeLogprobs):
			d.r.Logprobs = chat.True
		default:
			d.extraOnce(field, v)
		}
	}
	return nil
}

// reasoning reads how much the model is to reason and what it shows of it.
func (d *responsesDecoder) reasoning(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	for key, value := range v.Members {
		if !value.Present() {
			continue
		}
		switch member := string(key.Unescaped()); member {
		case "effort":
			if err := d.effort("reasoning.effort", value); err != nil {
				return err
			}
		case "summary", "generate_summary":
			if value.Kind() != tape.String {
				return chat.MustBe("reasoning."+member, "auto, concise or detailed")
			}
			d.r.Reasoning.Summary = value.Text()
		default:
			d.extraOnce("reasoning."+member, value)
		}
	}
	return nil
}

// text reads the form of the answer's text.
func (d *responsesDecoder) text(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	for key, value := range v.Members {
		switch {
		case !value.Present():
		case key.Is("verbosity") && value.Kind() == tape.String:
			d.r.Verbosity = value.Literal()
		case key.Is("verbosity"):
			return chat.MustBe("text.verbosity", "low, medium or high")
		case key.Is("format"):
			if err := d.format(value); err != nil {
				return err
			}
		default:
			d.extraOnce("text."+key.Text(), value)
		}
	}
	return nil
}

// format reads text.format.
func (d *responsesDecoder) format(v tape.Value) error {
	switch kind := v.Get("type"); {
	case kind.Is("text"):
		return nil
	case kind.Is("json_object"):
		d.r.Output.Kind = chat.OutputJSONObject
		return nil
	case kind.Is("json_schema"):
		return d.jsonSchema("text.format", v)
	default:
		return chat.MustBe("text.format.type", "text, json_object or json_schema")
	}
}
