package handler

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// splice is what is changed in a body that is passed on in its own format: every
// other byte stays as it was.
type splice struct {
	edits []edit
	few   [3]edit // where edits begins
	// first is put in front of the first member, with a comma at its end.
	first string
}

// edit replaces the bytes from start to end: by text as it is, or as a literal.
type edit struct {
	start, end int
	text       string
	quoted     bool
}

// replace puts text in the place of a value.
func (s *splice) replace(v tape.Value, text string) { s.add(edit{v.Start(), v.End(), text, false}) }

// cut takes out the bytes from start to end.
func (s *splice) cut(start, end int) { s.add(edit{start, end, "", false}) }

// add adds an edit and keeps the edits in the order of the document.
func (s *splice) add(e edit) {
	if s.edits == nil {
		s.edits = s.few[:0]
	}
	s.edits = append(s.edits, e)
	for i := len(s.edits) - 1; i > 0 && s.edits[i].start < s.edits[i-1].start; i-- {
		s.edits[i], s.edits[i-1] = s.edits[i-1], s.edits[i]
	}
}

// setModel puts another name in the place of the model's, or adds it where it is
// missing.
func (s *splice) setModel(env *envelope, model string) {
	switch {
	case env.unnamed:
		s.first += `"model":` + string(chat.Quote(model)) + ","
	case env.modelAt.Exists() && (env.defaulted || model != env.model):
		s.add(edit{env.modelAt.Start(), env.modelAt.End(), model, true})
	}
}

// setStream makes the request one for a stream.
func (s *splice) setStream(env *envelope) {
	switch {
	case env.streamAt.Kind() == tape.True:
	case env.streamAt.Exists():
		s.replace(env.streamAt, "true")
	default:
		s.first += `"stream":true,`
	}
}

// askForUsage makes a Chat request for a stream ask for token counts.
func (s *splice) askForUsage(env *envelope) {
	switch env.optionsAt.Kind() {
	case tape.Absent:
		s.first += `"stream_options":{"include_usage":true},`
	case tape.Null:
		s.replace(env.optionsAt, `{"include_usage":true}`)
	case tape.Object:
		if old := env.optionsAt.Get("include_usage"); old.Exists() {
			s.replace(old, "true")
			return
		}
		inside := env.optionsAt.Start() + 1
		text := `"include_usage":true,`
		if env.optionsAt.Len() == 0 {
			text = text[:len(text)-1]
		}
		s.add(edit{inside, inside, text, false})
	}
}

// write writes the document with the changes made, and without the members that
// may not be sent on.
func (s *splice) write(b *format.Body, d *document, env *envelope) {
	if env.forbidden {
		s.rejoin(b, d)
		return
	}
	from := 0
	if s.first != "" {
		from = d.index.Root().Start() + 1
		b.View(d.data[:from])
		b.Str(s.firstBefore(d.index.Root().Len() > 0))
	}
	s.view(b, d.data, from, len(d.data))
}

// rejoin writes the members that may be sent on.
func (s *splice) rejoin(b *format.Body, d *document) {
	b.Byte('{')
	some := false
	for key, value := range d.index.Root().Members {
		if isForbidden(key) {
			continue
		}
		if some {
			b.Byte(',')
		} else {
			b.Str(s.first)
		}
		some = true
		s.view(b, d.data, key.Start(), value.End())
	}
	if !some {
		b.Str(s.firstBefore(false))
	}
	b.Byte('}')
}

// firstBefore is what is put in front, with a comma only if something follows.
func (s *splice) firstBefore(more bool) string {
	if more {
		return s.first
	}
	return strings.TrimSuffix(s.first, ",")
}

// view writes data[from:to] with the edits that lie in it.
func (s *splice) view(b *format.Body, data []byte, from, to int) {
	for i := range s.edits {
		e := &s.edits[i]
		if e.start < from || e.end > to {
			continue
		}
		b.View(data[from:e.start])
		if e.quoted {
			b.Quote(e.text)
		} else {
			b.Str(e.text)
		}
		from = e.end
	}
	b.View(data[from:to])
}
