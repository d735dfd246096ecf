package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// versionWithoutSampling is the anthropic-version that refuses temperature, top_p
// and top_k, even with their default values.
const versionWithoutSampling = "2026-10-21"

// sampling writes what shapes the answer's text, and reports what the format has
// no word for.
func (e *requestEncoder) sampling() {
	r := e.r
	if e.to.Can.Sampling == capability.SamplingNone || e.to.AnthropicVersion == versionWithoutSampling {
		e.dropIf("temperature", r.Temperature != nil)
		e.dropIf("top_p", r.TopP != nil)
		e.dropIf("top_k", r.TopK != nil)
	} else {
		e.temperatureAndTop()
	}
	e.stop()
	e.dropIf("frequency_penalty", r.FrequencyPenalty != nil)
	e.dropIf("presence_penalty", r.PresencePenalty != nil)
	e.dropIf("seed", r.Seed != nil)
	e.dropIf("logit_bias", r.LogitBias != nil)
	e.dropIf("verbosity", r.Verbosity != nil)
	e.dropIf("store", r.Store == chat.True)
	e.dropIf("metadata", r.Metadata != nil)
	if r.Logprobs == chat.True || r.TopLogprobs != nil {
		e.lose("logprobs")
	}
}

// dropIf reports a field that was left out if the client had set it.
func (e *requestEncoder) dropIf(path string, set bool) {
	if set {
		e.drop(path)
	}
}

// temperatureAndTop writes temperature, top_p and top_k. Models from Claude 4.1
// on refuse temperature beside top_p.
func (e *requestEncoder) temperatureAndTop() {
	r := e.r
	temperature := e.temperature()
	if temperature != nil && r.TopP != nil {
		e.drop("top_p")
	} else {
		e.topP()
	}
	e.raw("temperature", temperature)
	if r.TopK != nil && e.thinking.thinks() {
		e.drop("top_k")
	} else {
		e.raw("top_k", r.TopK)
	}
}

// temperature returns the temperature that is sent: one between 0 and 1, and
// none but 1 beside thinking.
func (e *requestEncoder) temperature() chat.Number {
	t := e.r.Temperature
	f, ok := t.Float()
	switch {
	case !ok:
		return nil
	case e.thinking.thinks() && f != 1:
		e.drop("temperature")
		return nil
	case f > 1:
		e.report.Clamp("temperature")
		return chat.Number("1")
	case f < 0:
		e.report.Clamp("temperature")
		return chat.Number("0")
	default:
		return t
	}
}

// topP writes top_p. Beside thinking it may not be below 0.95.
func (e *requestEncoder) topP() {
	if f, ok := e.r.TopP.Float(); ok && e.thinking.thinks() && f < 0.95 {
		e.drop("top_p")
		return
	}
	e.raw("top_p", e.r.TopP)
}

// stop writes the stop sequences. Anthropic refuses those of white space only.
func (e *requestEncoder) stop() {
	any := false
	for _, s := range e.r.Stop {
		switch {
		case s.Blank():
			e.lose("stop")
			continue
		case any:
			e.b.Byte(',')
		default:
			any = true
			e.field("stop_sequences")
			e.b.Byte('[')
		}
		e.b.Raw(s)
	}
	if any {
		e.b.Byte(']')
	}
}
