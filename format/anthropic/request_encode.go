package anthropic

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// defaultMaxTokens is the limit of an answer where the client gave none: the
// format demands one.
const defaultMaxTokens = 8192

// maxUser is how long the identity of an end user may be.
const maxUser = 256

// EncodeRequest implements format.RequestCodec.
func (Messages) EncodeRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	e := requestEncoder{b: b, r: r, to: to, own: r.Format == origin}
	e.refuseMany()
	e.planTurns()
	if e.err != nil {
		return e.report, e.err
	}
	e.settle()
	b.Str(`{"model":`)
	b.Quote(to.Model)
	e.limit()
	e.system()
	e.messages()
	e.tools()
	e.sampling()
	e.thinking()
	e.outputConfig()
	e.identity()
	if r.Stream {
		e.field("stream")
		b.Str("true")
	}
	e.others()
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
	// own says that the request came in this very format, so that what has no
	// neutral meaning may be sent as it was.
	own bool

	plan
	choice choice
	budget int64 // of thinking; 0 if there is none
	// jsonOnly says that the answer is to be a JSON object, which the format can
	// only be asked for in words.
	jsonOnly bool
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

// quoted writes a member with a value that is not escaped yet.
func (e *requestEncoder) quoted(name string, value []byte) {
	e.field(name)
	e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, value) })
}

// drop reports a field that was left out, once.
func (e *requestEncoder) drop(path string) { e.lost(chat.Loss{Path: path, Reason: chat.Unsupported}) }

// lose reports a field that was left out although it changes the meaning, once.
func (e *requestEncoder) lose(path string) {
	e.lost(chat.Loss{Path: path, Reason: chat.Unsupported, Meaning: true})
}

// maxReport bounds the report; what changes the meaning is always told.
const maxReport = 64

// lost reports a loss, once.
func (e *requestEncoder) lost(l chat.Loss) {
	if len(e.report) >= maxReport && !l.Meaning {
		return
	}
	for _, known := range e.report {
		if known == l {
			return
		}
	}
	e.report = append(e.report, l)
}

// refuse ends the encoding.
func (e *requestEncoder) refuse(param, what string) {
	if e.err == nil {
		e.err = chat.Invalid(param, what+" cannot be sent to this model, whose upstream speaks Anthropic's Messages format; leave it out or use another model")
	}
}

// refuseMany refuses a request for several answers.
func (e *requestEncoder) refuseMany() {
	if n, ok := e.r.N.Int(); ok && n > 1 {
		e.refuse("n", "a request for more than one answer")
	}
}

// settle decides what several parts of the request depend on.
func (e *requestEncoder) settle() {
	e.settleTools()
	e.settleThinking()
	switch out := &e.r.Output; {
	case out.Kind == chat.OutputJSONObject, out.Kind == chat.OutputJSONSchema && out.Schema == nil:
		e.jsonOnly = true
		e.report.Approximate("response_format")
	}
}

// limit writes the largest number of tokens of the answer.
func (e *requestEncoder) limit() {
	e.field("max_tokens")
	if e.r.MaxTokens != nil {
		e.b.Raw(e.r.MaxTokens)
		return
	}
	e.b.Append(func(dst []byte) []byte { return strconv.AppendInt(dst, e.defaultLimit()+e.budget, 10) })
}

// defaultLimit is the limit where the client gave none, without thinking.
func (e *requestEncoder) defaultLimit() int64 {
	if e.to.MaxTokens > 0 {
		return int64(e.to.MaxTokens)
	}
	return defaultMaxTokens
}

// jsonSentence asks for JSON in words.
const jsonSentence = "Answer with one JSON object and nothing else: no other text, no code fence."

// system writes the instructions that stand before the conversation.
func (e *requestEncoder) system() {
	var only *chat.Block
	texts := 0
	for i := range e.r.System {
		b := &e.r.System[i]
		switch {
		case b.Kind != chat.Text:
			e.drop("system." + kindOrType(b))
		case !b.Text.Blank():
			only = b
			texts++
		}
	}
	switch {
	case texts == 0 && !e.jsonOnly:
		return
	case texts == 1 && !e.jsonOnly && !e.caches(only):
		e.raw("system", only.Text)
		return
	}
	e.field("system")
	separator := byte('[')
	for i := range e.r.System {
		b := &e.r.System[i]
		if b.Kind != chat.Text || b.Text.Blank() {
			continue
		}
		e.b.Byte(separator)
		separator = ','
		e.text(b)
	}
	if e.jsonOnly {
		e.b.Byte(separator)
		e.b.Str(`{"type":"text","text":"` + jsonSentence + `"}`)
	}
	e.b.Byte(']')
}

// sampling writes what shapes the answer's text.
func (e *requestEncoder) sampling() {
	r := e.r
	temperature := e.temperature()
	if temperature != nil && r.TopP != nil {
		// Models from Claude 4.1 on refuse both.
		e.drop("top_p")
	} else {
		e.topP()
	}
	e.raw("temperature", temperature)
	if r.TopK != nil && e.budget > 0 {
		e.drop("top_k")
	} else {
		e.raw("top_k", r.TopK)
	}
	e.stop()
	for _, f := range [...]struct {
		path    string
		present bool
	}{
		{"frequency_penalty", r.FrequencyPenalty != nil},
		{"presence_penalty", r.PresencePenalty != nil},
		{"seed", r.Seed != nil},
		{"logit_bias", r.LogitBias != nil},
		{"verbosity", r.Verbosity != nil},
		{"store", r.Store == chat.True},
		{"metadata", r.Metadata != nil},
	} {
		if f.present {
			e.drop(f.path)
		}
	}
	if r.Logprobs == chat.True || r.TopLogprobs != nil {
		e.lose("logprobs")
	}
}

// temperature returns the temperature that is sent: one between 0 and 1, and
// none but 1 beside thinking.
func (e *requestEncoder) temperature() chat.Number {
	t := e.r.Temperature
	f, ok := t.Float()
	switch {
	case !ok:
		return nil
	case e.budget > 0 && f != 1:
		e.drop("temperature")
		return nil
	case f > 1:
		e.report.Clamp("temperature")
		return chat.Number("1")
	case f < 0:
		e.report.Clamp("temperature")
		return chat.Number("0")
	default:
		return t
	}
}

// topP writes top_p. Beside thinking it may not be below 0.95.
func (e *requestEncoder) topP() {
	if f, ok := e.r.TopP.Float(); ok && e.budget > 0 && f < 0.95 {
		e.drop("top_p")
		return
	}
	e.raw("top_p", e.r.TopP)
}

// stop writes the stop sequences. Anthropic refuses those of white space only.
func (e *requestEncoder) stop() {
	any := false
	for _, s := range e.r.Stop {
		switch {
		case s.Blank():
			e.lose("stop")
			continue
		case any:
			e.b.Byte(',')
		default:
			any = true
			e.field("stop_sequences")
			e.b.Byte('[')
		}
		e.b.Raw(s)
	}
	if any {
		e.b.Byte(']')
	}
}

// outputConfig writes the effort and the form of the answer's text.
func (e *requestEncoder) outputConfig() {
	out := &e.r.Output
	schema := out.Kind == chat.OutputJSONSchema && !e.jsonOnly
	effort := e.effort()
	if !schema && effort == "" {
		return
	}
	e.field("output_config")
	separator := `{`
	if effort != "" {
		e.b.Str(`{"effort":"` + effort + `"`)
		separator = `,`
	}
	if schema {
		e.b.Str(separator)
		e.b.Str(`"format":{"type":"json_schema","schema":`)
		e.outputSchema(out.Schema)
		e.b.Byte('}')
		if !out.Description.Empty() {
			e.drop("response_format.json_schema.description")
		}
	}
	e.b.Byte('}')
}

// identity writes who asks, and how the provider is to treat it.
func (e *requestEncoder) identity() {
	r := e.r
	if !r.User.Empty() {
		e.b.Str(`,"metadata":{"user_id":`)
		if user := unescaped(r.User); len(user) > maxUser {
			e.b.Quote(digest(64, user))
			e.report.Approximate("user")
		} else {
			e.b.Raw(r.User)
		}
		e.b.Byte('}')
	}
	switch tier := string(unescaped(r.ServiceTier)); tier {
	case "":
	case "auto", "standard_only":
		e.quoted("service_tier", []byte(tier))
	case "default":
		e.quoted("service_tier", []byte("standard_only"))
	case "flex":
		e.quoted("service_tier", []byte("standard_only"))
		e.report.Approximate("service_tier")
	case "priority", "fast", "ultrafast":
		e.quoted("service_tier", []byte("auto"))
		e.report.Approximate("service_tier")
	default:
		e.drop("service_tier")
	}
}

// meaningful are the fields of other formats without which a request means
// something else.
var meaningful = map[string]bool{
	"audio": true, "modalities": true, "prediction": true, "web_search_options": true, "cachedContent": true,
}

// others restores the fields of a request that came in this very format, and
// reports those of others.
func (e *requestEncoder) others() {
	for _, f := range e.r.Extra {
		switch {
		case e.own && plain([]byte(f.Name)):
			e.raw(f.Name, f.Value)
		case meaningful[f.Name]:
			e.lose(f.Name)
		default:
			e.drop(f.Name)
		}
	}
}
