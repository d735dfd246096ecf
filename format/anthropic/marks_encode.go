package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxMarks is how many cache marks Anthropic takes in a request.
const maxMarks = 4

// settleMarks finds the cache marks that are too many. The last ones are kept: in
// the order of the prompt, which is tools, system, messages, they save most.
func (e *requestEncoder) settleMarks() {
	total := 0
	e.eachMark(func(chat.Raw) { total++ })
	if total <= maxMarks {
		return
	}
	e.unmarked = make(map[*byte]bool, total-maxMarks)
	e.eachMark(func(mark chat.Raw) {
		if len(e.unmarked) < total-maxMarks {
			e.unmarked[&mark[0]] = true
		}
	})
	e.drop("cache_control (more than 4)")
}

// eachMark calls f for every cache mark that could be sent, in the order of the
// prompt.
func (e *requestEncoder) eachMark(f func(mark chat.Raw)) {
	mark := func(m chat.Raw) {
		if len(m) > 0 {
			f(m)
		}
	}
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; !isServer(t) && e.sends(t) {
			mark(t.Cache)
		}
	}
	for i := range e.r.System {
		if b := &e.r.System[i]; b.Kind == chat.Text && !b.Text.Blank() {
			mark(b.Cache)
		}
	}
	for i := range e.plan.Pieces {
		p := &e.plan.Pieces[i]
		if p.Form == chat.AsMissing || isThought(p) {
			continue
		}
		for j := range p.Block.Content {
			if inner := &p.Block.Content[j]; !isBlank(inner) {
				mark(inner.Cache)
			}
		}
		mark(p.Block.Cache)
	}
}

// caches says that a block has a cache mark that is sent.
func (e *requestEncoder) caches(b *chat.Block) bool {
	return len(b.Cache) > 0 && !e.unmarked[&b.Cache[0]]
}

// cache writes a cache mark. Those of OpenAI (prompt_cache_breakpoint) have other
// times to live, so that theirs is left out.
func (e *requestEncoder) cache(mark chat.Raw) {
	switch {
	case len(mark) == 0 || e.unmarked[&mark[0]]:
	case e.own:
		e.raw("cache_control", mark)
	default:
		e.field("cache_control")
		e.b.Str(`{"type":"ephemeral"}`)
		if bytes.Contains(mark, []byte(`"ttl"`)) {
			e.drop("prompt_cache_breakpoint.ttl")
		}
	}
}
