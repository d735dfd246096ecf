package gemini

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// contentsDecoder is what must be known while the conversation is read.
type contentsDecoder struct {
	// at is the number of the content being read, and part that of its part, for
	// errors.
	at, part int
	// blocks holds the blocks of all turns.
	blocks []chat.Block
	count  int
	// calls are the calls of the latest answer that have no result yet: the
	// numbers of their blocks.
	calls []int
	// made counts the ids that were made up.
	made int
}

// readContents reads the conversation.
func (d *requestDecoder) readContents(v tape.Value) error {
	switch n := length(v); {
	case v.Kind() < tape.Array || n == 0:
		return mustBe("contents", "an array with at least one content")
	case n > maxContents:
		return chat.Invalid("contents", fmt.Sprintf("a request has at most %d contents", maxContents))
	}
	d.contents = true
	d.r.Turns = make([]chat.Turn, 0, length(v))
	d.blocks = make([]chat.Block, 0, length(v))
	for element := range list(v).each {
		if err := d.content(element); err != nil {
			return err
		}
		d.at++
	}
	return nil
}

// path names a place in the content being read.
func (d *requestDecoder) path(below string) string {
	return "contents[" + strconv.Itoa(d.at) + "]" + below
}

// partPath names a place in the part being read.
func (d *requestDecoder) partPath(below string) string {
	return d.path(".parts[" + strconv.Itoa(d.part) + "]" + below)
}

// content reads one content.
func (d *requestDecoder) content(v tape.Value) error {
	var role, parts tape.Value
	err := members(v, d.path(""), func(word string, v tape.Value) error {
		switch word {
		case "role":
			role = v
		case "parts":
			parts = v
		default:
			d.extra("contents[]."+word, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	turn := chat.Turn{Role: chat.User}
	switch {
	case !role.Exists(), role.Is("user"), role.Is("function"), role.Is("tool"), role.Is(""):
	case role.Is("model"):
		turn.Role = chat.Assistant
	default:
		return mustBe(d.path(".role"), "user or model")
	}
	if parts.Exists() && parts.Kind() < tape.Array {
		return mustBe(d.path(".parts"), "an array of parts")
	}
	from := len(d.blocks)
	if turn.Role == chat.Assistant && (len(d.r.Turns) == 0 || d.r.Turns[len(d.r.Turns)-1].Role != chat.Assistant) {
		d.calls = d.calls[:0]
	}
	d.part = 0
	for element := range list(parts).each {
		if d.count++; d.count > maxBlocks {
			return chat.Invalid("contents", fmt.Sprintf("a request has at most %d parts", maxBlocks))
		}
		if err := d.readPart(element, turn.Role); err != nil {
			return err
		}
		d.part++
	}
	end := len(d.blocks)
	turn.Blocks = d.blocks[from:end:end]
	d.r.Turns = append(d.r.Turns, turn)
	return nil
}

// system reads the instructions that stand before the conversation.
func (d *requestDecoder) system(v tape.Value) error {
	if text := v.Literal(); text != nil {
		d.r.System = []chat.Block{{Kind: chat.Text, Text: text}}
		return nil
	}
	return members(v, "systemInstruction", func(word string, v tape.Value) error {
		if word != "parts" {
			return nil // The role means nothing.
		}
		if length(v) > maxBlocks {
			return mustBe("systemInstruction.parts", "an array of texts")
		}
		for element := range list(v).each {
			text := element.Get("text").Literal()
			if text == nil {
				return mustBe("systemInstruction.parts", "an array of texts: instructions hold nothing else")
			}
			d.r.System = append(d.r.System, chat.Block{Kind: chat.Text, Text: text})
		}
		return nil
	})
}

// part is the members of a part.
type part struct {
	text, signature, inline, file, call, response tape.Value
	thought                                       bool
	// other is what a part holds that no other format knows, and word its name.
	other tape.Value
	word  string
}

// readMembers finds the members of a part.
func (p *part) readMembers(v tape.Value) {
	for key, value := range v.Members {
		if !present(value) {
			continue
		}
		switch word := canonical(key); string(word) {
		case "text":
			p.text = value
		case "thought":
			p.thought = value.Bool()
		case "thoughtSignature":
			p.signature = value
		case "inlineData":
			p.inline = value
		case "fileData":
			p.file = value
		case "functionCall":
			p.call = value
		case "functionResponse":
			p.response = value
		case "videoMetadata", "mediaResolution", "partMetadata":
		default:
			p.other, p.word = value, string(word)
		}
	}
}

// readPart reads one part into the open turn.
func (d *requestDecoder) readPart(v tape.Value, role chat.Role) error {
	if v.Kind() != tape.Object {
		return mustBe(d.partPath(""), "an object")
	}
	var p part
	p.readMembers(v)
	for _, word := range [...]string{"videoMetadata", "mediaResolution", "partMetadata"} {
		if extra := v.Get(word); present(extra) {
			d.extra("contents[].parts[]."+word, extra)
		}
	}
	b := chat.Block{Signature: p.signature.Literal()}
	if b.Signature.Empty() {
		b.Signature = nil
	}
	var err error
	switch {
	case p.call.Exists():
		err = d.call(&b, p.call)
	case p.response.Exists():
		err = d.response(&b, p.response)
	case p.inline.Exists():
		err = inlineData(&b, p.inline, d.partPath(".inlineData"))
	case p.file.Exists():
		err = fileData(&b, p.file, d.partPath(".fileData"))
	case p.other.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, format.Bounded(p.word, 64), v.Raw(), origin
	case p.text.Kind() == tape.String:
		b.Text = p.text.Literal()
		if p.thought {
			b.Kind, b.Origin = chat.Thinking, origin
			if role != chat.Assistant {
				return nil // Only the model thinks.
			}
		}
	case p.text.Exists():
		err = mustBe(d.partPath(".text"), "a string")
	case b.Signature != nil:
		b.Text = chat.Literal(`""`)
	default:
		return nil // Nothing is said.
	}
	if b.Signature != nil {
		b.Origin = origin
	}
	d.blocks = append(d.blocks, b)
	return err
}

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

// resultText returns the text of a result: that under "output", where the
// documentation wants it, or the whole object.
func resultText(v tape.Value) []chat.Block {
	if v.Kind() == tape.Object && v.Len() == 1 {
		if output := v.Get("output"); output.Kind() == tape.String {
			if output.Is("") {
				return nil
			}
			return []chat.Block{{Kind: chat.Text, Text: output.Literal()}}
		}
	}
	if text := v.Literal(); text != nil {
		return []chat.Block{{Kind: chat.Text, Text: text}}
	}
	return []chat.Block{{Kind: chat.Text, Text: chat.AppendQuoted(nil, v.Raw())}}
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
