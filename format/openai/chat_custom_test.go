package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// patchTool is a tool that takes free text.
const patchTool = `{"type":"custom","custom":{"name":"apply_patch","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}}}`

// TestCustomToolsOfUpstreams shows which upstreams get a tool that takes free text
// as such, and which as a function.
func TestCustomToolsOfUpstreams(t *testing.T) {
	const (
		asIs     = `"tools":[` + patchTool + `]`
		function = `"tools":[{"type":"function","function":{"name":"apply_patch","description":"d","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}}]`
		asCall   = `{"id":"call_1","type":"custom","custom":{"name":"apply_patch","input":"a\n\"b\""}}`
		asOther  = `{"id":"call_1","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\"a\\n\\\"b\\\"\"}"}}`
	)
	for _, tc := range []struct {
		name, format, model string
		tool, call          string
		lost                string
	}{
		{"of Chat", origin, "some-llama", asIs, asCall, ""},
		{"of Responses at OpenAI", originResponses, "gpt-5", asIs, asCall, ""},
		{"of Responses elsewhere", originResponses, "some-llama", function, asOther, "tools[].format unsupported"},
		{"of Responses at an older model", originResponses, "gpt-4.1", function, asOther, "tools[].format unsupported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decode(t, `{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[`+asCall+`]},{"role":"tool","tool_call_id":"call_1","content":"y"}],"tools":[`+patchTool+`]}`)
			r.Format = tc.format
			doc, report := encode(t, r, chat.Target{Model: "m", Can: capability.Of(tc.model)})
			if !strings.Contains(doc, tc.tool) || !strings.Contains(doc, `"tool_calls":[`+tc.call+`]`) || paths(report) != tc.lost {
				t.Errorf("got %s, lost %s", doc, paths(report))
			}
		})
	}
}

// TestCustomCallsOfAnswers shows that a client that has a tool for free text gets
// a call with free text, whatever the upstream made of it.
func TestCustomCallsOfAnswers(t *testing.T) {
	x := exchange()
	x.Request = decode(t, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[`+patchTool+`]}`)
	blocks := []chat.Block{call("call_1", "apply_patch", `{"input":"a\n\"b\""}`), call("call_2", "apply_patch", `{}`), call("call_3", "f", `{"input":1}`)}
	choice, _ := encodeAnswer(t, x, chat.StopToolUse, blocks...)
	want := `"tool_calls":[{"id":"call_1","type":"custom","custom":{"name":"apply_patch","input":"a\n\"b\""}},` +
		`{"id":"call_2","type":"custom","custom":{"name":"apply_patch","input":""}},` +
		`{"id":"call_3","type":"function","function":{"name":"f","arguments":"{\"input\":1}"}}]`
	if !strings.Contains(choice, want) {
		t.Errorf("got %s", choice)
	}
	encoder := Chat{}.NewStreamEncoder(x)
	var stream []byte
	for ev := range (&chat.Response{ID: q("x"), Blocks: blocks}).Replay {
		stream = encoder.Encode(stream, ev)
	}
	var deltas []string
	for _, raw := range formattest.Raws(t, stream) {
		if _, delta, found := strings.Cut(string(raw), `"delta":{"tool_calls":[`); found {
			delta, _, _ = strings.Cut(delta, `]},"logprobs"`)
			deltas = append(deltas, delta)
		}
	}
	got := strings.Join(deltas, "\n")
	want = `{"index":0,"id":"call_1","type":"custom","custom":{"name":"apply_patch","input":""}}` + "\n" +
		`{"index":0,"custom":{"input":"a\n\"b\""}}` + "\n" +
		`{"index":1,"id":"call_2","type":"custom","custom":{"name":"apply_patch","input":""}}` + "\n" +
		`{"index":2,"id":"call_3","type":"function","function":{"name":"f","arguments":""}}` + "\n" +
		`{"index":2,"function":{"arguments":"{\"input\":1}"}}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestCustomCallIsBounded shows that a call with endless text ends the stream with
// an error, and not with a mark of success.
func TestCustomCallIsBounded(t *testing.T) {
	x := exchange()
	x.Request = decode(t, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[`+patchTool+`]}`)
	encoder := Chat{}.NewStreamEncoder(x)
	stream := encoder.Encode(nil, &chat.Event{Kind: chat.EventBlockStart, Block: chat.ToolUse, Name: q("apply_patch")})
	piece := &chat.Event{Kind: chat.EventDelta, Delta: chat.DeltaArguments, Text: q(strings.Repeat("a", 1<<20))}
	for range 6 {
		stream = encoder.Encode(stream, piece)
	}
	stream = encoder.Encode(stream, &chat.Event{Kind: chat.EventFinish})
	stream = encoder.Encode(stream, &chat.Event{Kind: chat.EventEnd})
	if got := string(stream); strings.Count(got, `"error"`) != 1 || strings.Contains(got, "[DONE]") || hasFinish(stream) || len(got) > 4<<10 {
		t.Errorf("got %d bytes: %.300s", len(got), got)
	}
}

// TestWebSearchOfUpstreams shows when the model is let to search the web.
func TestWebSearchOfUpstreams(t *testing.T) {
	var enabled chat.ServerToolSet
	enabled.Add(chat.ServerWebSearch)
	search := chat.Tool{Type: "web_search_20250305", Name: q("web_search"), Raw: chat.Raw(`{"type":"web_search_20250305"}`), Server: chat.ServerWebSearch}
	code := chat.Tool{Type: "code_execution_20250825", Raw: chat.Raw(`{}`), Server: chat.ServerCodeExecution}
	for _, tc := range []struct {
		name    string
		tools   []chat.Tool
		enabled chat.ServerToolSet
		want    string
		lost    string
	}{
		{"enabled", []chat.Tool{search, search}, enabled, `,"web_search_options":{}`, ""},
		{"not enabled", []chat.Tool{search}, 0, ``, "tools.web_search_20250305 unsupported!"},
		{"another tool", []chat.Tool{code}, enabled | 1<<chat.ServerCodeExecution, ``, "tools.code_execution_20250825 unsupported!"},
		{"beside a function", []chat.Tool{search, {Name: q("f")}}, enabled, `,"tools":[{"type":"function","function":{"name":"f"}}],"web_search_options":{}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &chat.Request{Format: foreign, Turns: []chat.Turn{user(texts("x")...)}, Tools: tc.tools}
			doc, report := encode(t, r, chat.Target{Model: "m", ServerTools: tc.enabled})
			if want := `{"model":"m","messages":[{"role":"user","content":"x"}]` + tc.want + `}`; doc != want || paths(report) != tc.lost {
				t.Errorf("got %s, lost %s", doc, paths(report))
			}
		})
	}
}
