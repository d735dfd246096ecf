package gemini

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// placeholder is the signature of calls that have none: the base64 text of
// "skip_thought_signature_validator", which Google documents for histories that
// another model made.
const placeholder = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

// contents writes the planned conversation.
func (e *requestEncoder) contents() {
	e.b.Str(`"contents":`)
	separator := byte('[')
	filler := func(text string) {
		e.b.Byte(separator)
		separator = ','
		e.b.Str(`{"role":"user","parts":[{"text":"` + text + `"}]}`)
	}
	if len(e.turns) == 0 || e.turns[0].model {
		filler(".")
		e.approximate("messages (no user first)")
	}
	for i := range e.turns {
		e.b.Byte(separator)
		separator = ','
		e.turn(&e.turns[i])
	}
	if n := len(e.turns); n > 0 && e.turns[n-1].model && e.model.fixed() {
		filler("Continue.")
		e.lost(chat.Loss{Path: "messages (no user last)", Reason: chat.Approximated, Meaning: true})
	}
	e.b.Byte(']')
}

// turn writes one content.
func (e *requestEncoder) turn(t *plannedTurn) {
	if t.model {
		e.b.Str(`{"role":"model","parts":`)
	} else {
		e.b.Str(`{"role":"user","parts":`)
	}
	separator := byte('[')
	for i := t.from; i < t.to; i++ {
		e.b.Byte(separator)
		separator = ','
		e.piece(&e.pieces[i])
	}
	e.b.Str("]}")
}

// piece writes a block in the form that was planned.
func (e *requestEncoder) piece(p *piece) {
	b := p.block
	e.uncached(b)
	switch p.form {
	case asSystem:
		e.b.Str(`{"text":"<system>`)
		e.b.Raw(b.Text.Inner())
		e.b.Str(`</system>"}`)
	case asOrphan:
		e.orphan(b)
	case asMissing:
		e.beginResult(p)
		e.b.Str(`,"response":{"output":"(no result)"}}}`)
	default:
		e.block(p)
	}
}

// block writes a block as it is.
func (e *requestEncoder) block(p *piece) {
	b := p.block
	switch b.Kind {
	case chat.Text, chat.Refusal:
		e.b.Str(`{"text":`)
		e.b.Raw(orEmpty(b.Text))
	case chat.Thinking:
		e.b.Str(`{"text":`)
		e.b.Raw(orEmpty(b.Text))
		e.b.Str(`,"thought":true`)
	case chat.ToolUse:
		e.call(p)
	case chat.ToolResult:
		e.result(p)
		return
	case chat.Opaque:
		e.b.Raw(b.Raw)
		return
	default:
		e.medium(b)
	}
	switch signature := ownSignature(b); {
	case signature != nil:
		e.field("thoughtSignature")
		e.b.Raw(signature)
	case p.placeholder:
		e.b.Str(`,"thoughtSignature":"` + placeholder + `"`)
	}
	e.b.Byte('}')
}

// call writes a call of a function, without the end of its part.
func (e *requestEncoder) call(p *piece) {
	e.b.Str(`{"functionCall":{"id":`)
	e.b.Raw(p.id)
	e.b.Str(`,"name":`)
	e.b.Raw(p.name)
	e.b.Str(`,"args":`)
	whole := true
	e.b.Append(func(dst []byte) (out []byte) {
		out, whole = appendArgs(dst, p.block.Arguments)
		return out
	})
	if !whole {
		e.approximate("tool_calls[].arguments")
	}
	e.b.Byte('}')
}

// appendArgs appends the arguments of a call as the object that the format
// demands, on one line. What is no object is wrapped into one; whole is false
// then.
func appendArgs(dst []byte, a chat.Arguments) (out []byte, whole bool) {
	switch {
	case len(a.Object) > 0:
		if a.Object[0] == '{' {
			return appendLine(dst, a.Object), true
		}
		dst = append(dst, `{"_raw":`...)
		dst = chat.AppendQuoted(dst, []byte(a.Object))
		return append(dst, '}'), false
	case a.Text.Blank():
		return append(dst, "{}"...), true
	}
	from := len(dst)
	dst = chat.AppendUnquoted(dst, a.Text)
	if isObjectText(dst[from:]) {
		return appendLine(dst[:from], dst[from:]), true
	}
	dst = append(dst[:from], `{"_raw":`...)
	dst = append(dst, a.Text...)
	return append(dst, '}'), false
}

// isObjectText says that text is a JSON object.
func isObjectText(text []byte) bool {
	t := tapes.Get().(*tape.Tape)
	defer tapes.Put(t)
	defer t.Reset()
	return t.Parse(text) == nil && t.Root().Kind() == tape.Object
}

// beginResult writes the result of a call up to what it holds.
func (e *requestEncoder) beginResult(p *piece) {
	e.b.Str(`{"functionResponse":{"id":`)
	e.b.Raw(p.id)
	e.b.Str(`,"name":`)
	e.b.Raw(p.name)
}

// result writes the result of a call.
func (e *requestEncoder) result(p *piece) {
	b := p.block
	e.beginResult(p)
	e.field("response")
	e.response(b)
	if e.model.takesMedia() {
		e.resultMedia(b)
	}
	e.b.Str("}}")
}

// response writes the text of a result, as the object that the format demands.
func (e *requestEncoder) response(b *chat.Block) {
	texts := e.texts(b)
	if len(texts) == 1 && !b.IsError {
		if text := unescaped(texts[0]); len(text) > 0 && (text[0] == '{' || text[0] == ' ' || text[0] == '\n') && isObjectText(text) {
			e.b.Raw(text)
			return
		}
	}
	if b.IsError {
		e.b.Str(`{"error":"`)
	} else {
		e.b.Str(`{"output":"`)
	}
	e.joined(texts)
	e.b.Str(`"}`)
}

// texts returns the texts that a result holds. What cannot be written is
// refused or left to resultMedia.
func (e *requestEncoder) texts(b *chat.Block) (out []chat.Literal) {
	for i := range b.Content {
		inner := &b.Content[i]
		e.uncached(inner)
		switch {
		case inner.Kind == chat.Text, inner.Kind == chat.Refusal:
			if !inner.Text.Empty() {
				out = append(out, inner.Text)
			}
		case inner.Kind == chat.Document && inner.Source.Kind == chat.SourceText:
			out = append(out, documentText(inner))
		case isMedium(inner):
		default:
			e.unsendable("a tool result with content of type " + kindOrType(inner))
		}
	}
	return out
}

// joined writes texts as one, without quotes.
func (e *requestEncoder) joined(texts []chat.Literal) {
	for i, text := range texts {
		if i > 0 {
			e.b.Str(`\n\n`)
		}
		e.b.Raw(text.Inner())
	}
}

// resultMedia writes what a result holds beside text.
func (e *requestEncoder) resultMedia(b *chat.Block) {
	any := false
	for i := range b.Content {
		inner := &b.Content[i]
		if !isMedium(inner) {
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			e.b.Str(`,"parts":[`)
			any = true
		}
		e.medium(inner)
		e.b.Byte('}')
	}
	if any {
		e.b.Byte(']')
	}
}

// orphan writes the result of a call that is not in the conversation as a text,
// and behind it what the result holds beside text.
func (e *requestEncoder) orphan(b *chat.Block) {
	e.b.Str(`{"text":"[result of tool `)
	e.b.Raw(b.ID.Inner())
	e.b.Str(`] `)
	e.joined(e.texts(b))
	e.b.Str(`"}`)
	for i := range b.Content {
		if inner := &b.Content[i]; isMedium(inner) {
			e.b.Byte(',')
			e.medium(inner)
			e.b.Byte('}')
		}
	}
}

// documentText is a document of plain text with its title as a first line.
func documentText(b *chat.Block) chat.Literal {
	title := b.Title
	if title.Empty() {
		title = b.Filename
	}
	out := chat.Literal(`"`)
	if !title.Empty() {
		out = append(append(out, title.Inner()...), `\n`...)
	}
	return append(chat.AppendEscaped(out, b.Source.Data), '"')
}

// medium writes an image, a document, sound or a film, without the end of its
// part.
func (e *requestEncoder) medium(b *chat.Block) {
	s := &b.Source
	if b.Detail != nil {
		e.drop("detail")
	}
	switch s.Kind {
	case chat.SourceText:
		e.b.Str(`{"text":`)
		e.b.Raw(documentText(b))
	case chat.SourceBase64:
		e.b.Str(`{"inlineData":{"mimeType":`)
		e.b.Quote(mimeOf(b))
		e.b.Str(`,"data":"`)
		e.b.Raw(s.Data)
		e.b.Str(`"}`)
	case chat.SourceFile:
		if s.Origin != origin {
			e.unsendable("a file of another provider")
			return
		}
		e.fileURI(s)
	case chat.SourceURL:
		if !e.own && !isGoogles(s.Data) && !isYouTube(s.Data) {
			e.refuse("messages", "this model takes no "+kindNames[b.Kind]+" by URL: its upstream speaks the Gemini format, which knows only the gs:// URIs of Cloud Storage, files of the Files API and films at YouTube; send the content itself as base64 data instead")
			return
		}
		e.fileURI(s)
	default:
		e.unsendable("content of type " + kindNames[b.Kind] + " without a source")
	}
}

// fileURI writes where bytes are that stand elsewhere.
func (e *requestEncoder) fileURI(s *chat.Source) {
	e.b.Str(`{"fileData":{"fileUri":`)
	e.quoted(s.Data)
	mime := s.MediaType
	if mime == "" {
		mime = mimeOfName(s.Data)
	}
	if mime != "" {
		e.field("mimeType")
		e.b.Quote(mime)
	}
	e.b.Byte('}')
}

// mimeOf is the media type of bytes in a request: Gemini wants one.
func mimeOf(b *chat.Block) string {
	if mime := sniff(strings.ToLower(b.Source.MediaType), b.Source.Data); mime != "" {
		return mime
	}
	if mime := mimeOfName(bytes.Trim(b.Filename, `"`)); mime != "" {
		return mime
	}
	switch b.Kind {
	case chat.Image:
		return "image/png"
	case chat.Audio:
		return "audio/wav"
	case chat.Video:
		return "video/mp4"
	default:
		return "application/pdf"
	}
}
