package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// config begins a member of generationConfig.
func (e *requestEncoder) config(name string) {
	if e.configured {
		e.field(name)
		return
	}
	e.configured = true
	e.field("generationConfig")
	e.b.Str(`{"`)
	e.b.Str(name)
	e.b.Str(`":`)
}

// raw writes a member of generationConfig if it has a value.
func (e *requestEncoder) raw(name string, value []byte) {
	if value != nil {
		e.config(name)
		e.b.Raw(value)
	}
}

// generation writes what shapes the answer.
func (e *requestEncoder) generation() {
	r := e.r
	e.maxTokens()
	e.sampling()
	e.stop()
	if r.Seed != nil {
		if n, ok := r.Seed.Int(); ok && n == int64(int32(n)) {
			e.raw("seed", r.Seed)
		} else {
			e.drop("seed")
		}
	}
	switch n, ok := r.N.Int(); {
	case !ok || n == 1:
	case e.own:
		e.raw("candidateCount", r.N)
	default:
		// The neutral form has one answer: nobody would see the others, though they
		// would be paid for.
		e.lose("n")
	}
	if r.Logprobs == chat.True {
		e.config("responseLogprobs")
		e.b.Str("true")
		e.raw("logprobs", r.TopLogprobs)
	}
	e.output()
	e.thinking()
	e.others("generationConfig.")
	if e.configured {
		e.b.Byte('}')
	}
}

// maxTokens writes how long the answer may be. More than the model can is refused,
// so it is lowered to that.
func (e *requestEncoder) maxTokens() {
	limit := e.to.Can.MaxOutput
	if n, ok := e.r.MaxTokens.Int(); ok && limit > 0 && n > int64(limit) {
		e.raw("maxOutputTokens", chat.NumberOf(int64(limit)))
		e.lost(chat.Loss{Path: "max_tokens", Reason: chat.Clamped})
		return
	}
	e.raw("maxOutputTokens", e.r.MaxTokens)
}

// sampling writes the parameters of sampling.
func (e *requestEncoder) sampling() {
	r := e.r
	temperature := r.Temperature
	if f, ok := temperature.Float(); ok && f > 2 {
		temperature = chat.Number("2")
		e.lost(chat.Loss{Path: "temperature", Reason: chat.Clamped})
	} else if ok && f < 0 {
		temperature = chat.Number("0")
		e.lost(chat.Loss{Path: "temperature", Reason: chat.Clamped})
	}
	fixed := e.to.Can.Sampling == capability.SamplingNone
	for _, f := range [...]struct {
		name, path string
		value      chat.Number
		refused    bool
	}{
		{"temperature", "temperature", temperature, fixed},
		{"topP", "top_p", r.TopP, fixed},
		{"topK", "top_k", r.TopK, fixed},
		{"frequencyPenalty", "frequency_penalty", r.FrequencyPenalty, e.to.Can.NoPenalties},
		{"presencePenalty", "presence_penalty", r.PresencePenalty, e.to.Can.NoPenalties},
	} {
		switch {
		case f.value == nil:
		case f.refused:
			e.drop(f.path)
		default:
			e.raw(f.name, f.value)
		}
	}
}

// maxStops is how many stop sequences the format takes.
const maxStops = 5

// stop writes the stop sequences.
func (e *requestEncoder) stop() {
	n := 0
	for _, s := range e.r.Stop {
		switch {
		case s.Empty():
			continue
		case n == maxStops:
			e.lose("stop")
			e.b.Byte(']')
			return
		case n == 0:
			e.config("stopSequences")
			e.b.Byte('[')
		default:
			e.b.Byte(',')
		}
		n++
		e.b.Raw(s)
	}
	if n > 0 {
		e.b.Byte(']')
	}
}

// output writes the form of the answer's text.
func (e *requestEncoder) output() {
	out := &e.r.Output
	if out.Kind == chat.OutputText {
		return
	}
	e.config("responseMimeType")
	e.b.Str(`"application/json"`)
	if out.Kind != chat.OutputJSONSchema || out.Schema == nil {
		return
	}
	if !out.Description.Empty() {
		e.drop("response_format.json_schema.description")
	}
	if e.to.OwnSchemas {
		e.config("responseSchema")
		e.ownSchema(out.Schema, "response_format")
		return
	}
	e.config("responseJsonSchema")
	e.b.Raw(out.Schema)
}
