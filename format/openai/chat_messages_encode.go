package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// messages writes the conversation.
func (e *requestEncoder) messages() {
	e.planParts()
	e.field("messages")
	e.b.Byte('[')
	e.system(e.r.System)
	turns := e.r.Turns
	for i := 0; i < len(turns) && e.err == nil; {
		switch turns[i].Role {
		case chat.Assistant:
			answered := after(turns, i, true)
			e.assistant(turns[i:answered])
			e.results(turns[answered:after(turns, answered, false)])
			i = answered
		case chat.System:
			e.system(turns[i].Blocks)
			i++
		default:
			e.user(&turns[i])
			i++
		}
	}
	e.b.Byte(']')
}

// after returns where a run of answers, or of anything else, ends.
func after(turns []chat.Turn, from int, answers bool) int {
	for from < len(turns) && (turns[from].Role == chat.Assistant) == answers {
		from++
	}
	return from
}

// message begins a message, up to the value of its content.
func (e *requestEncoder) message(role string) {
	if e.written {
		e.b.Byte(',')
	}
	e.written = true
	e.b.Str(`{"role":"`)
	e.b.Str(role)
	e.b.Str(`","content":`)
}

// systemRole is the role of instructions.
func (e *requestEncoder) systemRole() string {
	if e.to.Can.DeveloperRole {
		return "developer"
	}
	return "system"
}

// system writes instructions as one message: as one text, or as parts if there is
// a cache mark among them.
func (e *requestEncoder) system(blocks []chat.Block) {
	inParts := e.marking && anyMark(blocks)
	any := false
	p := parts{e: e}
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Kind == chat.Opaque:
			e.drop("system." + b.Type)
			continue
		case b.Kind != chat.Text || b.Text.Blank():
			continue
		case !any:
			any = true
			e.message(e.systemRole())
			if !inParts {
				e.b.Byte('"')
			}
		case !inParts:
			e.b.Str(`\n\n`)
		}
		if inParts {
			p.add(b)
			continue
		}
		e.noCache(b)
		e.b.Raw(b.Text.Inner())
	}
	switch {
	case !any:
	case inParts:
		p.end()
		e.b.Byte('}')
	default:
		e.b.Str(`"}`)
	}
}

// user writes what a user turn holds beside the results that have been written.
func (e *requestEncoder) user(t *chat.Turn) {
	text, others, results := e.survey(t.Blocks)
	switch {
	case others:
	case text != nil:
		e.message("user")
		e.noCache(text)
		e.b.Raw(text.Text)
		e.b.Byte('}')
		return
	case results:
		return
	default:
		e.message("user")
		e.b.Str(`""}`)
		return
	}
	e.message("user")
	p := parts{e: e}
	for i := range t.Blocks {
		b := &t.Blocks[i]
		switch {
		case b.Kind != chat.ToolResult:
			p.add(b)
		case !e.round.Answers(b):
			p.orphan(b)
		}
	}
	p.end()
	e.b.Byte('}')
}

// survey looks through a user turn: text is its one text if it has just one,
// others says that it takes parts, results that it holds written results.
func (e *requestEncoder) survey(blocks []chat.Block) (text *chat.Block, others, results bool) {
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Kind == chat.ToolResult && e.round.Answers(b):
			results = true
		case b.Kind != chat.Text:
			others = true
		case b.Text.Empty():
		case text != nil, e.marking && b.Cache != nil:
			others = true
		default:
			text = b
		}
	}
	return text, others, results
}

// unknown refuses a block that has no meaning to the upstream: to leave it out
// would change what the user said.
func (e *requestEncoder) unknown(b *chat.Block) {
	kind := b.Type
	if b.Kind != chat.Opaque {
		kind = b.Kind.String()
	}
	e.refuse("content of type " + kind)
}

// refuse ends the encoding.
func (e *requestEncoder) refuse(what string) {
	if e.err == nil {
		e.err = chat.Invalid("messages", what+" cannot be sent to this model, whose upstream speaks OpenAI's "+e.speech+" format; leave it out or use another model")
	}
}
