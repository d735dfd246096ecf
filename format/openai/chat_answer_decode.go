package openai

import (
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// answerDecoder reads the message of an answer.
type answerDecoder struct {
	r   *chat.Response
	id  []byte
	has content
	// spare takes what comes above maxAnswerBlocks; overfull says that something
	// did.
	spare    chat.Block
	overfull bool
}

// maxAnswerBlocks is how many blocks an answer may have.
const maxAnswerBlocks = 4096

// check refuses an answer with too many blocks.
func (d *answerDecoder) check() error {
	if d.overfull {
		return chat.BadAnswer("the upstream's answer has too many blocks of content")
	}
	return nil
}

// add adds a block to the answer.
func (d *answerDecoder) add(kind chat.BlockKind) *chat.Block {
	if len(d.r.Blocks) == maxAnswerBlocks {
		d.overfull = true
		d.spare = chat.Block{Kind: kind}
		return &d.spare
	}
	d.r.Blocks = append(d.r.Blocks, chat.Block{Kind: kind})
	return &d.r.Blocks[len(d.r.Blocks)-1]
}

// text adds a text of some kind, unless it is empty.
func (d *answerDecoder) text(kind chat.BlockKind, l chat.Literal) {
	if l.Empty() {
		return
	}
	b := d.add(kind)
	b.Text = l
	if kind == chat.Thinking {
		b.Origin = origin
	}
}

// message reads the whole message.
func (d *answerDecoder) message(v tape.Value) error {
	calls := v.Member("tool_calls")
	d.r.Blocks = make([]chat.Block, 0, 2+min(calls.Len(), 64))
	d.reasoning(v)
	d.content(v.Member("content"))
	d.audio(v.Member("audio"))
	d.citations(v.Member("annotations"))
	if refusal := v.Member("refusal").Literal(); !refusal.Empty() {
		d.text(chat.Refusal, refusal)
		d.has.refusal = true
	}
	for call := range calls.Elements {
		if err := d.call(call); err != nil {
			return err
		}
	}
	if call := v.Member("function_call"); call.Kind() == tape.Object && !d.has.tools {
		return d.called(d.add(chat.ToolUse), call)
	}
	return d.check()
}

// audio reads spoken text. The sound itself has no place in the neutral form.
func (d *answerDecoder) audio(v tape.Value) {
	if !v.Exists() {
		return
	}
	d.r.Lost.Lose("audio")
	if d.lastText() == nil {
		d.text(chat.Text, v.Member("transcript").Literal())
	}
}

// lastText is the latest block of text; nil if there is none.
func (d *answerDecoder) lastText() *chat.Block {
	for i := len(d.r.Blocks) - 1; i >= 0; i-- {
		if b := &d.r.Blocks[i]; b.Kind == chat.Text {
			return b
		}
	}
	return nil
}

// citations gives the text the places that it is taken from. If there are several
// texts, it is not known which one is meant.
func (d *answerDecoder) citations(v tape.Value) {
	b := d.lastText()
	if b == nil {
		return
	}
	texts := 0
	for i := range d.r.Blocks {
		texts += count01(d.r.Blocks[i].Kind == chat.Text)
	}
	for annotation := range v.Elements {
		if c, ok := pageIn(annotation, texts == 1); ok && len(b.Citations) < maxCitations {
			b.Citations = append(b.Citations, c)
		}
	}
}

// logprobs gives the texts the probabilities of their tokens.
func (d *answerDecoder) logprobs(v tape.Value) {
	content, refusal := logprobsIn(v.Get("content")), logprobsIn(v.Get("refusal"))
	for i := range d.r.Blocks {
		switch b := &d.r.Blocks[i]; {
		case b.Kind == chat.Text && content != nil:
			b.Logprobs, content = content, nil
		case b.Kind == chat.Refusal && refusal != nil:
			b.Logprobs, refusal = refusal, nil
		}
	}
}

// reasoning reads what the model thought: servers name it differently, and some
// name it twice. The form with a signature says most.
func (d *answerDecoder) reasoning(v tape.Value) {
	details := v.Get("reasoning_details")
	found := false
	for detail := range details.Elements {
		text, signature := ownDetail(detail)
		if text.Empty() && signature == nil {
			continue
		}
		found = true
		b := d.add(chat.Thinking)
		b.Text, b.Signature, b.Origin = text.OrEmpty(), signature, origin
	}
	if found {
		return
	}
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if thought := v.Get(name).Literal(); !thought.Empty() {
			d.text(chat.Thinking, thought)
			return
		}
	}
}

// content reads a string, or the parts that Mistral sends.
func (d *answerDecoder) content(v tape.Value) {
	d.text(chat.Text, v.Literal())
	for part := range v.Elements {
		kind, l := partText(part)
		d.text(kind, l)
		for thought := range part.Get("thinking").Elements {
			d.text(chat.Thinking, thought.Get("text").Literal())
		}
	}
}

// partText returns the text of a part of an answer's content.
func partText(part tape.Value) (chat.BlockKind, chat.Literal) {
	switch kind := part.Get("type"); {
	case kind.Is("text"):
		return chat.Text, part.Get("text").Literal()
	case kind.Is("refusal"):
		return chat.Refusal, part.Get("refusal").Literal()
	case kind.Is("thinking"):
		return chat.Thinking, part.Get("thinking").Literal()
	default:
		return chat.Text, nil
	}
}

// call reads a call of a tool.
func (d *answerDecoder) call(v tape.Value) error {
	b := d.add(chat.ToolUse)
	b.ID = v.Member("id").Literal()
	b.Signature, b.Origin = callSignature(v)
	if custom := v.Member("custom"); custom.Exists() {
		b.Arguments.Object = customInput(custom.Member("input"))
		return d.called(b, custom)
	}
	return d.called(b, v.Member("function"))
}

// called reads what is called, and with which arguments.
func (d *answerDecoder) called(b *chat.Block, function tape.Value) error {
	d.has.tools = true
	b.Name = function.Member("name").Literal()
	if b.Name.Empty() {
		return chat.BadAnswer("the upstream's answer calls a tool without a name")
	}
	if b.ID.Empty() {
		b.ID = madeID(d.id, b.Name, len(d.r.Blocks))
	}
	switch arguments := function.Member("arguments"); arguments.Kind() {
	case tape.String:
		b.Arguments.Text = arguments.Literal()
	case tape.Object:
		b.Arguments.Object = arguments.Raw()
	}
	return nil
}

// customInput is the argument of a tool that takes any text, as an object.
func customInput(input tape.Value) chat.Raw {
	if input.Kind() != tape.String {
		return nil
	}
	object := append([]byte(`{"input":`), input.Raw()...)
	return append(object, '}')
}

// madeID is the id of a call that the upstream gave none: different in every
// answer, since the client sends it back among the others.
func madeID(answer []byte, name chat.Literal, number int) chat.Literal {
	return chat.Quote("call_" + format.Digest(24, answer, name, strconv.AppendInt(nil, int64(number), 10)))
}
