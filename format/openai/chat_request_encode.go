package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxReport is how many losses are told one by one.
const maxReport = 2 * maxExtra

// maxKey is how long the identity of an end user, or the key of a cache, may be.
const maxKey = 64

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
	effort := e.chatEffort()
	e.sampling(effort)
	e.reasoning(effort)
	e.output()
	e.identity()
	e.store()
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
	round   chat.Round

	marking  bool // cache marks are sent
	tooEarly int  // how many of the first marks are left out
	// customs says that a tool that takes free text is sent as such.
	customs bool
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

// lose reports a field that was left out although it changes the meaning, once.
func (e *requestEncoder) lose(path string) {
	e.lost(chat.Loss{Path: path, Reason: chat.Unsupported, Meaning: true})
}

// approximate reports a fact that was expressed in another way, once.
func (e *requestEncoder) approximate(path string) {
	e.lost(chat.Loss{Path: path, Reason: chat.Approximated})
}

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
		e.outputSchema(&out)
		e.b.Str("}}")
	}
	e.raw("verbosity", e.r.Verbosity)
}

// outputSchema writes the members of a form by schema, from the value of its name
// on: the format demands one.
func (e *requestEncoder) outputSchema(out *chat.Output) {
	if out.Name.Empty() {
		e.b.Str(`"response"`)
	} else {
		e.b.Raw(out.Name)
	}
	e.raw("description", out.Description)
	e.raw("schema", out.Schema)
	e.truth("strict", out.Strict)
}

// identity writes who asks, and how the provider is to treat it. The older servers
// know the older name only.
func (e *requestEncoder) identity() {
	if e.to.LegacyMaxTokens {
		e.endUser("user")
	} else {
		e.endUser("safety_identifier")
	}
	e.raw("metadata", e.r.Metadata)
	e.serviceTier()
}

// endUser writes who the end user is, as a member.
func (e *requestEncoder) endUser(name string) {
	if e.r.User.Empty() {
		return
	}
	e.field(name)
	if e.key(e.r.User) {
		e.approximate("user")
	}
}

// key writes a text of at most maxKey bytes, and says whether it was a longer
// one: then its digest is written.
func (e *requestEncoder) key(l chat.Literal) (shortened bool) {
	text := l.Unescaped()
	if len(text) <= maxKey {
		e.b.Raw(l)
		return false
	}
	e.b.Quote(format.Digest(maxKey, text))
	return true
}

// store tells whether the provider may keep the answer, which it does not do by
// default. The older servers know nothing of it.
func (e *requestEncoder) store() {
	switch {
	case !e.to.LegacyMaxTokens || e.speaks():
		e.truth("store", e.r.Store)
	case e.r.Store == chat.True:
		e.drop("store")
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
		switch {
		case f.Name == grammarField && e.customs:
			// Sent with the tool.
		case nested(f.Name), !e.speaks() && !familyField(e.r, f.Name):
			e.drop(f.Name)
		case f.Name == "prompt_cache_key" && len(f.Value) > 0 && f.Value[0] == '"':
			e.field(f.Name)
			if e.key(chat.Literal(f.Value)) {
				e.approximate(f.Name)
			}
		default:
			e.field(f.Name)
			e.b.Raw(f.Value)
		}
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
