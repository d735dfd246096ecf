package gemini

import (
	"fmt"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// contentsDecoder is what must be known while the conversation is read.
type contentsDecoder struct {
	// at is the number of the content being read, and part that of its part, for
	// errors.
	at, part int
	// blocks holds the blocks of all turns, and inner those in results.
	blocks, inner []chat.Block
	count         int
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
		return chat.MustBe("contents", "an array with at least one content")
	case n > maxContents:
		return chat.Invalid("contents", fmt.Sprintf("a request has at most %d contents", maxContents))
	}
	d.contents = true
	d.r.Turns = d.r.MakeTurns(length(v))
	parts := 0
	for element := range list(v).each {
		parts += max(length(element.Get("parts")), 1)
	}
	d.blocks = d.r.MakeBlocks(min(parts, maxContents))
	for element := range list(v).each {
		if err := d.content(element); err != nil {
			return err
		}
		d.at++
	}
	return nil
}

// here is a place in the content being read.
func (d *contentsDecoder) here(below string) place {
	return place{field: "contents", number: d.at, part: none, below: below}
}

// inPart is a place in the part being read.
func (d *contentsDecoder) inPart(below string) place {
	return place{field: "contents", number: d.at, part: d.part, below: below}
}

// content reads one content.
func (d *requestDecoder) content(content tape.Value) error {
	var role, parts tape.Value
	err := d.here("").members(content, func(word []byte, v tape.Value) error {
		switch string(word) {
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
		return d.here(".role").mustBe("", "user or model")
	}
	if parts.Exists() && parts.Kind() < tape.Array {
		return d.here(".parts").mustBe("", "an array of parts")
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
	return at("systemInstruction").members(v, func(word []byte, v tape.Value) error {
		if string(word) != "parts" {
			return nil // The role means nothing.
		}
		if length(v) > maxBlocks {
			return chat.MustBe("systemInstruction.parts", "an array of texts")
		}
		for element := range list(v).each {
			text := element.Get("text").Literal()
			if text == nil {
				return chat.MustBe("systemInstruction.parts", "an array of texts: instructions hold nothing else")
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
		if !value.Present() {
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

// isText says that a part holds nothing but a text, if anything.
func (p *part) isText() bool {
	return !p.call.Exists() && !p.response.Exists() && !p.inline.Exists() && !p.file.Exists() && !p.other.Exists() &&
		(!p.text.Exists() || p.text.Kind() == tape.String)
}

// speak makes the text of a part that of a block, which is a thought or not.
func (p *part) speak(b *chat.Block) {
	b.Text = p.text.Literal().OrEmpty()
	if p.thought {
		b.Kind, b.Origin = chat.Thinking, origin
	}
}

// readPart reads one part into the open turn.
func (d *requestDecoder) readPart(v tape.Value, role chat.Role) error {
	if v.Kind() != tape.Object {
		return d.inPart("").mustBe("", "an object")
	}
	var p part
	p.readMembers(v)
	for _, word := range [...]string{"videoMetadata", "mediaResolution", "partMetadata"} {
		if extra := v.Get(word); extra.Present() {
			d.extra("contents[].parts[]."+word, extra)
		}
	}
	if p.isText() && (!p.says() || p.thought && role != chat.Assistant) {
		return nil // Only the model thinks.
	}
	b := next(&d.blocks)
	if err := d.fill(b, &p, v); err != nil {
		return err
	}
	if signature := p.signature.Literal(); !signature.Empty() {
		b.Origin, b.Signature = readSignature(signature)
	}
	return nil
}

// fill makes a block of a part, which is v.
func (d *requestDecoder) fill(b *chat.Block, p *part, v tape.Value) error {
	switch {
	case p.call.Exists():
		return d.call(b, p.call)
	case p.response.Exists():
		return d.response(b, p.response)
	case p.inline.Exists():
		return inlineData(b, p.inline, d.inPart(".inlineData"))
	case p.file.Exists():
		return fileData(b, p.file, d.inPart(".fileData"))
	case p.other.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, format.Bounded(p.word, 64), v.Raw(), origin
	case p.text.Exists() && p.text.Kind() != tape.String:
		return d.inPart(".text").mustBe("", "a string")
	default:
		p.speak(b)
	}
	return nil
}

// next adds an empty block to a list. Blocks are large, and the memory behind the
// list was never used: it need not be written.
func next(list *[]chat.Block) *chat.Block {
	if n := len(*list); n < cap(*list) {
		*list = (*list)[:n+1]
	} else {
		*list = append(*list, chat.Block{})
	}
	return &(*list)[len(*list)-1]
}
