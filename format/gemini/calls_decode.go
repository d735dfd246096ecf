package gemini

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// call reads a call of a function. Calls without an id get one by their place,
// which is the same whenever the conversation is sent again.
func (d *requestDecoder) call(b *chat.Block, v tape.Value) error {
	b.Kind = chat.ToolUse
	p := d.inPart(".functionCall")
	err := p.members(v, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "id":
			b.ID = v.Literal()
		case "name":
			b.Name = v.Literal()
		case "args":
			if v.Kind() != tape.Object {
				return p.mustBe(".args", "an object")
			}
			b.Arguments.Object = v.Raw()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b.Name.Empty() {
		return p.mustBe(".name", "a string with the function's name")
	}
	if b.ID.Empty() {
		b.ID = d.madeID(b.Name)
	}
	if len(d.calls) == maxCalls {
		return chat.Invalid("contents", fmt.Sprintf("a content has at most %d function calls", maxCalls))
	}
	d.calls = append(d.calls, len(d.blocks)-1)
	return nil
}

// madeID is the id of a call that the client gave none.
func (d *requestDecoder) madeID(name chat.Literal) chat.Literal {
	d.made++
	seed := append(strconv.AppendInt(make([]byte, 0, 96), int64(d.made), 10), name.Unescaped()...)
	return chat.Quote("call_" + format.Digest(24, seed))
}

// response reads the result of a call.
func (d *requestDecoder) response(b *chat.Block, v tape.Value) error {
	b.Kind = chat.ToolResult
	if d.inner == nil {
		d.inner = d.r.MakeBlocks(min(cap(d.blocks)/2+1, 1024))
	}
	from := len(d.inner)
	var parts tape.Value
	err := d.inPart(".functionResponse").members(v, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "id":
			b.ID = v.Literal()
		case "name":
			b.Name = v.Literal()
		case "response":
			d.resultText(v)
		case "parts":
			parts = v
		case "willContinue", "scheduling":
			d.extra("contents[].parts[].functionResponse."+string(word), v)
		}
		return nil
	})
	if err == nil {
		err = d.resultParts(parts)
	}
	if err != nil {
		return err
	}
	end := len(d.inner)
	b.Content = d.inner[from:end:end]
	b.ID = d.answered(b)
	return nil
}

// resultParts reads what a result holds beside its text.
func (d *requestDecoder) resultParts(parts tape.Value) error {
	for element := range list(parts).each {
		if d.count++; d.count > maxBlocks {
			return chat.Invalid("contents", fmt.Sprintf("a request has at most %d parts", maxBlocks))
		}
		var p part
		p.readMembers(element)
		var err error
		switch {
		case p.inline.Exists():
			err = inlineData(next(&d.inner), p.inline, d.inPart(".functionResponse.parts[].inlineData"))
		case p.file.Exists():
			err = fileData(next(&d.inner), p.file, d.inPart(".functionResponse.parts[].fileData"))
		default:
			err = d.inPart(".functionResponse.parts[]").mustBe("", "an object with inlineData or fileData")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// onlyText returns the text that is all that a result holds: under "output", where
// the documentation wants it, or under "content" beside the function's name, where
// the Google adapter of the AI SDK puts it; Absent if it holds something else.
func onlyText(v tape.Value) (text tape.Value) {
	switch v.Len() {
	case 1:
		text = v.Get("output")
	case 2:
		if v.Get("name").Kind() == tape.String {
			text = v.Get("content")
		}
	}
	if text.Kind() != tape.String {
		return tape.Value{}
	}
	return text
}

// resultText reads the text of a result: the only one in it, or the whole object.
func (d *requestDecoder) resultText(v tape.Value) {
	text := onlyText(v).Literal()
	if text == nil {
		text = v.Literal()
	}
	if text == nil {
		text = chat.AppendQuoted(nil, v.Raw())
	}
	if !text.Empty() {
		next(&d.inner).Text = text
	}
}

// answered returns the id of the call that a result is for, and takes the call
// off the list: the one with the same id, or else the first one of that name, or
// else the first one. A result that follows no call keeps what it has.
func (d *requestDecoder) answered(b *chat.Block) chat.Literal {
	found := none
	for i, number := range d.calls {
		call := &d.blocks[number]
		if !b.ID.Empty() && call.ID.Equal(b.ID) {
			found = i
			break
		}
		if found == none && call.Name.Equal(b.Name) && (b.ID.Empty() || isMade(call.ID)) {
			found = i
		}
	}
	if found == none && b.ID.Empty() && len(d.calls) > 0 {
		found = 0
	}
	if found == none {
		if b.ID.Empty() {
			return d.madeID(b.Name)
		}
		return b.ID
	}
	id := d.blocks[d.calls[found]].ID
	d.calls = append(d.calls[:found], d.calls[found+1:]...)
	return id
}

// isMade says that an id looks like one that madeID made.
func isMade(id chat.Literal) bool {
	return len(id) == len(`"call_"`)+24 && bytes.HasPrefix(id, []byte(`"call_`))
}
