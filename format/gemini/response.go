package gemini

import (
	"crypto/rand"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// answer is the members of an answer, or of a chunk of one.
type answer struct {
	failure, candidates, feedback, usage, id, model tape.Value
	// Of the first candidate.
	parts, reason tape.Value
}

// membersOf finds the members of an answer.
func membersOf(doc tape.Value) (a answer) {
	for key, value := range doc.Members {
		switch string(canonical(key)) {
		case "error":
			a.failure = value
		case "candidates":
			a.candidates = value
		case "promptFeedback":
			a.feedback = value
		case "usageMetadata":
			a.usage = value
		case "responseId":
			a.id = value
		case "modelVersion":
			a.model = value
		}
	}
	for candidate := range a.candidates.Elements {
		if n, ok := candidate.Get("index").Int(); ok && n != 0 {
			continue // The neutral form has one answer.
		}
		a.parts = candidate.Get("content").Get("parts")
		a.reason = reasonOf(candidate)
		break
	}
	return a
}

// reasonOf is the finishReason of a candidate.
func reasonOf(candidate tape.Value) tape.Value {
	if v := candidate.Get("finishReason"); v.Exists() {
		return v
	}
	return candidate.Get("finish_reason")
}

// isFailure says that the error member of an answer tells an error.
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

// readAnswer finds the members of an answer and checks that it is one.
func readAnswer(doc tape.Value) (answer, error) {
	if doc.Kind() == tape.Array {
		// An error of a stream without alt=sse.
		for element := range doc.Elements {
			if isFailure(membersOf(element).failure) {
				return answer{}, errorIn(element)
			}
			break
		}
	}
	a := membersOf(doc)
	switch {
	case isFailure(a.failure):
		return a, errorIn(doc)
	case a.candidates.Kind() != tape.Array && a.feedback.Kind() != tape.Object && a.usage.Kind() != tape.Object:
		return a, chat.BadAnswer("the upstream's answer is no response of Gemini's: it has no candidates")
	default:
		return a, nil
	}
}

// InspectResponse implements format.ResponseCodec.
func (GenerateContent) InspectResponse(doc tape.Value) (chat.Usage, error) {
	a, err := readAnswer(doc)
	if err != nil {
		return chat.Usage{}, err
	}
	var c counts
	c.take(a.usage)
	return c.usage(), nil
}

// DecodeResponse implements format.ResponseCodec. Of several candidates the first
// one counts.
func (GenerateContent) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	a, err := readAnswer(doc)
	if err != nil {
		return nil, err
	}
	if length(a.parts) > maxAnswerBlocks {
		return nil, tooManyBlocks()
	}
	r := &chat.Response{ID: a.id.Literal(), Model: a.model.Literal()}
	tools := false
	for element := range list(a.parts).each {
		b, ok, err := answerBlock(element)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if b.Kind == chat.ToolUse {
			tools = true
			if b.ID.Empty() {
				b.ID = madeID(r.ID, len(r.Blocks))
			}
		}
		r.Blocks = append(r.Blocks, b)
	}
	r.Stop = stopOf(a.reason, tools)
	if reason := blockReason(a.feedback); reason.Exists() && !isReason(a.reason) {
		r.Stop = blockedStop(reason)
	}
	var c counts
	c.take(a.usage)
	r.Usage = c.usage()
	return r, nil
}

// maxAnswerBlocks is how many blocks an answer may have.
const maxAnswerBlocks = 4096

func tooManyBlocks() *chat.Error {
	return chat.BadAnswer("the upstream's answer has too many parts")
}

// namelessCall is the error of a call without a name.
func namelessCall() *chat.Error {
	return chat.BadAnswer("the upstream's answer calls a function without a name")
}

// answerBlock reads a part of an answer; ok is false if it says nothing.
func answerBlock(v tape.Value) (b chat.Block, ok bool, err error) {
	var p part
	p.readMembers(v)
	if s := p.signature.Literal(); !s.Empty() {
		b.Signature, b.Origin = s, origin
	}
	switch {
	case p.call.Exists():
		b.Kind, b.ID, b.Name = chat.ToolUse, p.call.Get("id").Literal(), p.call.Get("name").Literal()
		if b.Name.Empty() {
			return b, false, namelessCall()
		}
		if args := p.call.Get("args"); args.Kind() == tape.Object {
			b.Arguments.Object = args.Raw()
		}
		return b, true, nil
	case p.text.Kind() == tape.String:
		b.Text = p.text.Literal()
		if p.thought {
			b.Kind, b.Origin = chat.Thinking, origin
		}
		return b, !b.Text.Empty() || b.Signature != nil, nil
	case p.inline.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, "inlineData", v.Raw(), origin
		return b, true, nil
	case p.file.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, "fileData", v.Raw(), origin
		return b, true, nil
	case p.other.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, format.Bounded(p.word, 64), v.Raw(), origin
		return b, true, nil
	case b.Signature != nil:
		b.Text = chat.Literal(`""`)
		return b, true, nil
	default:
		return b, false, nil
	}
}

// madeID is the id of a call that the upstream gave none: different in every
// answer, since the client sends it back among the others.
func madeID(answer []byte, number int) chat.Literal {
	if len(answer) <= len(`""`) {
		return chat.Quote("call_" + rand.Text()[:24])
	}
	seed := append(make([]byte, 0, len(answer)+8), answer...)
	return chat.Quote("call_" + digest(24, strconv.AppendInt(seed, int64(number), 10)))
}

// showsThoughts says that the client asked for the thoughts: the format shows
// them to nobody else.
func showsThoughts(x *chat.Exchange) bool {
	if x.Request == nil {
		return false
	}
	summary := x.Request.Reasoning.Summary
	return summary != "" && summary != "omitted"
}

// EncodeResponse implements format.ResponseCodec.
func (GenerateContent) EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report) {
	var report chat.Report
	thoughts, refusal := showsThoughts(x), false
	dst = append(dst, beforeParts...)
	from := len(dst)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		end := len(dst)
		if end > from {
			dst = append(dst, ',')
		}
		before := len(dst)
		dst = appendPart(dst, b, x, thoughts, &report)
		if len(dst) == before {
			dst = dst[:end]
			continue
		}
		refusal = refusal || b.Kind == chat.Refusal
	}
	if len(dst) == from {
		dst = append(dst, emptyPart...)
	}
	dst = append(dst, afterParts...)
	dst = appendFinish(dst, &r.Stop, refusal)
	dst = append(dst, `,"index":0}],"usageMetadata":`...)
	dst = appendUsage(dst, &r.Usage)
	dst = append(dst, ',')
	return appendTail(dst, r.ID, x), report
}

// What stands around the parts of an answer and of a chunk. There are clients
// that expect at least one part.
const (
	beforeParts = `{"candidates":[{"content":{"parts":[`
	emptyPart   = `{"text":""}`
	afterParts  = `],"role":"model"}`
)

// appendFinish appends why the answer ended.
func appendFinish(dst []byte, s *chat.Stop, refusal bool) []byte {
	dst = append(dst, `,"finishReason":"`...)
	dst = append(dst, finishReason(s.Reason, refusal)...)
	return append(dst, '"')
}

// appendTail appends the last members of an answer or a chunk.
func appendTail(dst []byte, id chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `"modelVersion":`...)
	dst = chat.AppendQuoted(dst, x.Model)
	dst = append(dst, `,"responseId":`...)
	if id.Empty() {
		dst = chat.AppendQuoted(dst, x.RequestID)
	} else {
		dst = append(dst, id...)
	}
	return append(dst, '}')
}

// appendPart appends a block of an answer; nothing if it is empty or has no
// place in the format.
func appendPart(dst []byte, b *chat.Block, x *chat.Exchange, thoughts bool, report *chat.Report) []byte {
	signature := ownSignature(b)
	switch b.Kind {
	case chat.Text, chat.Refusal:
		if b.Text.Empty() && signature == nil {
			return dst
		}
		dst = append(dst, `{"text":`...)
		dst = append(dst, orEmpty(b.Text)...)
	case chat.Thinking:
		if !thoughts || b.Text.Empty() && signature == nil {
			return dst
		}
		dst = append(dst, `{"text":`...)
		dst = append(dst, orEmpty(b.Text)...)
		dst = append(dst, `,"thought":true`...)
	case chat.ToolUse:
		dst = appendCall(dst, b.ID, b.Name, x)
		var whole bool
		if dst, whole = appendArgs(dst, b.Arguments); !whole {
			report.Approximate("tool_calls[].arguments")
		}
		dst = append(dst, '}')
	case chat.RedactedThinking:
		report.Drop("content.redacted_thinking")
		return dst
	case chat.Opaque:
		if b.Origin != origin {
			report.Drop("content." + b.Type)
			return dst
		}
		return appendLine(dst, b.Raw)
	default:
		report.Lose("content." + kindNames[b.Kind])
		return dst
	}
	if signature != nil {
		dst = append(dst, `,"thoughtSignature":`...)
		dst = append(dst, signature...)
	}
	return append(dst, '}')
}

// appendCall begins a call of a function, under the client's own name of it, up
// to the value of its arguments.
func appendCall(dst []byte, id, name chat.Literal, x *chat.Exchange) []byte {
	dst = append(dst, `{"functionCall":{`...)
	if !id.Empty() {
		dst = append(dst, `"id":`...)
		dst = append(dst, id...)
		dst = append(dst, ',')
	}
	dst = append(dst, `"name":`...)
	dst = append(dst, orEmpty(x.Names.Original(name))...)
	return append(dst, `,"args":`...)
}
