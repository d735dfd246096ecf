package gemini

import (
	"crypto/rand"
	"slices"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// answer is the members of an answer, or of a chunk of one.
type answer struct {
	failure, candidates, feedback, usage, id, model tape.Value
	// Of the first candidate. grounding and recited say what it is taken from.
	parts, reason, message, grounding, recited, logprobs tape.Value
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
		a.candidate(candidate)
		break
	}
	return a
}

// candidate finds the members of a candidate.
func (a *answer) candidate(v tape.Value) {
	for key, value := range v.Members {
		switch string(canonical(key)) {
		case "content":
			a.parts = value.Get("parts")
		case "finishReason":
			a.reason = value
		case "finishMessage":
			a.message = value
		case "groundingMetadata":
			a.grounding = value
		case "citationMetadata":
			a.recited = value
		case "logprobsResult":
			a.logprobs = value
		}
	}
}

// reasonOf is the finishReason of a candidate.
func reasonOf(candidate tape.Value) tape.Value {
	if v := candidate.Get("finishReason"); v.Exists() {
		return v
	}
	return candidate.Get("finish_reason")
}

// readAnswer finds the members of an answer and checks that it is one.
func readAnswer(doc tape.Value) (answer, error) {
	a := membersOf(doc)
	switch {
	case format.IsFailure(a.failure):
		return a, errorIn(doc)
	case a.candidates.Kind() != tape.Array && a.feedback.Kind() != tape.Object && a.usage.Kind() != tape.Object:
		return a, chat.BadAnswer("the upstream's answer is no response of Gemini's: it has no candidates")
	default:
		return a, nil
	}
}

// InspectResponse implements format.ResponseCodec. An array is the stream of a
// server that was not asked for events.
func (GenerateContent) InspectResponse(doc tape.Value) (chat.Usage, error) {
	var c counts
	if doc.Kind() != tape.Array {
		a, err := readAnswer(doc)
		if err != nil {
			return chat.Usage{}, err
		}
		c.take(a.usage)
		return c.usage(), nil
	}
	if doc.Len() == 0 {
		return chat.Usage{}, emptyArray()
	}
	for chunk := range doc.Elements {
		a, err := readAnswer(chunk)
		if err != nil {
			return chat.Usage{}, err
		}
		c.take(a.usage)
	}
	return c.usage(), nil
}

// DecodeResponse implements format.ResponseCodec. Of several candidates the first
// one counts. An array is folded: it is the stream of a server that was not asked
// for events.
func (GenerateContent) DecodeResponse(doc tape.Value) (*chat.Response, error) {
	if doc.Kind() == tape.Array {
		return fold(doc)
	}
	a, err := readAnswer(doc)
	if err != nil {
		return nil, err
	}
	if length(a.parts) > maxAnswerBlocks {
		return nil, tooManyBlocks()
	}
	r := &chat.Response{ID: a.id.Literal(), Model: a.model.Literal()}
	grounded := a.grounding.Exists() || a.recited.Exists()
	textOf, err := readParts(r, a.parts, grounded)
	if err != nil {
		return nil, err
	}
	if grounded {
		cite(r.Blocks, textOf, citedIn(a.grounding, a.recited))
	}
	if a.logprobs.Exists() {
		setLogprobs(r.Blocks, neutralLogprobs(a.logprobs))
	}
	r.Stop = stopOf(a.reason, a.message, callsTools(r.Blocks))
	if reason := blockReason(a.feedback); reason.Exists() && !isReason(a.reason) {
		r.Stop = blockedStop(reason)
	}
	if a.candidates.Len() > 1 {
		r.Lost.Lose("candidates")
	}
	if r.Stop.Reason == chat.StopOther && a.message.Exists() {
		r.Lost.Approximate("finishReason " + r.Stop.Native)
	}
	var c counts
	c.take(a.usage)
	r.Usage = c.usage()
	return r, nil
}

// readParts reads the parts of an answer. If it is grounded, textOf are the
// numbers of the blocks of text that they have become; none for those that are no
// text.
func readParts(r *chat.Response, parts tape.Value, grounded bool) (textOf []int, err error) {
	for element := range list(parts).each {
		b, ok, err := answerBlock(element)
		if err != nil {
			return nil, err
		}
		if grounded {
			textOf = append(textOf, none)
			if ok && b.Kind == chat.Text {
				textOf[len(textOf)-1] = len(r.Blocks)
			}
		}
		if !ok {
			continue
		}
		if b.Kind == chat.ToolUse && b.ID.Empty() {
			b.ID = madeID(r.ID, len(r.Blocks))
		}
		r.Blocks = append(r.Blocks, b)
	}
	return textOf, nil
}

// callsTools says that there is a call among the blocks of an answer.
func callsTools(blocks []chat.Block) bool {
	return slices.ContainsFunc(blocks, func(b chat.Block) bool { return b.Kind == chat.ToolUse })
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
	case p.inline.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, "inlineData", v.Raw(), origin
		return b, true, nil
	case p.file.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, "fileData", v.Raw(), origin
		return b, true, nil
	case p.other.Exists():
		b.Kind, b.Type, b.Raw, b.Origin = chat.Opaque, format.Bounded(p.word, 64), v.Raw(), origin
		return b, true, nil
	default:
		p.speak(&b)
		return b, !b.Text.Empty() || b.Signature != nil, nil
	}
}

// madeID is the id of a call that the upstream gave none: different in every
// answer, since the client sends it back among the others.
func madeID(answer []byte, number int) chat.Literal {
	if len(answer) <= len(`""`) {
		return chat.Quote("call_" + rand.Text()[:24])
	}
	seed := append(make([]byte, 0, len(answer)+8), answer...)
	return chat.Quote("call_" + format.Digest(24, strconv.AppendInt(seed, int64(number), 10)))
}
