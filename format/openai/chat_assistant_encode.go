package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// assistant writes neighbouring answers as one message: the results of all
// their calls come behind it.
func (e *requestEncoder) assistant(turns []chat.Turn) {
	e.round.Begin(turns)
	has := e.inventory(turns)
	if !has.text && len(e.round.Calls()) == 0 && !has.refusal {
		return
	}
	e.message("assistant")
	if has.text {
		e.joined(turns, chat.Text)
	} else {
		e.b.Str("null")
	}
	if has.refusal {
		e.field("refusal")
		e.joined(turns, chat.Refusal)
	}
	if has.thinking && e.to.ReasoningContent {
		e.field("reasoning_content")
		e.joined(turns, chat.Thinking)
	}
	if has.details {
		e.details(turns)
	}
	e.calls()
	e.b.Byte('}')
}

// spoken tells what answers hold that is sent.
type spoken struct{ text, refusal, thinking, details bool }

// inventory looks through answers, and reports what is not sent.
func (e *requestEncoder) inventory(turns []chat.Turn) (has spoken) {
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			b := &blocks[i]
			e.noCache(b)
			switch b.Kind {
			case chat.Text:
				has.text = has.text || !b.Text.Empty()
			case chat.Refusal:
				has.refusal = true
			case chat.Thinking, chat.RedactedThinking:
				e.thought(b, &has)
			case chat.Opaque:
				e.drop("assistant." + b.Type)
			case chat.Image, chat.Document, chat.Audio, chat.Video:
				e.lose("assistant." + b.Kind.String())
			}
		}
	}
	return has
}

// thought notes in which way reasoning is sent back.
func (e *requestEncoder) thought(b *chat.Block, has *spoken) {
	switch {
	case e.ownDetail(b):
		has.details = true
	case b.Kind == chat.Thinking && e.to.ReasoningContent:
		has.thinking = has.thinking || !b.Text.Empty()
	default:
		e.drop("thinking")
	}
}

// ownDetail says that reasoning goes back to the kind of upstream that made it,
// in the form it had there.
func (e *requestEncoder) ownDetail(b *chat.Block) bool {
	return e.to.ReasoningDetails && b.Kind == chat.Thinking && b.Origin == origin && !b.Signature.Empty()
}

// details writes reasoning in the form that it came in.
func (e *requestEncoder) details(turns []chat.Turn) {
	separator := `,"reasoning_details":[`
	for t := range turns {
		blocks := turns[t].Blocks
		for i := range blocks {
			if b := &blocks[i]; e.ownDetail(b) {
				e.b.Str(separator)
				e.b.Append(func(dst []byte) []byte { return appendOwnDetail(dst, b) })
				separator = ","
			}
		}
	}
	e.b.Byte(']')
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
	for i, call := range e.round.Calls() {
		if i == 0 {
			e.b.Str(`,"tool_calls":[`)
		} else {
			e.b.Byte(',')
		}
		e.call(call)
	}
	if len(e.round.Calls()) > 0 {
		e.b.Byte(']')
	}
}

// call writes a call of a tool.
func (e *requestEncoder) call(b *chat.Block) {
	e.b.Str(`{"id":`)
	e.b.Raw(callID(b.ID))
	if e.sentCustom(b.Name) {
		e.b.Str(`,"type":"custom","custom":{"name":`)
		e.b.Raw(e.toolName(b.Name))
		e.b.Str(`,"input":`)
		e.b.Append(func(dst []byte) []byte { return appendInput(dst, b.Arguments) })
	} else {
		e.b.Str(`,"type":"function","function":{"name":`)
		e.b.Raw(e.toolName(b.Name))
		e.b.Str(`,"arguments":`)
		e.arguments(b.Arguments)
	}
	e.b.Byte('}')
	// Google's own endpoint of this format demands its signatures back.
	if e.to.Can.CallSignatures && b.Origin == originGemini && !b.Signature.Empty() {
		e.b.Str(googleSignature)
		e.b.Raw(b.Signature)
		e.b.Str("}}")
	}
	e.b.Byte('}')
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
