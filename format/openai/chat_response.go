package openai

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// InspectResponse implements format.ResponseCodec.
func (Chat) InspectResponse(doc tape.Value) (chat.Usage, error) {
	var c counts
	choices, err := answer(doc, &c)
	if err != nil {
		return chat.Usage{}, err
	}
	if failed := failedChoice(choices); failed != nil {
		return chat.Usage{}, failed
	}
	return c.usage(), nil
}

// answer checks that doc is an answer, and returns its choices.
func answer(doc tape.Value, c *counts) (choices tape.Value, err error) {
	var failure tape.Value
	for key, value := range doc.Members {
		switch {
		case key.Is("choices"):
			choices = value
		case key.Is("usage"):
			c.read(value)
		case key.Is("error"):
			failure = value
		}
	}
	switch {
	case isFailure(failure):
		return choices, errorIn(doc)
	case choices.Kind() != tape.Array:
		return choices, chat.BadAnswer("the upstream's answer is no chat completion: it has no choices")
	default:
		return choices, nil
	}
}

// isFailure says that the error member of an answer tells an error. Some servers
// send null, or an empty string, with every answer.
func isFailure(v tape.Value) bool {
	switch v.Kind() {
	case tape.Object:
		return v.Len() > 0
	case tape.String:
		return !v.Is("")
	default:
		return false
	}
}

// failedChoice returns the error of an answer that says so in its finish_reason,
// nil if there is none.
func failedChoice(choices tape.Value) error {
	for choice := range choices.Elements {
		if choice.Get("finish_reason").Is("error") {
			return errorIn(choice)
		}
	}
	return nil
}

// DecodeResponse implements format.ResponseCodec. Of several choices the first
// one counts.
func (Chat) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	var c counts
	choices, err := answer(doc, &c)
	if err != nil {
		return nil, err
	}
	choice := first(choices)
	if choice.Kind() != tape.Object {
		return nil, chat.BadAnswer("the upstream's answer has no choice")
	}
	if failed := failedChoice(choices); failed != nil {
		return nil, failed
	}
	message := member(choice, "message")
	if message.Kind() != tape.Object {
		return nil, chat.BadAnswer("the upstream's answer has no message")
	}
	r := &chat.Response{
		ID:    member(doc, "id").Literal(),
		Model: member(doc, "model").Literal(),
	}
	r.Created, _ = doc.Get("created").Int()
	d := answerDecoder{r: r, id: unescaped(r.ID)}
	if err := d.message(message); err != nil {
		return nil, err
	}
	r.Stop = stopOf(member(choice, "finish_reason").Literal(), d.has)
	if r.Stop.Reason == chat.StopEnd {
		metSequence(&r.Stop, member(choice, "stop_reason"))
	}
	r.Usage = c.usage()
	return r, nil
}

// metSequence reads which stop sequence was met, as vLLM tells it.
func metSequence(s *chat.Stop, v tape.Value) {
	if sequence := v.Literal(); !sequence.Empty() {
		s.Reason, s.Sequence = chat.StopSequence, sequence
	}
}

// first returns the choice with the index 0.
func first(choices tape.Value) tape.Value {
	var found tape.Value
	for choice := range choices.Elements {
		if index, ok := choice.Get("index").Int(); !found.Exists() && (!ok || index <= 0) {
			found = choice
		}
	}
	return found
}

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
	calls := member(v, "tool_calls")
	d.r.Blocks = make([]chat.Block, 0, 2+min(calls.Len(), 64))
	d.reasoning(v)
	d.content(member(v, "content"))
	if len(d.r.Blocks) == 0 {
		d.text(chat.Text, member(member(v, "audio"), "transcript").Literal())
	}
	if refusal := member(v, "refusal").Literal(); !refusal.Empty() {
		d.text(chat.Refusal, refusal)
		d.has.refusal = true
	}
	for call := range calls.Elements {
		if err := d.call(call); err != nil {
			return err
		}
	}
	if call := member(v, "function_call"); call.Kind() == tape.Object && !d.has.tools {
		return d.called(d.add(chat.ToolUse), call)
	}
	return d.check()
}

// reasoning reads what the model thought: servers name it differently, and some
// name it twice.
func (d *answerDecoder) reasoning(v tape.Value) {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		if thought := v.Get(name).Literal(); !thought.Empty() {
			d.text(chat.Thinking, thought)
			return
		}
	}
	for detail := range v.Get("reasoning_details").Elements {
		d.text(chat.Thinking, reasoningDetail(detail))
	}
}

// reasoningDetail is the text of an element of reasoning_details.
func reasoningDetail(v tape.Value) chat.Literal {
	if text := v.Get("text").Literal(); text != nil {
		return text
	}
	return v.Get("summary").Literal()
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
	b.ID = member(v, "id").Literal()
	if custom := member(v, "custom"); custom.Exists() {
		b.Arguments.Object = customInput(member(custom, "input"))
		return d.called(b, custom)
	}
	return d.called(b, member(v, "function"))
}

// called reads what is called, and with which arguments.
func (d *answerDecoder) called(b *chat.Block, function tape.Value) error {
	d.has.tools = true
	b.Name = member(function, "name").Literal()
	if b.Name.Empty() {
		return chat.BadAnswer("the upstream's answer calls a tool without a name")
	}
	if b.ID.Empty() {
		b.ID = madeID(d.id, b.Name, len(d.r.Blocks))
	}
	switch arguments := member(function, "arguments"); arguments.Kind() {
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
	return chat.Quote("call_" + digest(24, answer, name, strconv.AppendInt(nil, int64(number), 10)))
}

// EncodeResponse implements format.ResponseCodec.
func (Chat) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	dst = append(dst, `{"id":`...)
	dst = appendID(dst, r.ID, x)
	dst = append(dst, `,"object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, created(r, x), 10)
	dst = append(dst, `,"model":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"choices":[{"index":0,"message":`...)
	dst, has := appendMessage(dst, r, x, &report)
	dst = append(dst, `,"logprobs":null,"finish_reason":"`...)
	dst = append(dst, finishReason(r.Stop.Reason, has, x.LegacyFunctions)...)
	dst = append(dst, `"}],"usage":`...)
	dst = appendUsage(dst, &r.Usage)
	return append(dst, '}'), report
}

// created is when the answer was made.
func created(r *chat.Response, x *chat.Exchange) int64 {
	if x.Created != 0 {
		return x.Created
	}
	return r.Created
}

// appendID appends the id of an answer, made from the upstream's own.
func appendID(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	return appendPrefixed(dst, "chatcmpl-", id, x)
}

// appendPrefixed appends the id of an answer with a prefix, made from the
// upstream's own.
func appendPrefixed(dst []byte, prefix string, id chat.Literal, x *chat.Exchange) []byte {
	switch {
	case id.Empty():
		return chat.AppendQuoted(dst, prefix+strings.TrimPrefix(x.RequestID, prefix))
	case bytes.HasPrefix(id.Inner(), []byte(prefix)):
		return append(dst, id...)
	}
	dst = append(dst, '"')
	dst = append(dst, prefix...)
	dst = append(dst, id.Inner()...)
	return append(dst, '"')
}

// appendMessage appends the message of an answer, and says what it holds.
func appendMessage(dst []byte, r *chat.Response, x *chat.Exchange, report *chat.Report) ([]byte, content) {
	var has content
	texts, thinking := false, false
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch b.Kind {
		case chat.Text:
			texts = texts || !b.Text.Empty()
		case chat.Thinking:
			thinking = thinking || !b.Text.Empty()
		case chat.ToolUse:
			has.tools = true
		case chat.Refusal:
			has.refusal = has.refusal || !b.Text.Empty()
		case chat.RedactedThinking:
		case chat.Opaque:
			report.Drop("content." + b.Type)
		default:
			report.Lose("content." + kindName(b.Kind))
		}
	}
	dst = append(dst, `{"role":"assistant","content":`...)
	switch {
	case !texts && (has.tools || has.refusal):
		dst = append(dst, "null"...)
	default:
		dst = appendJoined(dst, r.Blocks, chat.Text)
	}
	if thinking {
		dst = append(dst, `,"reasoning_content":`...)
		dst = appendJoined(dst, r.Blocks, chat.Thinking)
	}
	dst = append(dst, `,"refusal":`...)
	if has.refusal {
		dst = appendJoined(dst, r.Blocks, chat.Refusal)
	} else {
		dst = append(dst, "null"...)
	}
	if has.tools {
		dst = appendCalls(dst, r, x, report)
	}
	return append(dst, '}'), has
}

// appendJoined appends the texts of one kind as one string.
func appendJoined(dst []byte, blocks []chat.Block, kind chat.BlockKind) []byte {
	dst = append(dst, '"')
	for i := range blocks {
		if blocks[i].Kind == kind {
			dst = append(dst, blocks[i].Text.Inner()...)
		}
	}
	return append(dst, '"')
}

// appendCalls appends the tool calls of an answer. Clients that know functions
// only can be told one.
func appendCalls(dst []byte, r *chat.Response, x *chat.Exchange, report *chat.Report) []byte {
	number := 0
	for i := range r.Blocks {
		b := &r.Blocks[i]
		switch {
		case b.Kind != chat.ToolUse:
			continue
		case number > 0 && x.LegacyFunctions:
			report.Lose("tool_calls")
			return dst
		case x.LegacyFunctions:
			dst = append(dst, `,"function_call":`...)
			dst = appendFunction(dst, b, x)
			number++
			continue
		case number == 0:
			dst = append(dst, `,"tool_calls":[`...)
		default:
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		if b.ID.Empty() {
			dst = append(dst, madeID([]byte(x.RequestID), b.Name, number)...)
		} else {
			dst = append(dst, b.ID...)
		}
		dst = append(dst, `,"type":"function","function":`...)
		dst = appendFunction(dst, b, x)
		dst = append(dst, '}')
		number++
	}
	if x.LegacyFunctions {
		return dst
	}
	return append(dst, ']')
}

// appendFunction appends what is called, under the client's own name of it.
func appendFunction(dst []byte, b *chat.Block, x *chat.Exchange) []byte {
	dst = append(dst, `{"name":`...)
	dst = append(dst, orEmpty(x.Names.Original(b.Name))...)
	dst = append(dst, `,"arguments":`...)
	switch {
	case len(b.Arguments.Object) > 0:
		dst = chat.AppendQuoted(dst, []byte(b.Arguments.Object))
	case b.Arguments.Text.Blank():
		dst = append(dst, `"{}"`...)
	default:
		dst = append(dst, b.Arguments.Text...)
	}
	return append(dst, '}')
}

// orEmpty is the literal, or that of the empty string if it is absent.
func orEmpty(l chat.Literal) chat.Literal {
	if l == nil {
		return chat.Literal(`""`)
	}
	return l
}
