package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// maxStop is how many stop sequences the format takes.
const maxStop = 4

// sampling writes what shapes the answer's text, as far as the model takes it
// with the effort that it is sent.
func (e *requestEncoder) sampling(effort string) {
	r, can := e.r, &e.to.Can
	// Reasoning models refuse the older name, which older servers know only.
	if e.to.LegacyMaxTokens && !can.Reasons {
		e.raw("max_tokens", r.MaxTokens)
	} else {
		e.raw("max_completion_tokens", r.MaxTokens)
	}
	free := sampled(can, effort)
	switch {
	case free:
		e.temperature()
	case r.Temperature != nil:
		e.drop("temperature")
	}
	e.taken("top_p", r.TopP, free && (can.Sampling != capability.SamplingNotBoth || r.Temperature == nil))
	e.taken("top_k", r.TopK, false)
	e.taken("frequency_penalty", r.FrequencyPenalty, !can.NoPenalties && !can.Reasons)
	e.taken("presence_penalty", r.PresencePenalty, !can.NoPenalties && !can.Reasons)
	e.raw("seed", r.Seed)
	e.answers()
	e.logprobs(free)
	e.taken("logit_bias", r.LogitBias, !can.Reasons)
	e.stop()
}

// sampled says that the model can be told a temperature and the like with an
// effort.
func sampled(can *capability.Model, effort string) bool {
	switch can.Sampling {
	case capability.SamplingNone:
		return false
	case capability.SamplingEffortNone:
		return effort == "none"
	default:
		return true
	}
}

// taken writes a member that the model takes, and reports it otherwise.
func (e *requestEncoder) taken(name string, value []byte, takes bool) {
	switch {
	case takes:
		e.raw(name, value)
	case value != nil:
		e.drop(name)
	}
}

// temperature writes the temperature, within 0 and 2.
func (e *requestEncoder) temperature() {
	t := e.r.Temperature
	if t == nil {
		return
	}
	switch f, ok := t.Float(); {
	case ok && f > 2:
		t = chat.Number("2")
	case ok && f < 0:
		t = chat.Number("0")
	default:
		e.raw("temperature", t)
		return
	}
	e.report.Clamp("temperature")
	e.raw("temperature", t)
}

// answers writes how many answers are wanted. The neutral form of an answer holds
// one, so that others would be paid for and thrown away.
func (e *requestEncoder) answers() {
	if e.r.N == nil {
		return
	}
	if n, ok := e.r.N.Int(); ok && n > 1 && !e.speaks() {
		e.lose("n")
		return
	}
	e.raw("n", e.r.N)
}

// logprobs asks for the probabilities of tokens.
func (e *requestEncoder) logprobs(free bool) {
	r := e.r
	switch {
	case free && (r.Logprobs == chat.True || e.speaks()):
		e.truth("logprobs", r.Logprobs)
		e.raw("top_logprobs", r.TopLogprobs)
	case r.Logprobs == chat.True:
		e.lose("logprobs")
	}
}

// stop writes the stop sequences.
func (e *requestEncoder) stop() {
	sequences := e.r.Stop
	if len(sequences) > 0 && e.to.Can.Reasons {
		e.lose("stop")
		return
	}
	if len(sequences) > maxStop {
		sequences = sequences[:maxStop]
		e.lost(chat.Loss{Path: "stop", Reason: chat.Clamped, Meaning: true})
	}
	if len(sequences) == 0 {
		return
	}
	e.field("stop")
	separator := byte('[')
	for _, s := range sequences {
		e.b.Byte(separator)
		e.b.Raw(s)
		separator = ','
	}
	e.b.Byte(']')
}

// tiers are the tiers of service of all formats in OpenAI's words.
var tiers = map[string]string{
	"auto": "auto", "default": "default", "flex": "flex", "scale": "scale", "priority": "priority", "fast": "fast",
	"ultrafast":     "priority", // known to the Responses format only
	"standard_only": "default",  // Anthropic
	"standard":      "default",  // Gemini
}

// serviceTier writes how the provider is to treat the request. Words that are not
// known are those of compatible servers, which clients of OpenAI's formats mean.
func (e *requestEncoder) serviceTier() {
	tier := e.r.ServiceTier
	if tier.Empty() {
		return
	}
	word := tier.String()
	known, ok := tiers[strings.ToLower(word)]
	switch {
	case e.speaks():
		e.raw("service_tier", tier)
		return
	case !ok && sameFamily(e.r.Format):
		known = word
	case !ok:
		e.drop("service_tier")
		return
	case known != word && word == "ultrafast":
		e.approximate("service_tier")
	}
	e.field("service_tier")
	e.b.Quote(known)
}
