package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxStop is how many stop sequences the format takes.
const maxStop = 4

// maxReport is how many losses are told one by one.
const maxReport = 2 * maxExtra

// maxUser is how long the identity of an end user may be.
const maxUser = 64

// EncodeRequest implements format.RequestCodec.
func (Chat) EncodeRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	e := requestEncoder{b: b, r: r, to: to, speech: "Chat"}
	b.Str(`{"model":`)
	b.Quote(to.Model)
	e.messages()
	if e.err != nil {
		return e.report, e.err
	}
	e.tools()
	e.sampling()
	e.reasoning()
	e.output()
	e.identity()
	e.truth("store", r.Store)
	e.stream()
	e.extra()
	b.Byte('}')
	return e.report, e.err
}

// requestEncoder writes one request.
type requestEncoder struct {
	b      *format.Body
	r      *chat.Request
	to     chat.Target
	report chat.Report
	err    error
	speech string // the name of the format, for errors

	// written says that a message was written, so that a comma comes next.
	written bool
	round   round
}

// field begins a member of the request.
func (e *requestEncoder) field(name string) {
	e.b.Str(`,"`)
	e.b.Str(name)
	e.b.Str(`":`)
}

// raw writes a member if it has a value.
func (e *requestEncoder) raw(name string, value []byte) {
	if value != nil {
		e.field(name)
		e.b.Raw(value)
	}
}

// truth writes a member if it is known.
func (e *requestEncoder) truth(name string, value chat.Bool) {
	switch value {
	case chat.True:
		e.raw(name, []byte("true"))
	case chat.False:
		e.raw(name, []byte("false"))
	}
}

// drop reports a field that was left out, once.
func (e *requestEncoder) drop(path string) { e.lost(chat.Loss{Path: path, Reason: chat.Unsupported}) }

// lost reports a loss, once.
func (e *requestEncoder) lost(l chat.Loss) {
	for _, known := range e.report {
		if known == l {
			return
		}
	}
	switch n := len(e.report); {
	case n > maxReport:
	case n == maxReport:
		e.report.Lose(moreFields)
	default:
		e.report = append(e.report, l)
	}
}

// sampling writes what shapes the answer's text.
func (e *requestEncoder) sampling() {
	r := e.r
	if e.to.LegacyMaxTokens {
		e.raw("max_tokens", r.MaxTokens)
	} else {
		e.raw("max_completion_tokens", r.MaxTokens)
	}
	e.temperature()
	e.raw("top_p", r.TopP)
	if r.TopK != nil {
		e.drop("top_k")
	}
	e.raw("frequency_penalty", r.FrequencyPenalty)
	e.raw("presence_penalty", r.PresencePenalty)
	e.raw("seed", r.Seed)
	e.raw("n", r.N)
	e.truth("logprobs", r.Logprobs)
	e.raw("top_logprobs", r.TopLogprobs)
	e.raw("logit_bias", r.LogitBias)
	e.stop()
}

// temperature writes the temperature, within 0 and 2.
func (e *requestEncoder) temperature() {
	t := e.r.Temperature
	switch f, ok := t.Float(); {
	case ok && f > 2:
		t = chat.Number("2")
	case ok && f < 0:
		t = chat.Number("0")
	default:
		e.raw("temperature", t)
		return
	}
	e.report.Clamp("temperature")
	e.raw("temperature", t)
}

// stop writes the stop sequences.
func (e *requestEncoder) stop() {
	sequences := e.r.Stop
	if len(sequences) > maxStop {
		sequences = sequences[:maxStop]
		e.lost(chat.Loss{Path: "stop", Reason: chat.Clamped, Meaning: true})
	}
	if len(sequences) == 0 {
		return
	}
	e.field("stop")
	separator := byte('[')
	for _, s := range sequences {
		e.b.Byte(separator)
		e.b.Raw(s)
		separator = ','
	}
	e.b.Byte(']')
}

// reasoning writes how much the model is to reason.
func (e *requestEncoder) reasoning() {
	if effort := e.effort(); effort != "" {
		e.field("reasoning_effort")
		e.b.Quote(effort)
	}
}

// effort is how much the model is to reason; "" leaves it to the model. A budget
// of tokens becomes the nearest step.
func (e *requestEncoder) effort() string {
	r := e.r.Reasoning
	effort := r.Effort
	if effort == "" && r.State == chat.ReasoningOn {
		effort = effortOf(r.Budget)
		if effort != "" {
			e.report.Approximate("reasoning")
		}
	}
	if effort == "max" && !sameFamily(e.r.Format) {
		effort = "xhigh"
		e.report.Approximate("reasoning")
	}
	return effort
}

// effortOf returns the step of a budget; "" leaves it to the model.
func effortOf(budget chat.Number) string {
	switch n, ok := budget.Int(); {
	case !ok || n < 0:
		return ""
	case n == 0:
		return "none"
	case n <= 1024:
		return "low"
	case n <= 8192:
		return "medium"
	default:
		return "high"
	}
}

// output writes the form of the answer's text.
func (e *requestEncoder) output() {
	out := e.r.Output
	switch out.Kind {
	case chat.OutputJSONObject:
		e.field("response_format")
		e.b.Str(`{"type":"json_object"}`)
	case chat.OutputJSONSchema:
		e.field("response_format")
		e.b.Str(`{"type":"json_schema","json_schema":{"name":`)
		if out.Name.Empty() {
			e.b.Str(`"response"`)
		} else {
			e.b.Raw(out.Name)
		}
		e.raw("description", out.Description)
		e.raw("schema", out.Schema)
		e.truth("strict", out.Strict)
		e.b.Str("}}")
	}
	e.raw("verbosity", e.r.Verbosity)
}

// identity writes who asks, and how the provider is to treat it.
func (e *requestEncoder) identity() {
	r := e.r
	if !r.User.Empty() {
		// The older servers know the older name only.
		name := "safety_identifier"
		if e.to.LegacyMaxTokens {
			name = "user"
		}
		e.field(name)
		if user := unescaped(r.User); len(user) > maxUser {
			e.b.Quote(digest(maxUser, user))
			e.report.Approximate("user")
		} else {
			e.b.Raw(r.User)
		}
	}
	e.raw("metadata", r.Metadata)
	switch {
	case r.ServiceTier.Is("standard_only"):
		e.raw("service_tier", []byte(`"default"`))
	default:
		e.raw("service_tier", r.ServiceTier)
	}
}

// stream asks for a stream. Its token counts are always wanted: the gateway
// itself needs them.
func (e *requestEncoder) stream() {
	if !e.r.Stream {
		return
	}
	e.field("stream")
	e.b.Str("true")
	if !e.to.NoStreamOptions {
		e.field("stream_options")
		e.b.Str(`{"include_usage":true}`)
	}
}

// extra restores the fields of a request that came in this very format, and
// reports those of others.
func (e *requestEncoder) extra() {
	for _, f := range e.r.Extra {
		if !e.speaks() && !familyField(e.r, f.Name) || nested(f.Name) {
			e.drop(f.Name)
			continue
		}
		e.field(f.Name)
		e.b.Raw(f.Value)
	}
}

// familyField says that a field without a neutral meaning means the same in all
// of OpenAI's formats, and that the request is of one of them.
func familyField(r *chat.Request, name string) bool {
	switch name {
	case "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options":
		return sameFamily(r.Format)
	default:
		return false
	}
}

// nested says that a field's name is a path to a place within a field.
func nested(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.', c == '[', c == '"', c == '\\', c < ' ':
			return true
		}
	}
	return false
}
