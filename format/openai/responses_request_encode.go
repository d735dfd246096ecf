package openai

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Limits of the format.
const (
	minOutputTokens      = 16
	maxResponsesToolName = 128
	maxResponsesCallID   = 64
)

// EncodeRequest implements format.RequestCodec.
func (Responses) EncodeRequest(b *format.Body, r *chat.Request, to chat.Target) (chat.Report, error) {
	e := responsesEncoder{requestEncoder: requestEncoder{b: b, r: r, to: to, speech: "Responses"}}
	b.Str(`{"model":`)
	b.Quote(to.Model)
	e.input()
	if e.err != nil {
		return e.report, e.err
	}
	e.instructions()
	e.tools()
	e.sampling()
	e.reasoning()
	e.text()
	e.identity()
	e.storage()
	e.include()
	if r.Stream {
		e.raw("stream", []byte("true"))
	}
	e.extra()
	b.Byte('}')
	return e.report, e.err
}

// responsesEncoder writes one request.
type responsesEncoder struct {
	requestEncoder
	thought bool // reasoning of an earlier answer was sent
}

// speaks says that the client's own format is this one, so that what has no
// neutral meaning may be sent as it was.
func (e *responsesEncoder) speaks() bool { return e.r.Format == originResponses }

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

// toolName returns the name under which a tool is sent.
func (e *responsesEncoder) toolName(l chat.Literal) chat.Literal {
	return sentName(l, maxResponsesToolName)
}

// tools writes the tools and how they may be used.
func (e *responsesEncoder) tools() {
	any := false
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if t.Type != "" && !e.speaks() {
			e.lost(chat.Loss{Path: "tools." + t.Type, Reason: chat.Unsupported, Meaning: true})
			continue
		}
		if any {
			e.b.Byte(',')
		} else {
			e.field("tools")
			e.b.Byte('[')
			any = true
		}
		e.tool(t)
	}
	if any {
		e.b.Byte(']')
		e.toolChoice()
		e.truth("parallel_tool_calls", e.r.ParallelTools)
		return
	}
	if e.r.ToolChoice.Mode != chat.ToolUnset && e.r.ToolChoice.Mode != chat.ToolNone {
		e.drop("tool_choice")
	}
	if e.r.ParallelTools != chat.Unset {
		e.drop("parallel_tool_calls")
	}
}

// tool writes the definition of a tool. Absent strictness would mean strict
// here, so it is always told.
func (e *responsesEncoder) tool(t *chat.Tool) {
	if t.Type != "" {
		e.b.Raw(t.Raw)
		return
	}
	if t.Cache != nil {
		e.drop("cache_control")
	}
	sent := e.toolName(t.Name)
	e.b.Str(`{"type":"`)
	e.b.Str(e.toolType(t))
	e.b.Str(`","name":`)
	e.b.Raw(sent)
	e.raw("description", t.Description)
	if t.Custom != nil {
		e.raw("format", t.Custom)
	} else {
		e.field("parameters")
		if t.Schema == nil {
			e.b.Str(`{"type":"object","properties":{}}`)
		} else {
			e.schema(t.Schema)
		}
		e.truth("strict", max(t.Strict, chat.False))
	}
	e.b.Byte('}')
	if !bytes.Equal(sent, t.Name) {
		e.to.Names.Add(sent.String(), t.Name)
		e.lost(chat.Loss{Path: "tools[].name", Reason: chat.Approximated})
	}
}

// toolType is the type of a tool that the client runs.
func (e *responsesEncoder) toolType(t *chat.Tool) string {
	if t.Custom != nil || t.Type == "custom" {
		return "custom"
	}
	return "function"
}

// find returns the tool with a name, nil if it is not sent.
func (e *responsesEncoder) find(name chat.Literal) *chat.Tool {
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if t.Name != nil && sameText(t.Name, name) && (t.Type == "" || e.speaks()) {
			return t
		}
	}
	return nil
}

// toolChoice writes which tools may or must be called. A choice of tools that
// are not sent is left out.
func (e *responsesEncoder) toolChoice() {
	choice := &e.r.ToolChoice
	var word string
	switch choice.Mode {
	case chat.ToolAuto:
		word = "auto"
	case chat.ToolAny:
		word = "required"
	case chat.ToolNone:
		word = "none"
	case chat.ToolNamed, chat.ToolAllowed:
		e.chosenTools(choice)
		return
	default:
		return
	}
	e.field("tool_choice")
	e.b.Quote(word)
}

// chosenTools demands a tool, or permits some.
func (e *responsesEncoder) chosenTools(choice *chat.ToolChoice) {
	any := false
	for _, n := range choice.Names {
		t := e.find(n)
		if t == nil {
			e.lost(chat.Loss{Path: "tool_choice", Reason: chat.Unsupported, Meaning: true})
			continue
		}
		switch {
		case any:
			e.b.Byte(',')
		case choice.Mode == chat.ToolNamed:
			e.field("tool_choice")
		case choice.Required:
			e.field("tool_choice")
			e.b.Str(`{"type":"allowed_tools","mode":"required","tools":[`)
		default:
			e.field("tool_choice")
			e.b.Str(`{"type":"allowed_tools","mode":"auto","tools":[`)
		}
		any = true
		e.b.Str(`{"type":"`)
		e.b.Str(e.toolType(t))
		e.b.Str(`","name":`)
		e.b.Raw(e.toolName(t.Name))
		e.b.Byte('}')
		if choice.Mode == chat.ToolNamed {
			return
		}
	}
	if any {
		e.b.Str("]}")
	}
}

// sampling writes what shapes the answer's text. The format has no words for the
// rest.
func (e *responsesEncoder) sampling() {
	r := e.r
	if n, ok := r.MaxTokens.Int(); ok && n < minOutputTokens {
		e.report.Clamp("max_tokens")
		e.raw("max_output_tokens", chat.NumberOf(minOutputTokens))
	} else {
		e.raw("max_output_tokens", r.MaxTokens)
	}
	e.temperature()
	e.raw("top_p", r.TopP)
	if r.Logprobs == chat.True {
		e.raw("top_logprobs", r.TopLogprobs)
	}
	for _, f := range [...]struct {
		path  string
		value []byte
	}{
		{"top_k", r.TopK},
		{"frequency_penalty", r.FrequencyPenalty},
		{"presence_penalty", r.PresencePenalty},
		{"seed", r.Seed},
		{"logit_bias", r.LogitBias},
	} {
		if f.value != nil {
			e.drop(f.path)
		}
	}
	if len(r.Stop) > 0 {
		e.lost(chat.Loss{Path: "stop", Reason: chat.Unsupported, Meaning: true})
	}
	if n, ok := r.N.Int(); ok && n > 1 && e.err == nil {
		e.err = chat.Invalid("n", "a request for more than one answer cannot be sent to this model, whose upstream speaks OpenAI's Responses format")
	}
}

// reasoning writes how much the model is to reason and what it shows of it.
func (e *responsesEncoder) reasoning() {
	effort, summary := e.effort(), e.r.Reasoning.Summary
	switch summary {
	case "summarized":
		summary = "auto"
	case "omitted":
		summary = ""
	}
	if effort == "" && summary == "" {
		return
	}
	e.field("reasoning")
	separator := `{"`
	for _, m := range [...]struct{ name, value string }{{"effort", effort}, {"summary", summary}} {
		if m.value != "" {
			e.b.Str(separator)
			e.b.Str(m.name)
			e.b.Str(`":`)
			e.b.Quote(m.value)
			separator = `,"`
		}
	}
	e.b.Byte('}')
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
		if out.Name.Empty() {
			e.b.Str(`"response"`)
		} else {
			e.b.Raw(out.Name)
		}
		e.raw("description", out.Description)
		e.raw("schema", out.Schema)
		e.truth("strict", out.Strict)
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

// include asks for what answers do not hold by default: the reasoning in sealed
// form, which the client sends back with the next request, where the request
// shows that the model reasons. Models that do not refuse to send it.
func (e *responsesEncoder) include() {
	for i := range e.r.Extra {
		if e.speaks() && e.r.Extra[i].Name == "include" {
			return // restored as it was
		}
	}
	sealed := e.thought || e.r.Reasoning.State == chat.ReasoningOn || e.r.Reasoning.Summary != ""
	logprobs := e.r.Logprobs == chat.True
	switch {
	case sealed && logprobs:
		e.raw("include", []byte(`["`+includeReasoning+`","`+includeLogprobs+`"]`))
	case sealed:
		e.raw("include", []byte(`["`+includeReasoning+`"]`))
	case logprobs:
		e.raw("include", []byte(`["`+includeLogprobs+`"]`))
	}
}

// extra restores the fields of a request that came in this very format, and
// reports those of others.
func (e *responsesEncoder) extra() {
	for _, f := range e.r.Extra {
		switch {
		case (e.speaks() || familyField(e.r, f.Name)) && !nested(f.Name):
			e.field(f.Name)
			e.b.Raw(f.Value)
		case f.Name == "tools[].format" && e.speaks(): // sent with the tool
		case meaningful(e.r, f.Name):
			e.lost(chat.Loss{Path: f.Name, Reason: chat.Unsupported, Meaning: true})
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
