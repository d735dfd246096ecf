package anthropic

import (
	"fmt"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a request. Those of messages and tools are the same in all formats; the
// others keep a small document from demanding much memory or time. The number of
// stop sequences is Anthropic's own limit.
const (
	maxMessages = 4096
	maxTools    = 1024
	maxBlocks   = 1 << 16
	maxStop     = 8191
	maxExtra    = 256
)

// DecodeRequest implements format.RequestCodec.
func (Messages) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	if doc.Get("thread").Present() {
		return nil, ThreadUnsupported()
	}
	d := requestDecoder{turnDecoder: turnDecoder{r: &chat.Request{Format: origin, IncludeUsage: true}}}
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// ThreadUnsupported returns the error of a request with the field "thread" that
// cannot be passed through to one upstream of this format: the error on which SDKs
// send the whole conversation again, without threads. To ignore the field would
// lose the conversation: a request that continues a thread holds the new messages
// only.
func ThreadUnsupported() *chat.Error {
	e := chat.Invalid("thread", "message threads are not supported for this model; send the whole conversation without thread")
	e.Details = chat.Raw(`{"error_code":"thread_unsupported_request","unsupported":["thread"]}`)
	return e
}

// requestDecoder reads one request.
type requestDecoder struct {
	turnDecoder

	// Fields that are read when all others have been.
	system, output tape.Value
	effort         tape.Value
}

// requestFields are the fields with a neutral meaning, by name.
var requestFields = format.FieldsOf(map[string]format.FieldReader[*requestDecoder]{
	"model":          (*requestDecoder).model,
	"messages":       (*requestDecoder).messages,
	"system":         format.LaterField(func(d *requestDecoder) *tape.Value { return &d.system }),
	"max_tokens":     (*requestDecoder).maxTokens,
	"temperature":    format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.Temperature }),
	"top_p":          format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopP }),
	"top_k":          format.NumberField(func(d *requestDecoder) *chat.Number { return &d.r.TopK }),
	"stop_sequences": (*requestDecoder).stop,
	"stream":         (*requestDecoder).stream,
	"metadata":       (*requestDecoder).metadata,
	"service_tier":   format.TextField(func(d *requestDecoder) *chat.Literal { return &d.r.ServiceTier }),
	"thinking":       (*requestDecoder).thinking,
	"output_config":  (*requestDecoder).outputConfig,
	"output_format":  format.LaterField(func(d *requestDecoder) *tape.Value { return &d.output }),
	"tools":          (*requestDecoder).tools,
	"tool_choice":    (*requestDecoder).toolChoice,
	"thread":         func(*requestDecoder, string, tape.Value) error { return ThreadUnsupported() },
})

// request reads all fields.
func (d *requestDecoder) request(doc tape.Value) error {
	if err := requestFields.Read(d, doc, d.unknown); err != nil {
		return err
	}
	switch {
	case d.at == 0:
		return chat.MustBe("messages", "an array with at least one message")
	case d.r.MaxTokens == nil:
		return chat.MustBe("max_tokens", "a whole number of at least 1; it is missing")
	}
	return d.settle()
}

// unknown keeps a field of the request that has no neutral meaning.
func (d *requestDecoder) unknown(key, v tape.Value) error {
	if len(d.r.Extra) == maxExtra {
		return chat.Invalid(format.Bounded(key.Text(), 64), fmt.Sprintf("a request has at most %d unknown fields", maxExtra))
	}
	if v.Present() {
		d.extra(key.Text(), v)
	}
	return nil
}

// settle reads the fields that had to wait for others.
func (d *requestDecoder) settle() error {
	if d.system.Exists() {
		if err := d.instructions(d.system); err != nil {
			return err
		}
	}
	if d.output.Exists() && d.r.Output.Kind == chat.OutputText {
		if err := d.format("output_format", d.output); err != nil {
			return err
		}
	}
	d.settleEffort()
	return d.addTools()
}

// extra keeps a field that has no neutral meaning.
func (d *turnDecoder) extra(name string, v tape.Value) {
	d.r.Extra = append(d.r.Extra, chat.Field{Name: name, Value: v.Raw()})
}

// extraOnce keeps the first of many fields with the same path, which are
// reported as lost and never restored. There is no point in a long report.
func (d *turnDecoder) extraOnce(path string, v tape.Value) {
	if len(d.r.Extra) == maxExtra {
		return
	}
	for i := range d.r.Extra {
		if d.r.Extra[i].Name == path {
			return
		}
	}
	d.extra(path, v)
}

// rest keeps the members of an object that have no neutral meaning.
func (d *turnDecoder) rest(v tape.Value, field string, known []string) {
	for key, value := range v.Members {
		if value.Present() && !slices.ContainsFunc(known, key.Is) {
			d.extraOnce(field+"."+key.Text(), value)
		}
	}
}

// model reads the model's name.
func (d *requestDecoder) model(field string, v tape.Value) error {
	if v.Kind() != tape.String {
		return chat.MustBe(field, "a string")
	}
	d.r.Model = v.Text()
	return nil
}

// maxTokens reads the largest number of tokens of the answer. 0 warms a cache,
// which other formats have no word for.
func (d *requestDecoder) maxTokens(field string, v tape.Value) error {
	n, ok := wholeNumber(v)
	if !ok {
		return chat.MustBe(field, "a whole number of at least 1")
	}
	d.r.MaxTokens = n
	return nil
}

// stop reads the stop sequences.
func (d *requestDecoder) stop(field string, v tape.Value) error {
	switch {
	case v.Kind() != tape.Array:
		return chat.MustBe(field, "an array of strings")
	case v.Len() > maxStop:
		return chat.Invalid(field, fmt.Sprintf("a request has at most %d stop sequences", maxStop))
	}
	d.r.Stop = make([]chat.Literal, 0, min(v.Len(), 64))
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return chat.MustBe(field, "an array of strings")
		}
		d.r.Stop = append(d.r.Stop, element.Literal())
	}
	return nil
}

// stream reads whether the client wants a stream.
func (d *requestDecoder) stream(field string, v tape.Value) error {
	if v.Kind() != tape.True && v.Kind() != tape.False {
		return chat.MustBe(field, "true or false")
	}
	d.r.Stream = v.Bool()
	return nil
}

// metadata reads who the end user is.
func (d *requestDecoder) metadata(field string, v tape.Value) error {
	if v.Kind() != tape.Object {
		return chat.MustBe(field, "an object")
	}
	var user tape.Value
	if err := fields(v, field, []string{"user_id"}, &user); err != nil {
		return err
	}
	d.rest(v, field, []string{"user_id"})
	if user.Exists() && user.Kind() != tape.String {
		return chat.MustBe("metadata.user_id", "a string")
	}
	d.r.User = user.Literal()
	return nil
}
