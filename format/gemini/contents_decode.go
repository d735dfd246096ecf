package gemini

import (
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
	d.r.Turns = d.r.MakeTurns(length(v))
	d.blocks = d.r.MakeBlocks(length(v))
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
func (d *requestDecoder) content(content tape.Value) error {
	var role, parts tape.Value
	err := members(content, d.path(""), func(word string, v tape.Value) error {
		switch word {
		case "role":
			role = v
		case "parts":
			parts = v
		default:
			d.unknown("contents[].", content, word, v)
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

// says says that a part holds a text, if only the signature of an empty one: Go's
// SDK leaves out empty texts.
func (p *part) says() bool { return p.text.Exists() || !p.signature.Literal().Empty() }

// speak makes the text of a part that of a block, which is a thought or not.
func (p *part) speak(b *chat.Block) {
	b.Text = orEmpty(p.text.Literal())
	if p.thought {
		b.Kind, b.Origin = chat.Thinking, origin
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
	case p.text.Exists() && p.text.Kind() != tape.String:
		err = mustBe(d.partPath(".text"), "a string")
	case !p.says():
		return nil
	case p.thought && role != chat.Assistant:
		return nil // Only the model thinks.
	default:
		p.speak(&b)
	}
	if b.Signature != nil {
		b.Origin, b.Signature = readSignature(b.Signature)
	}
	d.blocks = append(d.blocks, b)
	return err
}
