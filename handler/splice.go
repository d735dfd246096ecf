package handler

import (
	"slices"

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

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       []byte
}

// replace puts text in the place of a value.
func (s *splice) replace(v tape.Value, text []byte) { s.cut(v.Start(), v.End(), text) }

func (s *splice) cut(start, end int, text []byte) {
	if s.edits == nil {
		s.edits = s.few[:0]
	}
	s.edits = append(s.edits, edit{start, end, text})
}

// setModel puts another name in the place of the model's.
func (s *splice) setModel(env *envelope, model string) {
	if env.modelAt.Exists() && model != env.model {
		s.replace(env.modelAt, chat.Quote(model))
	}
}

// setStream makes the request one for a stream.
func (s *splice) setStream(env *envelope) {
	switch {
	case env.streamAt.Kind() == tape.True:
	case env.streamAt.Exists():
		s.replace(env.streamAt, []byte("true"))
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
		s.replace(env.optionsAt, []byte(`{"include_usage":true}`))
	case tape.Object:
		if old := env.optionsAt.Get("include_usage"); old.Exists() {
			s.replace(old, []byte("true"))
			return
		}
		inside := env.optionsAt.Start() + 1
		text := `"include_usage":true,`
		if env.optionsAt.Len() == 0 {
			text = text[:len(text)-1]
		}
		s.cut(inside, inside, []byte(text))
	}
}

// write writes the document with the changes made, and without the members that
// may not be sent on.
func (s *splice) write(b *format.Body, d *document, env *envelope) {
	edits := s.edits
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	if env.forbidden {
		s.rejoin(b, d, edits)
		return
	}
	from := 0
	if s.first != "" {
		from = d.index.Root().Start() + 1
		b.View(d.data[:from])
		b.Str(s.first)
	}
	view(b, d.data, from, len(d.data), edits)
}

// rejoin writes the members that may be sent on.
func (s *splice) rejoin(b *format.Body, d *document, edits []edit) {
	b.Byte('{')
	b.Str(s.first)
	some := false
	for key, value := range d.index.Root().Members {
		if isForbidden(key) {
			continue
		}
		if some {
			b.Byte(',')
		}
		some = true
		view(b, d.data, key.Start(), value.End(), edits)
	}
	b.Byte('}')
}

// view writes data[from:to] with the edits that lie in it.
func view(b *format.Body, data []byte, from, to int, edits []edit) {
	for _, e := range edits {
		if e.start < from || e.end > to {
			continue
		}
		b.View(data[from:e.start])
		b.Raw(e.text)
		from = e.end
	}
	b.View(data[from:to])
}
