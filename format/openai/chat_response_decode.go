package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
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
	case format.IsFailure(failure):
		return choices, errorIn(doc)
	case choices.Kind() != tape.Array:
		return choices, chat.BadAnswer("the upstream's answer is no chat completion: it has no choices")
	default:
		return choices, nil
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
	message := choice.Member("message")
	if message.Kind() != tape.Object {
		return nil, chat.BadAnswer("the upstream's answer has no message")
	}
	r := &chat.Response{
		ID:    doc.Member("id").Literal(),
		Model: doc.Member("model").Literal(),
	}
	r.Created, _ = doc.Get("created").Int()
	d := answerDecoder{r: r, id: r.ID.Unescaped()}
	if err := d.message(message); err != nil {
		return nil, err
	}
	d.logprobs(choice.Member("logprobs"))
	if choices.Len() > 1 {
		r.Lost.Lose("choices")
	}
	r.Stop = stopOf(choice.Member("finish_reason").Literal(), d.has)
	if r.Stop.Reason == chat.StopEnd {
		metSequence(&r.Stop, choice.Member("stop_reason"))
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
