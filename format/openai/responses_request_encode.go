package openai

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Limits of the format.
const (
	minOutputTokens    = 16
	maxResponsesCallID = 64
)

// EncodeRequest implements format.RequestCodec.
func (Responses) EncodeRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	e := responsesEncoder{requestEncoder: requestEncoder{b: b, r: r, to: to, speech: "Responses"}}
	e.planParts()
	e.led = e.marking && anyMark(r.System)
	e.level = e.effort()
	b.Str(`{"model":`)
	b.Quote(to.Model)
	e.input()
	if e.err != nil {
		return e.report, e.err
	}
	if !e.leads() {
		e.instructions()
	}
	e.tools()
	e.sampling()
	e.reasoning()
	e.text()
	e.identity()
	e.storage()
	e.include()
	if r.Stream {
		e.b.Str(`,"stream":true`)
	}
	e.extra()
	b.Byte('}')
	return e.report, e.err
}

// responsesEncoder writes one request.
type responsesEncoder struct {
	requestEncoder
	level   string // how much the model is to reason; "" leaves it to the model
	thought bool   // reasoning of an earlier answer was sent
	led     bool   // what stands before the conversation has a cache mark
}

// speaks says that the client's own format is this one, so that what has no
// neutral meaning may be sent as it was.
func (e *responsesEncoder) speaks() bool { return e.r.Format == originResponses }

// leads says that what stands before the conversation is its first message, as it
// is where it has a cache mark, for which instructions have no place, or where
// nothing else is said.
func (e *responsesEncoder) leads() bool { return e.led || len(e.r.Turns) == 0 }

// systemRole is the role of instructions within the conversation.
func (e *responsesEncoder) systemRole() string {
	if e.to.Can.DeveloperRole {
		return "developer"
	}
	return "system"
}

// instructions writes what stands before the conversation.
func (e *responsesEncoder) instructions() {
	any := false
	for i := range e.r.System {
		b := &e.r.System[i]
		switch {
		case b.Kind == chat.Opaque:
			e.drop("system." + b.Type)
			continue
		case b.Kind != chat.Text || b.Text.Blank():
			continue
		case any:
			e.b.Str(`\n\n`)
		default:
			any = true
			e.field("instructions")
			e.b.Byte('"')
		}
		e.noCache(b)
		e.b.Raw(b.Text.Inner())
	}
	if any {
		e.b.Byte('"')
	}
}

// sampling writes what shapes the answer's text. The format has no words for the
// rest, and many models take less than the format.
func (e *responsesEncoder) sampling() {
	r := e.r
	if n, ok := r.MaxTokens.Int(); ok && n < minOutputTokens {
		e.report.Clamp("max_tokens")
		e.raw("max_output_tokens", chat.NumberOf(minOutputTokens))
	} else {
		e.raw("max_output_tokens", r.MaxTokens)
	}
	can, free := &e.to.Can, sampled(&e.to.Can, e.level)
	switch {
	case free:
		e.temperature()
	case r.Temperature != nil:
		e.drop("temperature")
	}
	e.taken("top_p", r.TopP, free && (can.Sampling != capability.SamplingNotBoth || r.Temperature == nil))
	switch {
	case r.Logprobs != chat.True:
	case free:
		e.raw("top_logprobs", r.TopLogprobs)
	default:
		e.lose("logprobs")
	}
	e.taken("top_k", r.TopK, false)
	e.taken("frequency_penalty", r.FrequencyPenalty, false)
	e.taken("presence_penalty", r.PresencePenalty, false)
	e.taken("seed", r.Seed, false)
	e.taken("logit_bias", r.LogitBias, false)
	if len(r.Stop) > 0 {
		e.lose("stop")
	}
	if n, ok := r.N.Int(); ok && n > 1 {
		e.lose("n")
	}
}

// identity writes who asks, and how the provider is to treat it. Of all formats
// this one knows the tier "ultrafast".
func (e *responsesEncoder) identity() {
	r := e.r
	e.endUser("safety_identifier")
	e.raw("metadata", r.Metadata)
	if e.speaks() || r.ServiceTier.Is("ultrafast") {
		e.raw("service_tier", r.ServiceTier)
		return
	}
	e.serviceTier()
}

// text writes the form of the answer's text.
func (e *responsesEncoder) text() {
	out := e.r.Output
	if out.Kind == chat.OutputText {
		if e.r.Verbosity != nil {
			e.field("text")
			e.b.Str(`{"verbosity":`)
			e.b.Raw(e.r.Verbosity)
			e.b.Byte('}')
		}
		return
	}
	e.field("text")
	if out.Kind == chat.OutputJSONObject {
		e.b.Str(`{"format":{"type":"json_object"}`)
	} else {
		e.b.Str(`{"format":{"type":"json_schema","name":`)
		e.outputSchema(&out)
		e.b.Byte('}')
	}
	e.raw("verbosity", e.r.Verbosity)
	e.b.Byte('}')
}

// storage tells whether the provider may keep the answer. It does so by default,
// which clients of other formats do not expect.
func (e *responsesEncoder) storage() {
	store := e.r.Store
	if !e.speaks() {
		store = max(store, chat.False)
	}
	e.truth("store", store)
}

// extra restores the fields of a request that came in this very format, and
// reports those of others.
func (e *responsesEncoder) extra() {
	for _, f := range e.r.Extra {
		switch {
		case f.Name == "prompt_cache_key" && familyField(e.r, f.Name) && f.Value[0] == '"':
			e.field(f.Name)
			if e.key(chat.Literal(f.Value)) {
				e.approximate(f.Name)
			}
		case (e.speaks() || familyField(e.r, f.Name)) && !nested(f.Name):
			e.field(f.Name)
			e.b.Raw(f.Value)
		case f.Name == "tools[].format" && sameFamily(e.r.Format): // sent with the tool
		case meaningful(e.r, f.Name):
			e.lose(f.Name)
		default:
			e.drop(f.Name)
		}
	}
}

// meaningful says that a field of Chat's changes what the answer is.
func meaningful(r *chat.Request, name string) bool {
	switch name {
	case "prediction", "audio", "modalities", "web_search_options":
		return r.Format == origin
	default:
		return false
	}
}
