package openai

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// lostPaths are the paths of a report, those that change the meaning with a mark.
func lostPaths(report chat.Report) string {
	var paths []string
	for _, l := range report {
		path := l.Path
		if l.Meaning {
			path += "!"
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, " ")
}

// TestResponsesEncodeFor shows what is sent to models of which something is known.
func TestResponsesEncodeFor(t *testing.T) {
	hello := []chat.Turn{user(textBlock("a"))}
	const input = `"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}]`
	search := chat.Tool{Type: "web_search_20250305", Raw: chat.Raw(`{"type":"web_search_20250305"}`), Server: chat.ServerWebSearch}
	code := chat.Tool{Type: "codeExecution", Raw: chat.Raw(`{"codeExecution":{}}`), Server: chat.ServerCodeExecution}
	fetch := chat.Tool{Type: "urlContext", Raw: chat.Raw(`{"urlContext":{}}`), Server: chat.ServerURLFetch}
	var all chat.ServerToolSet
	all.Add(chat.ServerWebSearch)
	all.Add(chat.ServerCodeExecution)
	all.Add(chat.ServerURLFetch)
	sampling := chat.Request{Turns: hello, Temperature: chat.Number("0.5"), TopP: chat.Number("0.9"), Logprobs: chat.True, TopLogprobs: chat.Number("2")}
	with := func(r chat.Request, effort string) chat.Request {
		r.Reasoning = chat.Reasoning{State: chat.ReasoningOn, Effort: effort}
		if effort == "none" {
			r.Reasoning.State = chat.ReasoningOff
		}
		return r
	}
	for _, tc := range []struct {
		name string
		r    chat.Request
		to   chat.Target
		want string // the document behind its model
		lost string
	}{
		{
			"sampling is taken", sampling,
			chat.Target{},
			input + `,"temperature":0.5,"top_p":0.9,"top_logprobs":2,"store":false,"include":["message.output_text.logprobs"]}`, "",
		},
		{
			"temperature or top_p, not both", sampling,
			chat.Target{Can: capability.Model{Sampling: capability.SamplingNotBoth}},
			input + `,"temperature":0.5,"top_logprobs":2,"store":false,"include":["message.output_text.logprobs"]}`, "top_p",
		},
		{
			"no sampling", sampling,
			chat.Target{Can: capability.Model{Sampling: capability.SamplingNone, Reasons: true}},
			input + `,"store":false,"include":["reasoning.encrypted_content"]}`, "temperature top_p logprobs!",
		},
		{
			"sampling only with effort none, and there is one", with(sampling, "high"),
			chat.Target{Can: capability.Of("gpt-5.1")},
			input + `,"reasoning":{"effort":"high"},"store":false,"include":["reasoning.encrypted_content"]}`, "temperature top_p logprobs!",
		},
		{
			"sampling with effort none", with(sampling, "none"),
			chat.Target{Can: capability.Of("gpt-5.1")},
			input + `,"temperature":0.5,"top_p":0.9,"top_logprobs":2,"reasoning":{"effort":"none"},"store":false,"include":["reasoning.encrypted_content","message.output_text.logprobs"]}`, "",
		},
		{
			"nearest effort", with(chat.Request{Turns: hello}, "xhigh"),
			chat.Target{Can: capability.Of("gpt-5")},
			input + `,"reasoning":{"effort":"high"},"store":false,"include":["reasoning.encrypted_content"]}`, "reasoning",
		},
		{
			"effort none of a model that always reasons", with(chat.Request{Turns: hello}, "none"),
			chat.Target{Can: capability.Of("gpt-6.2")},
			input + `,"reasoning":{"effort":"low"},"store":false,"include":["reasoning.encrypted_content"]}`, "reasoning",
		},
		{
			"little reasoning is not none", with(chat.Request{Turns: hello}, "minimal"),
			chat.Target{Can: capability.Of("gpt-5.1")},
			input + `,"reasoning":{"effort":"low"},"store":false,"include":["reasoning.encrypted_content"]}`, "reasoning",
		},
		{
			"reasoning of a model that does not",
			chat.Request{Turns: hello, Reasoning: chat.Reasoning{State: chat.ReasoningOn, Effort: "high", Summary: "auto"}},
			chat.Target{Can: capability.Of("gpt-4o")},
			input + `,"store":false}`, "reasoning reasoning.summary",
		},
		{
			"thoughts are wanted",
			chat.Request{Turns: hello, Reasoning: chat.Reasoning{Summary: "summarized"}},
			chat.Target{},
			input + `,"reasoning":{"summary":"auto"},"store":false,"include":["reasoning.encrypted_content"]}`, "",
		},
		{
			"thoughts are not wanted",
			chat.Request{Turns: hello, Reasoning: chat.Reasoning{State: chat.ReasoningOn, Summary: "omitted"}},
			chat.Target{},
			input + `,"store":false,"include":["reasoning.encrypted_content"]}`, "",
		},
		{
			"instructions in the middle for developers",
			chat.Request{System: texts("s"), Turns: []chat.Turn{user(textBlock("a")), {Role: chat.System, Blocks: texts("b", " ")}}},
			chat.Target{Can: capability.Model{DeveloperRole: true}},
			`"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"message","role":"developer","content":[{"type":"input_text","text":"b"}]}],"instructions":"s","store":false}`, "",
		},
		{
			"nothing but instructions",
			chat.Request{System: texts("s")},
			chat.Target{},
			`"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"}]}],"store":false}`, "",
		},
		{
			"server tools that nobody enabled",
			chat.Request{Turns: hello, Tools: []chat.Tool{search, code}},
			chat.Target{},
			input + `,"store":false}`, "tools.web_search_20250305! tools.codeExecution!",
		},
		{
			"enabled server tools",
			chat.Request{Turns: hello, Tools: []chat.Tool{search, code, fetch}},
			chat.Target{ServerTools: all},
			input + `,"tools":[{"type":"web_search"},{"type":"code_interpreter","container":{"type":"auto"}}],"store":false}`, "tools.urlContext!",
		},
		{
			"tiers of service",
			chat.Request{Format: origin, Turns: hello, ServiceTier: q("ultrafast"), User: q("u")},
			chat.Target{},
			input + `,"safety_identifier":"u","service_tier":"ultrafast","store":false}`, "",
		},
		{
			"tier of Anthropic",
			chat.Request{Turns: hello, ServiceTier: q("standard_only")},
			chat.Target{},
			input + `,"service_tier":"default","store":false}`, "",
		},
		{
			"long cache key",
			chat.Request{Format: origin, Turns: hello, Extra: []chat.Field{{Name: "prompt_cache_key", Value: chat.Raw(q(strings.Repeat("k", 65)))}}},
			chat.Target{},
			input + `,"store":false,"prompt_cache_key":"` + format.Digest(64, []byte(strings.Repeat("k", 65))) + `"}`, "prompt_cache_key",
		},
		{
			"cache key of 64",
			chat.Request{Format: origin, Turns: hello, Extra: []chat.Field{{Name: "prompt_cache_key", Value: chat.Raw(q(strings.Repeat("k", 64)))}}},
			chat.Target{},
			input + `,"store":false,"prompt_cache_key":"` + strings.Repeat("k", 64) + `"}`, "",
		},
		{
			"strictness is told",
			chat.Request{Format: origin, Turns: hello, Tools: []chat.Tool{{Name: q("f")}, {Name: q("g"), Strict: chat.True, Schema: chat.Raw(`{"type":"object","properties":{}}`)}}},
			chat.Target{},
			input + `,"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false},{"type":"function","name":"g","parameters":{"type":"object","properties":{}},"strict":true}],"store":false}`, "",
		},
		{
			"custom tool",
			chat.Request{Turns: hello, Tools: []chat.Tool{{Name: q("p"), Custom: plainText, Schema: anyText}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("p")}}},
			chat.Target{},
			input + `,"tools":[{"type":"custom","name":"p","format":{"type":"text"}}],"tool_choice":{"type":"custom","name":"p"},"store":false}`, "",
		},
		{
			"allowed tools",
			chat.Request{Turns: hello, Tools: []chat.Tool{{Name: q("f")}, {Name: q("g")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Required: true, Names: []chat.Literal{q("g")}}, ParallelTools: chat.False},
			chat.Target{},
			input + `,"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false},{"type":"function","name":"g","parameters":{"type":"object","properties":{}},"strict":false}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]},"parallel_tool_calls":false,"store":false}`, "",
		},
		{
			"choice without tools",
			chat.Request{Turns: hello, ToolChoice: chat.ToolChoice{Mode: chat.ToolAny}, ParallelTools: chat.True},
			chat.Target{},
			input + `,"store":false}`, "tool_choice parallel_tool_calls",
		},
		{
			"temperature above the range",
			chat.Request{Turns: hello, Temperature: chat.Number("2.5")},
			chat.Target{},
			input + `,"temperature":2,"store":false}`, "temperature",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.r.Format == "" {
				tc.r.Format = foreign
			}
			tc.to.Model = "m"
			got, report := encodeFor(t, &tc.r, tc.to)
			if want := `{"model":"m",` + tc.want; got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
			if got := lostPaths(report); got != tc.lost {
				t.Errorf("lost %q, want %q", got, tc.lost)
			}
		})
	}
}

// encodeFor encodes a request for a target.
func encodeFor(t testing.TB, r *chat.Request, to chat.Target) (string, chat.Report) {
	t.Helper()
	var b format.Body
	report, err := Responses{}.EncodeRequest(&b, r, to)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b.Bytes())
	formattest.Parse(t, doc)
	return doc, report
}

// TestResponsesCacheMarks shows which cache marks are sent, and where.
func TestResponsesCacheMarks(t *testing.T) {
	mark := chat.Raw(`{"type":"ephemeral","ttl":"1h"}`)
	marked := func(b chat.Block) chat.Block {
		b.Cache = mark
		return b
	}
	conversation := func() *chat.Request {
		return &chat.Request{
			Format: foreign,
			System: []chat.Block{textBlock("s"), marked(textBlock("t"))},
			Turns: []chat.Turn{
				user(marked(textBlock("a"))),
				said(marked(textBlock("b")), call("1", "f", `{}`)),
				user(marked(result("1", textBlock("r"), textBlock("q"))), marked(picture("AAAA"))),
			},
		}
	}
	permitted := chat.Target{Model: "m", CacheMarks: true, Can: capability.Model{CacheMarks: true}}
	const sent = `,"prompt_cache_breakpoint":{"mode":"explicit"}}`
	for _, tc := range []struct {
		name string
		r    *chat.Request
		to   chat.Target
		want []string
		sent int
	}{
		{
			"the last three", conversation(), permitted,
			[]string{
				`"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"},{"type":"input_text","text":"t"}]}`,
				`{"type":"input_text","text":"a"` + sent, `"output":[{"type":"input_text","text":"r"},{"type":"input_text","text":"q"` + sent + `]`,
				`"detail":"auto"` + sent,
			},
			3,
		},
		{
			"of instructions", &chat.Request{Format: foreign, System: []chat.Block{marked(textBlock("s"))}, Turns: []chat.Turn{user(textBlock("a"))}}, permitted,
			[]string{`"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"` + sent + `]},{"type":"message","role":"user"`},
			1,
		},
		{"the model takes none", conversation(), chat.Target{Model: "m", CacheMarks: true}, []string{`"instructions":"s\n\nt"`, `"output":"r\n\nq"`}, 0},
		{"the upstream takes none", conversation(), chat.Target{Model: "m", Can: capability.Model{CacheMarks: true}}, []string{`"instructions":"s\n\nt"`}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, report := encodeFor(t, tc.r, tc.to)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in\n%s", want, got)
				}
			}
			if n := strings.Count(got, "prompt_cache_breakpoint"); n != tc.sent {
				t.Errorf("%d marks in %s", n, got)
			}
			if dropped := lostPaths(report) == "cache_control"; dropped != (tc.sent != 1) {
				t.Errorf("lost %v", report)
			}
		})
	}
}

// TestResponsesMarksComeIn shows that the marks of this format arrive in the
// neutral form.
func TestResponsesMarksComeIn(t *testing.T) {
	r := decodeResponses(t, `{"input":[{"role":"user","content":[{"type":"input_text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}]}`)
	if got := string(r.Turns[0].Blocks[0].Cache); got != `{"mode":"explicit"}` {
		t.Errorf("got %s", got)
	}
}

// TestResponsesStateIsRefusedElsewhere shows that what only the provider knows is
// refused with a message that helps.
func TestResponsesStateIsRefusedElsewhere(t *testing.T) {
	for _, field := range []string{`"previous_response_id":"resp_1"`, `"conversation":"conv_1"`, `"background":true`, `"prompt":{"id":"pmpt_1"}`} {
		_, err := Responses{}.DecodeRequest(formattest.Parse(t, `{"input":"a",`+field+`}`))
		e, ok := errors.AsType[*chat.Error](err)
		if !ok || e.Kind != chat.ErrInvalidRequest || !strings.Contains(e.Message, "Responses format") || !strings.HasPrefix(field, `"`+e.Param+`"`) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if r := decodeResponses(t, `{"input":"a","background":false,"previous_response_id":null,"conversation":null,"prompt":null}`); len(r.Extra) != 0 {
		t.Errorf("kept %v", r.Extra)
	}
}
