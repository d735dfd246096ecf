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
	e.plan = chat.TakePlan()
	defer e.plan.Release()
	e.single()
	e.planTurns()
	if e.err != nil {
		return e.report, e.err
	}
	e.settle()
	b.Str(`{"model":`)
	b.Quote(to.Model)
	e.writeLimit()
	e.system()
	e.messages()
	e.tools()
	e.sampling()
	e.writeThinking()
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

	planned
	limit    int64 // the largest number of tokens of the answer
	choice   choice
	thinking thinking
	output   output
	// sentences are instructions for what the format or the model has no word for.
	sentences []string
	// unmarked are the cache marks that are left out, by their first byte.
	unmarked map[*byte]bool
}

// settle decides what several parts of the request depend on.
func (e *requestEncoder) settle() {
	e.settleLimit()
	e.settleTools()
	e.settleThinking()
	e.settleOutput()
	e.settleMarks()
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

// lost reports a loss, once.
func (e *requestEncoder) lost(l chat.Loss) { e.report.Add(l) }

// refuse ends the encoding.
func (e *requestEncoder) refuse(param, what string) {
	if e.err == nil {
		e.err = chat.Invalid(param, what+" cannot be sent to this model, whose upstream speaks Anthropic's Messages format; leave it out or use another model")
	}
}

// single reports a request for several answers: the format has one.
func (e *requestEncoder) single() {
	if n, ok := e.r.N.Int(); ok && n > 1 {
		e.lose("n")
	}
}

// settleLimit decides on the largest number of tokens of the answer: what the
// client asked for, as far as the model goes, or else as far as the model goes, or
// else a default. The format demands a number.
func (e *requestEncoder) settleLimit() {
	most := int64(e.to.Can.MaxOutput)
	asked, ok := e.r.MaxTokens.Int()
	switch {
	case ok && most > 0 && asked > most:
		e.limit = most
		e.report.Clamp("max_tokens")
	case ok:
		e.limit = asked
	case most > 0:
		e.limit = most
	case e.to.MaxTokens > 0:
		e.limit = int64(e.to.MaxTokens)
	default:
		e.limit = defaultMaxTokens
	}
}

// writeLimit writes the largest number of tokens of the answer.
func (e *requestEncoder) writeLimit() {
	e.field("max_tokens")
	e.b.Append(func(dst []byte) []byte { return strconv.AppendInt(dst, e.limit, 10) })
}

// system writes the instructions that stand before the conversation.
func (e *requestEncoder) system() {
	var only *chat.Block
	texts := 0
	for i := range e.r.System {
		b := &e.r.System[i]
		switch {
		case b.Kind != chat.Text:
			e.drop("system." + b.TypeName())
		case !b.Text.Blank():
			only = b
			texts++
		}
	}
	switch {
	case texts == 0 && len(e.sentences) == 0:
		return
	case texts == 1 && len(e.sentences) == 0 && !e.caches(only):
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
	for _, sentence := range e.sentences {
		e.b.Byte(separator)
		separator = ','
		e.b.Str(`{"type":"text"`)
		e.quoted("text", []byte(sentence))
		e.b.Byte('}')
	}
	e.b.Byte(']')
}

// identity writes who asks, and how the provider is to treat it.
func (e *requestEncoder) identity() {
	r := e.r
	if !r.User.Empty() {
		e.b.Str(`,"metadata":{"user_id":`)
		if user := r.User.Unescaped(); len(user) > maxUser {
			e.b.Quote(format.Digest(64, user))
			e.report.Approximate("user")
		} else {
			e.b.Raw(r.User)
		}
		e.b.Byte('}')
	}
	switch tier := string(r.ServiceTier.Unescaped()); tier {
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
	"tools[].format": true, "audio": true, "modalities": true, "prediction": true, "web_search_options": true, "cachedContent": true,
}

// others restores the fields of a request that came in this very format, and
// reports those of others.
func (e *requestEncoder) others() {
	for _, f := range e.r.Extra {
		switch {
		case e.own && format.PlainName([]byte(f.Name)):
			e.raw(f.Name, f.Value)
		case meaningful[f.Name]:
			e.lose(f.Name)
		default:
			e.drop(f.Name)
		}
	}
}
