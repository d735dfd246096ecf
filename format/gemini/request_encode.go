package gemini

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/schema"
)

// EncodeRequest implements format.RequestCodec. The model and whether a stream
// is wanted are not in the body: they belong into the path.
func (GenerateContent) EncodeRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	e := requestEncoder{b: b, r: r, to: to, own: r.Format == origin}
	e.plan = chat.TakePlan()
	defer e.plan.Release()
	e.planTurns()
	if e.err != nil {
		return e.report, e.err
	}
	b.Byte('{')
	e.contents()
	e.system()
	e.tools()
	e.toolConfig()
	e.generation()
	e.identity()
	e.others("")
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
	// configured says that generationConfig has begun.
	configured bool
	// schemas is what the conversions of schemas may still cost.
	schemas schema.Budget

	plan *chat.Plan
	made int // how many ids of calls were made up
}

// field begins a member of the request that is not its first.
func (e *requestEncoder) field(name string) {
	e.b.Str(`,"`)
	e.b.Str(name)
	e.b.Str(`":`)
}

// quoted writes a string that is not escaped yet.
func (e *requestEncoder) quoted(value []byte) {
	e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, value) })
}

// drop reports a field that was left out, once.
func (e *requestEncoder) drop(path string) { e.lost(chat.Loss{Path: path, Reason: chat.Unsupported}) }

// lose reports a field that was left out although it changes the meaning, once.
func (e *requestEncoder) lose(path string) {
	e.lost(chat.Loss{Path: path, Reason: chat.Unsupported, Meaning: true})
}

// approximate reports a fact that was expressed in another way, once.
func (e *requestEncoder) approximate(path string) {
	e.lost(chat.Loss{Path: path, Reason: chat.Approximated})
}

// lost reports a loss, once.
func (e *requestEncoder) lost(l chat.Loss) { e.report.Add(l) }

// refuse ends the encoding.
func (e *requestEncoder) refuse(param, message string) {
	if e.err == nil {
		e.err = chat.Invalid(param, message)
	}
}

// unsendable ends the encoding for something that the format cannot say.
func (e *requestEncoder) unsendable(what string) {
	e.refuse("messages", what+" cannot be sent to this model, whose upstream speaks the Gemini format; leave it out or use another model")
}

// system writes the instructions that stand before the conversation.
func (e *requestEncoder) system() {
	any := false
	for i := range e.r.System {
		b := &e.r.System[i]
		switch {
		case b.Kind != chat.Text:
			e.drop("system." + b.TypeName())
			continue
		case b.Text.Empty():
			continue
		case any:
			e.b.Byte(',')
		default:
			any = true
			e.field("systemInstruction")
			e.b.Str(`{"parts":[`)
		}
		e.uncached(b)
		e.b.Str(`{"text":`)
		e.b.Raw(b.Text)
		e.b.Byte('}')
	}
	if any {
		e.b.Str(`]}`)
	}
}

// uncached reports the cache mark of a block: the format caches by itself.
func (e *requestEncoder) uncached(b *chat.Block) {
	if b.Cache != nil {
		e.drop("cache_control")
	}
}

// identity writes how the provider is to treat the request, and reports what it
// has no place for.
func (e *requestEncoder) identity() {
	r := e.r
	switch tier := string(r.ServiceTier.Unescaped()); tier {
	case "", "auto":
	case "flex", "priority":
		e.field("serviceTier")
		e.b.Str(`"` + tier + `"`)
	case "default", "standard_only": // OpenAI, Anthropic
		e.field("serviceTier")
		e.b.Str(`"standard"`)
	case "fast", "ultrafast":
		e.field("serviceTier")
		e.b.Str(`"priority"`)
		e.approximate("service_tier")
	default:
		e.drop("service_tier")
	}
	for _, f := range [...]struct {
		path    string
		present bool
	}{
		{"user", !r.User.Empty()},
		{"metadata", r.Metadata != nil},
		{"logit_bias", r.LogitBias != nil},
		{"verbosity", r.Verbosity != nil},
		{"store", r.Store == chat.True},
	} {
		if f.present {
			e.drop(f.path)
		}
	}
}

// meaningful are the fields of other formats without which a request means
// something else.
var meaningful = map[string]bool{
	"tools[].format": true, "audio": true, "modalities": true, "prediction": true, "web_search_options": true,
}

// others restores the fields of a request that came in this very format, below a
// path, and reports those of others.
func (e *requestEncoder) others(below string) {
	for _, f := range e.r.Extra {
		name, inside := strings.CutPrefix(f.Name, below)
		if !e.own {
			switch {
			case below != "":
			case meaningful[f.Name]:
				e.lose(f.Name)
			default:
				e.drop(f.Name)
			}
			continue
		}
		switch {
		case inside && isWord(name) && below == "":
			e.field(name)
			e.b.Raw(f.Value)
		case inside && isWord(name):
			e.config(name)
			e.b.Raw(f.Value)
		case below == "" && !restored(f.Name):
			e.drop(f.Name)
		}
	}
}

// restored says that a field is restored by those who write what is around it.
func restored(path string) bool {
	for _, below := range [...]string{"generationConfig.", "toolConfig."} {
		if name, ok := strings.CutPrefix(path, below); ok && isWord(name) {
			return true
		}
	}
	return false
}

// isWord says that a name is one of a member, not a path.
func isWord(name string) bool {
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return name != ""
}
