package openai

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestResponsesEncode(t *testing.T) {
	hello := []chat.Turn{user(textBlock("a"))}
	const input = `"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}]`
	for _, tc := range []struct {
		name string
		r    chat.Request
		want string // within the document
		lost string
	}{
		{"nothing is kept", chat.Request{Turns: hello}, `{"model":"gpt-x",` + input + `,"store":false}`, ""},
		{"storage was asked for", chat.Request{Turns: hello, Store: chat.True}, `"store":true`, ""},
		{"few tokens", chat.Request{Turns: hello, MaxTokens: chat.Number("1")}, `"max_output_tokens":16`, "max_tokens"},
		{"sixteen tokens", chat.Request{Turns: hello, MaxTokens: chat.Number("16")}, `"max_output_tokens":16`, ""},
		{"stop sequences", chat.Request{Turns: hello, Stop: []chat.Literal{q("x")}, Seed: chat.Number("1")}, input, "seed stop"},
		{"budget", chat.Request{Turns: hello, Reasoning: chat.Reasoning{State: chat.ReasoningOn, Budget: chat.Number("2000"), Summary: "summarized"}}, `"reasoning":{"effort":"medium","summary":"auto"},"store":false,"include":["reasoning.encrypted_content"]`, "reasoning"},
		{"no reasoning", chat.Request{Turns: hello, Reasoning: chat.Reasoning{State: chat.ReasoningOff, Effort: "none"}}, `"reasoning":{"effort":"none"},"store":false}`, ""},
		{"long user", chat.Request{Turns: hello, User: q(strings.Repeat("u", 150))}, `"safety_identifier":"` + format.Digest(64, []byte(strings.Repeat("u", 150))) + `"`, "user"},
		{"server tool of another format", chat.Request{Turns: hello, Tools: []chat.Tool{{Type: "web_search_20250305", Raw: chat.Raw("{}")}}}, input, "tools.web_search_20250305"},
		{"choice of a missing tool", chat.Request{Turns: hello, Tools: []chat.Tool{{Name: q("f")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("g")}}}, `"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]`, "tool_choice"},
		{"named tool", chat.Request{Turns: hello, Tools: []chat.Tool{{Name: q("f")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("f")}}}, `"tool_choice":{"type":"function","name":"f"}`, ""},
		{"prompt cache key of the family", chat.Request{Format: origin, Turns: hello, Extra: []chat.Field{{Name: "prompt_cache_key", Value: chat.Raw(`"k"`)}, {Name: "prediction", Value: chat.Raw("{}")}}}, `"prompt_cache_key":"k"`, "prediction"},
		{"foreign thinking", chat.Request{Turns: []chat.Turn{user(textBlock("a")), said(chat.Block{Kind: chat.Thinking, Text: q("t"), Signature: q("s"), Origin: foreign}, textBlock("b"))}}, `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]}]`, "thinking"},
		{
			"results in order of the calls, before text",
			chat.Request{Turns: []chat.Turn{said(call("1", "f", `{}`), call("2", "g", ``)), user(textBlock("t"), result("2", textBlock("two")), result("1", textBlock("one")))}},
			`[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"2","name":"g","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"one"},{"type":"function_call_output","call_id":"2","output":"two"},{"type":"message","role":"user","content":[{"type":"input_text","text":"t"}]}]`, "",
		},
		{"call without a result", chat.Request{Turns: []chat.Turn{said(call("1", "f", `{}`))}}, `{"type":"function_call_output","call_id":"1","output":"(no result)"}`, "tool_use (without a result)"},
		{"result without a call", chat.Request{Turns: []chat.Turn{user(result("1", textBlock("x")))}}, `"input":[{"type":"function_call_output","call_id":"1","output":"x"}]`, ""},
		{
			"image in a failed result",
			chat.Request{Turns: []chat.Turn{said(call("1", "f", `{}`)), user(chat.Block{Kind: chat.ToolResult, ID: q("1"), IsError: true, Content: []chat.Block{picture("AAAA")}})}},
			`"output":[{"type":"input_text","text":"Error: the tool failed"},{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"auto"}]`, "",
		},
		{"failed result", chat.Request{Turns: []chat.Turn{said(call("1", "f", `{}`)), user(chat.Block{Kind: chat.ToolResult, ID: q("1"), IsError: true, Content: texts("no")})}}, `"output":"Error: no"`, ""},
		{
			"long call id",
			chat.Request{Turns: []chat.Turn{said(call(strings.Repeat("i", 70), "f", `{}`)), user(result(strings.Repeat("i", 70), textBlock("x")))}},
			`"call_id":"call_` + format.Digest(32, []byte(strings.Repeat("i", 70))) + `","output":"x"`, "",
		},
		{"instructions", chat.Request{System: texts("a", " ", "b"), Turns: hello}, `"instructions":"a\n\nb"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.r.Format == "" {
				tc.r.Format = foreign
			}
			got, report := encodeResponses(t, &tc.r)
			if !strings.Contains(got, tc.want) {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			var lost []string
			for _, l := range report {
				lost = append(lost, l.Path)
			}
			if got := strings.Join(lost, " "); got != tc.lost {
				t.Errorf("lost %q, want %q", got, tc.lost)
			}
		})
	}
}

func TestResponsesEncodeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    chat.Request
	}{
		{"audio", chat.Request{Turns: []chat.Turn{user(chat.Block{Kind: chat.Audio, Source: chat.Source{Kind: chat.SourceBase64}})}}},
		{"foreign file", chat.Request{Turns: []chat.Turn{user(chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceFile, Origin: foreign}})}}},
		{"unknown block", chat.Request{Turns: []chat.Turn{user(chat.Block{Kind: chat.Opaque, Type: "x", Origin: foreign})}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.r.Format = foreign
			var b format.Body
			_, err := Responses{}.EncodeRequest(&b, &tc.r, chat.Target{Model: "m"})
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrInvalidRequest || !strings.Contains(e.Message, "Responses format") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestResponsesEncodeRenamesTools(t *testing.T) {
	long := strings.Repeat("n", 130)
	names := &chat.Names{}
	var b format.Body
	r := &chat.Request{Format: foreign, Turns: []chat.Turn{user(textBlock("a"))}, Tools: []chat.Tool{{Name: q(long)}, {Name: q(strings.Repeat("m", 128))}}}
	if _, err := (Responses{}).EncodeRequest(&b, r, chat.Target{Model: "m", Names: names}); err != nil {
		t.Fatal(err)
	}
	want := []string{long, strings.Repeat("m", 128)}
	for tool := range formattest.Parse(t, string(b.Bytes())).Get("tools").Elements {
		sent := tool.Get("name").Literal()
		if original := names.Original(sent); len(sent.Inner()) > 128 || !original.Is(want[0]) {
			t.Errorf("sent %s for %s", sent, want[0])
		}
		want = want[1:]
	}
}
