package gemini

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// call reads a call of a function. Calls without an id get one by their place,
// which is the same whenever the conversation is sent again.
func (d *requestDecoder) call(b *chat.Block, v tape.Value) error {
	b.Kind = chat.ToolUse
	err := members(v, d.partPath(".functionCall"), func(word string, v tape.Value) error {
		switch word {
		case "id":
			b.ID = v.Literal()
		case "name":
			b.Name = v.Literal()
		case "args":
			if v.Kind() != tape.Object {
				return mustBe(d.partPath(".functionCall.args"), "an object")
			}
			b.Arguments.Object = v.Raw()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b.Name.Empty() {
		return mustBe(d.partPath(".functionCall.name"), "a string with the function's name")
	}
	if b.ID.Empty() {
		b.ID = d.madeID(b.Name)
	}
	if len(d.calls) == maxCalls {
		return chat.Invalid("contents", fmt.Sprintf("a content has at most %d function calls", maxCalls))
	}
	d.calls = append(d.calls, len(d.blocks))
	return nil
}

// madeID is the id of a call that the client gave none.
func (d *requestDecoder) madeID(name chat.Literal) chat.Literal {
	d.made++
	seed := append(strconv.AppendInt(nil, int64(d.made), 10), unescaped(name)...)
	return chat.Quote("call_" + digest(24, seed))
}

// response reads the result of a call.
func (d *requestDecoder) response(b *chat.Block, v tape.Value) error {
	b.Kind = chat.ToolResult
	var parts tape.Value
	err := members(v, d.partPath(".functionResponse"), func(word string, v tape.Value) error {
		switch word {
		case "id":
			b.ID = v.Literal()
		case "name":
			b.Name = v.Literal()
		case "response":
			b.Content = append(b.Content, resultText(v)...)
		case "parts":
			parts = v
		case "willContinue", "scheduling":
			d.extra("contents[].parts[].functionResponse."+word, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for element := range list(parts).each {
		if d.count++; d.count > maxBlocks {
			return chat.Invalid("contents", fmt.Sprintf("a request has at most %d parts", maxBlocks))
		}
		var p part
		p.readMembers(element)
		var medium chat.Block
		path := d.partPath(".functionResponse.parts[]")
		switch {
		case p.inline.Exists():
			err = inlineData(&medium, p.inline, path+".inlineData")
		case p.file.Exists():
			err = fileData(&medium, p.file, path+".fileData")
		default:
			err = mustBe(path, "an object with inlineData or fileData")
		}
		if err != nil {
			return err
		}
		b.Content = append(b.Content, medium)
	}
	b.ID = d.answered(b)
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

// resultText returns the text of a result: the only one in it, or the whole
// object.
func resultText(v tape.Value) []chat.Block {
	text := onlyText(v).Literal()
	if text == nil {
		text = v.Literal()
	}
	switch {
	case text == nil:
		text = chat.AppendQuoted(nil, v.Raw())
	case text.Empty():
		return nil
	}
	return []chat.Block{{Kind: chat.Text, Text: text}}
}

// answered returns the id of the call that a result is for, and takes the call
// off the list: the one with the same id, or else the first one of that name, or
// else the first one. A result that follows no call keeps what it has.
func (d *requestDecoder) answered(b *chat.Block) chat.Literal {
	found := none
	for i, number := range d.calls {
		call := &d.blocks[number]
		if !b.ID.Empty() && sameText(call.ID, b.ID) {
			found = i
			break
		}
		if found == none && sameText(call.Name, b.Name) && (b.ID.Empty() || isMade(call.ID)) {
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
