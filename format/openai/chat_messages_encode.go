package openai

import (
	"encoding/base64"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// messages writes the conversation.
func (e *requestEncoder) messages() {
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

// system writes instructions as one message.
func (e *requestEncoder) system(blocks []chat.Block) {
	any := false
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Kind == chat.Opaque:
			e.drop("system." + b.Type)
			continue
		case b.Kind != chat.Text || b.Text.Blank():
			continue
		case any:
			e.b.Str(`\n\n`)
		default:
			any = true
			e.message("system")
			e.b.Byte('"')
		}
		e.noCache(b)
		e.b.Raw(b.Text.Inner())
	}
	if any {
		e.b.Str(`"}`)
	}
}

// noCache reports that a cache mark was left out.
func (e *requestEncoder) noCache(b *chat.Block) {
	if b.Cache != nil {
		e.drop("cache_control")
	}
}

// assistant writes neighbouring answers as one message: the results of all
// their calls come behind it.
func (e *requestEncoder) assistant(turns []chat.Turn) {
	e.round.begin(turns)
	var refusal, thinking bool
	texts := 0
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			e.noCache(b)
			switch b.Kind {
			case chat.Text:
				if !b.Text.Empty() {
					texts++
				}
			case chat.Refusal:
				refusal = true
			case chat.Thinking:
				thinking = thinking || !b.Text.Empty()
				if !e.to.ReasoningContent {
					e.drop("thinking")
				}
			case chat.RedactedThinking:
				e.drop("thinking")
			case chat.Opaque:
				e.drop("assistant." + b.Type)
			case chat.Image, chat.Document, chat.Audio, chat.Video:
				e.lost(chat.Loss{Path: "assistant." + kindName(b.Kind), Reason: chat.Unsupported, Meaning: true})
			}
		}
	}
	if texts == 0 && len(e.round.calls) == 0 && !refusal {
		return
	}
	e.message("assistant")
	if texts == 0 {
		e.b.Str("null")
	} else {
		e.joined(turns, chat.Text)
	}
	if refusal {
		e.field("refusal")
		e.joined(turns, chat.Refusal)
	}
	if thinking && e.to.ReasoningContent {
		e.field("reasoning_content")
		e.joined(turns, chat.Thinking)
	}
	e.calls()
	e.b.Byte('}')
}

// joined writes the texts of one kind of blocks as one string: those of one
// turn as they follow each other, with a blank line between turns.
func (e *requestEncoder) joined(turns []chat.Turn, kind chat.BlockKind) {
	e.b.Byte('"')
	any := false
	for t := range turns {
		first := true
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			if b.Kind != kind || b.Text.Empty() {
				continue
			}
			if any && first {
				e.b.Str(`\n\n`)
			}
			any, first = true, false
			e.b.Raw(b.Text.Inner())
		}
	}
	e.b.Byte('"')
}

// calls writes the calls of an answer.
func (e *requestEncoder) calls() {
	for i, call := range e.round.calls {
		if i == 0 {
			e.b.Str(`,"tool_calls":[`)
		} else {
			e.b.Byte(',')
		}
		e.b.Str(`{"id":`)
		e.b.Raw(callID(call.ID))
		e.b.Str(`,"type":"function","function":{"name":`)
		e.b.Raw(e.toolName(call.Name))
		e.b.Str(`,"arguments":`)
		e.arguments(call.Arguments)
		e.b.Str("}}")
	}
	if len(e.round.calls) > 0 {
		e.b.Byte(']')
	}
}

// arguments writes a call's arguments as a string that holds an object.
func (e *requestEncoder) arguments(a chat.Arguments) {
	switch {
	case len(a.Object) > 0:
		e.b.Append(func(dst []byte) []byte { return chat.AppendQuoted(dst, []byte(a.Object)) })
	case a.Text.Blank():
		e.b.Str(`"{}"`)
	default:
		e.b.Raw(a.Text)
	}
}

// textual says that a block is sent as text.
func textual(b *chat.Block) bool {
	return b.Kind == chat.Text || b.Kind == chat.Document && textDocument(&b.Source)
}

// textDocument says that a document is plain text, which the format has no
// document type for.
func textDocument(s *chat.Source) bool {
	return s.Kind == chat.SourceText || s.Kind == chat.SourceBase64 && strings.HasPrefix(s.MediaType, "text/")
}

// innerText writes a textual block, escaped and without quotes. A document's
// title becomes its first line.
func (e *requestEncoder) innerText(b *chat.Block) {
	if b.Kind == chat.Text {
		e.b.Raw(b.Text.Inner())
		return
	}
	title := b.Title
	if title.Empty() {
		title = b.Filename
	}
	if !title.Empty() {
		e.b.Raw(title.Inner())
		e.b.Str(`\n`)
	}
	text := b.Source.Data
	if b.Source.Kind == chat.SourceBase64 {
		text = decodeBase64(text)
	}
	e.b.Append(func(dst []byte) []byte { return chat.AppendEscaped(dst, text) })
}

// decodeBase64 decodes what it can of base64 text in any of its spellings.
func decodeBase64(text []byte) []byte {
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(string(text), "-_") {
		encoding = base64.RawURLEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, _ := encoding.Decode(out, text)
	return out[:n]
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
		case e.round.find(b.ID) < 0:
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
		case b.Kind == chat.ToolResult && e.round.find(b.ID) >= 0:
			results = true
		case b.Kind != chat.Text:
			others = true
		case b.Text.Empty():
		case text != nil:
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
		kind = kindName(b.Kind)
	}
	e.refuse("content of type " + kind)
}

// refuse ends the encoding.
func (e *requestEncoder) refuse(what string) {
	if e.err == nil {
		e.err = chat.Invalid("messages", what+" cannot be sent to this model, whose upstream speaks OpenAI's "+e.speech+" format; leave it out or use another model")
	}
}

// kindNames are the kinds of blocks as messages call them.
var kindNames = map[chat.BlockKind]string{
	chat.Text: "text", chat.Image: "image", chat.Document: "document", chat.Audio: "audio", chat.Video: "video",
	chat.Thinking: "thinking", chat.RedactedThinking: "redacted_thinking", chat.ToolUse: "tool_use",
	chat.ToolResult: "tool_result", chat.Refusal: "refusal", chat.Opaque: "unknown",
}

// kindName is the name of a kind of blocks.
func kindName(k chat.BlockKind) string { return kindNames[k] }
