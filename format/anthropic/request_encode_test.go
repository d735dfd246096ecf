package anthropic

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

const foreign = string(format.OpenAIChat)

func q(s string) chat.Literal          { return chat.Quote(s) }
func textOf(s string) chat.Block       { return chat.Block{Kind: chat.Text, Text: q(s)} }
func user(b ...chat.Block) chat.Turn   { return chat.Turn{Role: chat.User, Blocks: b} }
func said(b ...chat.Block) chat.Turn   { return chat.Turn{Role: chat.Assistant, Blocks: b} }
func system(b ...chat.Block) chat.Turn { return chat.Turn{Role: chat.System, Blocks: b} }

func call(id, name string) chat.Block {
	return chat.Block{Kind: chat.ToolUse, ID: q(id), Name: q(name), Arguments: chat.Arguments{Text: q("{}")}}
}

func resultOf(id string, content ...chat.Block) chat.Block {
	return chat.Block{Kind: chat.ToolResult, ID: q(id), Content: content}
}

func thought(origin, signature string) chat.Block {
	return chat.Block{Kind: chat.Thinking, Text: q("hm"), Signature: q(signature), Origin: origin}
}

func picture(mediaType, data string) chat.Block {
	return chat.Block{Kind: chat.Image, Source: chat.Source{Kind: chat.SourceBase64, MediaType: mediaType, Data: []byte(data)}}
}

// tools are definitions of tools with these names.
func tools(names ...string) (out []chat.Tool) {
	for _, n := range names {
		out = append(out, chat.Tool{Name: q(n), Schema: chat.Raw(`{"type":"object"}`)})
	}
	return out
}

// outline writes a conversation in short: u and a for the turns, the kinds of
// blocks with their texts and ids.
func outline(doc tape.Value) string {
	var out []string
	for m := range doc.Get("messages").Elements {
		turn := m.Get("role").Text()[:1] + ":"
		c := m.Get("content")
		if c.Kind() == tape.String {
			turn += " " + string(c.Literal().Inner())
		}
		for b := range c.Elements {
			turn += " "
			switch kind := b.Get("type"); {
			case kind.Is("text"):
				turn += string(b.Get("text").Literal().Inner())
			case kind.Is("tool_use"):
				turn += "call(" + b.Get("id").Text() + ")"
			case kind.Is("tool_result"):
				turn += "result(" + b.Get("tool_use_id").Text() + " " + string(b.Get("content").Raw()) + ")"
				if b.Get("is_error").Bool() {
					turn += "!"
				}
			default:
				turn += kind.Text()
			}
		}
		out = append(out, turn)
	}
	return strings.Join(out, " | ")
}

func TestTurnRules(t *testing.T) {
	redacted := chat.Block{Kind: chat.RedactedThinking, Text: q("d"), Origin: origin}
	opaque := chat.Block{Kind: chat.Opaque, Type: "x", Raw: chat.Raw(`{"type":"x"}`)}
	for _, tc := range []struct {
		name   string
		turns  []chat.Turn
		want   string
		report string
	}{
		{"plain", []chat.Turn{user(textOf("a")), said(textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", ""},
		{"neighbours are merged", []chat.Turn{user(textOf("a")), user(textOf("b")), said(textOf("c")), said(textOf("d")), user(textOf("e"))}, "u: a b | a: c d | u: e", ""},
		{"empty texts are left out", []chat.Turn{user(textOf(""), textOf("a"), textOf(" \n\t")), said(textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", ""},
		{"an empty answer is left out", []chat.Turn{user(textOf("a")), said(textOf(" ")), user(textOf("b"))}, "u: a b", ""},
		{"a user comes first", []chat.Turn{said(textOf("a")), user(textOf("b"))}, "u: . | a: a | u: b", "messages (no user first) approximated"},
		{"nothing at all", nil, "u: .", "messages (no user first) approximated"},
		{"an empty user alone", []chat.Turn{user(textOf(""))}, "u: .", "messages (no user first) approximated"},
		{"no white space at the end of a prefill", []chat.Turn{user(textOf("a")), said(textOf("b"), textOf(" c \n\t "))}, `u: a | a: b  c`, ""},
		{"an escaped backslash is no white space", []chat.Turn{user(textOf("a")), said(textOf(`c\n`))}, `u: a | a: c\\n`, ""},
		{"white space elsewhere stays", []chat.Turn{user(textOf("a ")), said(textOf("b ")), user(textOf("c "))}, "u: a  | a: b  | u: c ", ""},
		{"a refusal is a text", []chat.Turn{user(textOf("a")), said(chat.Block{Kind: chat.Refusal, Text: q("no")}), user(textOf("b"))}, "u: a | a: no | u: b", ""},

		{"system joins the user turn it follows", []chat.Turn{user(textOf("a")), system(textOf("s")), said(textOf("b")), user(textOf("c"))}, "u: a <system>s</system> | a: b | u: c", ""},
		{"system joins the next user turn", []chat.Turn{user(textOf("a")), said(textOf("b")), system(textOf("s")), user(textOf("c"))}, "u: a | a: b | u: <system>s</system> c", ""},
		{"system at the end", []chat.Turn{user(textOf("a")), said(textOf("b")), system(textOf("s"))}, "u: a | a: b | u: <system>s</system>", ""},
		{"empty system", []chat.Turn{user(textOf("a")), system(textOf(" ")), said(textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", ""},
		{"opaque system", []chat.Turn{user(textOf("a")), system(opaque)}, "u: a", "system.x unsupported"},

		{"results come first", []chat.Turn{user(textOf("a")), said(call("x", "f")), user(textOf("b"), resultOf("x", textOf("r")))}, `u: a | a: call(x) | u: result(x "r") b`, ""},
		{
			"results in one turn, in the order of the calls",
			[]chat.Turn{user(textOf("a")), said(call("x", "f"), call("y", "f")), user(resultOf("y", textOf("2"))), user(resultOf("x", textOf("1"))), user(textOf("b"))},
			`u: a | a: call(x) call(y) | u: result(x "1") result(y "2") b`, "",
		},
		{"results behind a system turn", []chat.Turn{user(textOf("a")), said(call("x", "f")), system(textOf("s")), user(resultOf("x"))}, `u: a | a: call(x) | u: result(x ) <system>s</system>`, ""},
		{
			"results behind an empty answer",
			[]chat.Turn{user(textOf("a")), said(call("x", "f")), user(textOf("b")), said(textOf("")), user(resultOf("x", textOf("1")))},
			`u: a | a: call(x) | u: result(x "1") b`, "",
		},
		{"calls of neighbouring answers", []chat.Turn{user(textOf("a")), said(call("x", "f")), said(call("y", "f")), user(resultOf("y"), resultOf("x"))}, `u: a | a: call(x) call(y) | u: result(x ) result(y )`, ""},
		{"call without a result", []chat.Turn{user(textOf("a")), said(call("x", "f")), user(textOf("b"))}, `u: a | a: call(x) | u: result(x "(no result)")! b`, "tool_use (without a result) approximated"},
		{"call at the end", []chat.Turn{user(textOf("a")), said(call("x", "f"))}, `u: a | a: call(x) | u: result(x "(no result)")!`, "tool_use (without a result) approximated"},
		{
			"result that comes too late",
			[]chat.Turn{user(textOf("a")), said(call("x", "f")), user(textOf("b")), said(textOf("c")), user(resultOf("x", textOf("1")))},
			`u: a | a: call(x) | u: result(x "(no result)")! b | a: c | u: [result of tool x] 1`, "tool_use (without a result) approximated, tool_result (without a call) approximated",
		},
		{"result without a call", []chat.Turn{user(resultOf("x", textOf("1"), picture("image/png", "iVBORw0KGgo="), textOf("2")))}, `u: [result of tool x] 1\n\n2 image`, "tool_result (without a call) approximated"},
		{"empty result without a call", []chat.Turn{user(resultOf("x"))}, `u: [result of tool x]`, "tool_result (without a call) approximated"},
		{"the last of several results", []chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x", textOf("1")), resultOf("x", textOf("2")))}, `u: a | a: call(x) | u: result(x "2")`, "tool_result (repeated) unsupported"},
		{
			"ids that do not fit",
			[]chat.Turn{user(textOf("a")), said(call("f.x:0", "f"), call("f_x:0", "f")), user(resultOf("f_x:0", textOf("2")), resultOf("f.x:0", textOf("1")))},
			`u: a | a: call(f_x_0_` + format.Digest(8, []byte("f.x:0")) + `) call(f_x_0_` + format.Digest(8, []byte("f_x:0")) + `) | u: result(f_x_0_` + format.Digest(8, []byte("f.x:0")) + ` "1") result(f_x_0_` + format.Digest(8, []byte("f_x:0")) + ` "2")`, "",
		},
		{
			"ids that occur again",
			[]chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x", textOf("1"))), said(call("x", "f")), user(resultOf("x", textOf("2"))), said(call("x_1", "f")), user(resultOf("x_1"))},
			`u: a | a: call(x) | u: result(x "1") | a: call(x_1) | u: result(x_1 "2") | a: call(x_1_2) | u: result(x_1_2 )`, "",
		},
		{"escaped ids", []chat.Turn{user(textOf("a")), said(chat.Block{Kind: chat.ToolUse, ID: chat.Literal(`"\u0078"`), Name: q("f")}), user(resultOf("x"))}, `u: a | a: call(x) | u: result(x )`, ""},

		{"own signed thinking stays", []chat.Turn{user(textOf("a")), said(thought(origin, "s"), redacted, textOf("b")), user(textOf("c"))}, "u: a | a: thinking redacted_thinking b | u: c", ""},
		{"thinking without a signature goes", []chat.Turn{user(textOf("a")), said(thought(origin, ""), textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", "thinking unsupported"},
		{"foreign thinking goes", []chat.Turn{user(textOf("a")), said(thought(foreign, "s"), textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", "thinking unsupported"},
		{"foreign thinking alone", []chat.Turn{user(textOf("a")), said(thought(foreign, "s")), user(textOf("c"))}, "u: a c", "thinking unsupported"},
		{"opaque block of an answer", []chat.Turn{user(textOf("a")), said(opaque, textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", "assistant.x unsupported"},
		{"image in an answer", []chat.Turn{user(textOf("a")), said(picture("image/png", "x"), textOf("b")), user(textOf("c"))}, "u: a | a: b | u: c", "assistant.image unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, report := encode(t, &chat.Request{Format: foreign, Turns: tc.turns, Tools: tools("f")}, chat.Target{Model: "m"})
			root := formattest.Parse(t, string(doc))
			if got := outline(root); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if got := told(report); got != tc.report {
				t.Errorf("got report %q, want %q", got, tc.report)
			}
			checkTurns(t, root)
		})
	}
}

// Many calls are found by a map, few by a loop.
func TestManyCalls(t *testing.T) {
	var calls, results []chat.Block
	for i := range 50 {
		calls = append(calls, call(fmt.Sprint("c", i), "f"))
		results = append([]chat.Block{resultOf(fmt.Sprint("c", i), textOf(fmt.Sprint(i)))}, results...)
	}
	doc, report := encode(t, &chat.Request{Format: foreign, Turns: []chat.Turn{
		user(textOf("a")), said(calls...), user(results...), said(calls[0], calls[1]), user(results[48:]...),
	}, Tools: tools("f")}, chat.Target{Model: "m"})
	root := formattest.Parse(t, string(doc))
	checkTurns(t, root)
	if len(report) > 0 {
		t.Errorf("lost %v", report)
	}
	if !strings.Contains(outline(root), `result(c7 "7") result(c8 "8")`) {
		t.Error(outline(root))
	}
}

func TestEncodeFields(t *testing.T) {
	schema := chat.Output{Kind: chat.OutputJSONSchema, Schema: chat.Raw(`{"type":"object"}`)}
	on := func(effort string) chat.Reasoning { return chat.Reasoning{State: chat.ReasoningOn, Effort: effort} }
	n := func(s string) chat.Number { return chat.Number(s) }
	loop := []chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x"))}
	signed := []chat.Turn{user(textOf("a")), said(thought(origin, "s"), call("x", "f")), user(resultOf("x"))}
	over := []chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x")), said(textOf("b")), user(textOf("c"))}
	for _, tc := range []struct {
		name   string
		r      chat.Request
		to     chat.Target
		want   string // the members, without model and messages
		report string
	}{
		{"least", chat.Request{}, chat.Target{}, `"max_tokens":8192`, ""},
		{"default of the target", chat.Request{}, chat.Target{MaxTokens: 100}, `"max_tokens":100`, ""},
		{"limit of the client", chat.Request{MaxTokens: n("7")}, chat.Target{MaxTokens: 100}, `"max_tokens":7`, ""},
		{"stream", chat.Request{Stream: true}, chat.Target{}, `"max_tokens":8192,"stream":true`, ""},

		{"temperature", chat.Request{Temperature: n("0.70")}, chat.Target{}, `"max_tokens":8192,"temperature":0.70`, ""},
		{"temperature is clamped", chat.Request{Temperature: n("1.7")}, chat.Target{}, `"max_tokens":8192,"temperature":1`, "temperature clamped"},
		{"temperature is not negative", chat.Request{Temperature: n("-1")}, chat.Target{}, `"max_tokens":8192,"temperature":0`, "temperature clamped"},
		{"temperature and top_p", chat.Request{Temperature: n("1"), TopP: n("0.5")}, chat.Target{}, `"max_tokens":8192,"temperature":1`, "top_p unsupported"},
		{"top_p and top_k", chat.Request{TopP: n("0.5"), TopK: n("5")}, chat.Target{}, `"max_tokens":8192,"top_p":0.5,"top_k":5`, ""},
		{"stop", chat.Request{Stop: []chat.Literal{q(" \n"), q("a"), q("b")}}, chat.Target{}, `"max_tokens":8192,"stop_sequences":["a","b"]`, "stop unsupported!"},
		{"stop of white space only", chat.Request{Stop: []chat.Literal{q("\n")}}, chat.Target{}, `"max_tokens":8192`, "stop unsupported!"},
		{"one answer", chat.Request{N: n("1")}, chat.Target{}, `"max_tokens":8192`, ""},
		{
			"what has no place",
			chat.Request{FrequencyPenalty: n("1"), PresencePenalty: n("1"), Seed: n("1"), LogitBias: chat.Raw("{}"), Verbosity: q("low"), Store: chat.True, Metadata: chat.Raw("{}"), TopLogprobs: n("2")},
			chat.Target{},
			`"max_tokens":8192`,
			"frequency_penalty unsupported, presence_penalty unsupported, seed unsupported, logit_bias unsupported, verbosity unsupported, store unsupported, metadata unsupported, logprobs unsupported!",
		},
		{"unknown fields", chat.Request{Extra: []chat.Field{{Name: "prompt_cache_key", Value: chat.Raw("1")}, {Name: "audio", Value: chat.Raw("1")}}}, chat.Target{}, `"max_tokens":8192`, "prompt_cache_key unsupported, audio unsupported!"},

		{"user", chat.Request{User: q("u")}, chat.Target{}, `"max_tokens":8192,"metadata":{"user_id":"u"}`, ""},
		{"long user", chat.Request{User: q(strings.Repeat("u", 257))}, chat.Target{}, `"max_tokens":8192,"metadata":{"user_id":"` + format.Digest(64, []byte(strings.Repeat("u", 257))) + `"}`, "user approximated"},
		{"tier auto", chat.Request{ServiceTier: q("auto")}, chat.Target{}, `"max_tokens":8192,"service_tier":"auto"`, ""},
		{"tier default", chat.Request{ServiceTier: q("default")}, chat.Target{}, `"max_tokens":8192,"service_tier":"standard_only"`, ""},
		{"tier flex", chat.Request{ServiceTier: q("flex")}, chat.Target{}, `"max_tokens":8192,"service_tier":"standard_only"`, "service_tier approximated"},
		{"tier priority", chat.Request{ServiceTier: q("priority")}, chat.Target{}, `"max_tokens":8192,"service_tier":"auto"`, "service_tier approximated"},
		{"unknown tier", chat.Request{ServiceTier: q("scale")}, chat.Target{}, `"max_tokens":8192`, "service_tier unsupported"},

		{"system", chat.Request{System: []chat.Block{textOf("a"), textOf(" ")}}, chat.Target{}, `"max_tokens":8192,"system":"a"`, ""},
		{"system of several", chat.Request{System: []chat.Block{textOf("a"), textOf("b")}}, chat.Target{}, `"max_tokens":8192,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, ""},
		{"empty system", chat.Request{System: []chat.Block{textOf("")}}, chat.Target{}, `"max_tokens":8192`, ""},
		{"foreign cache mark", chat.Request{System: []chat.Block{{Text: q("a"), Cache: chat.Raw(`{"mode":"explicit","ttl":"12h"}`)}}}, chat.Target{}, `"max_tokens":8192,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]`, "prompt_cache_breakpoint.ttl unsupported"},

		{"JSON object", chat.Request{Output: chat.Output{Kind: chat.OutputJSONObject}}, chat.Target{}, `"max_tokens":8192,"system":[{"type":"text","text":"` + jsonSentence + `"}]`, "response_format approximated"},
		{"JSON schema", chat.Request{Output: schema}, chat.Target{}, `"max_tokens":8192,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}}`, ""},
		{"JSON schema without one", chat.Request{Output: chat.Output{Kind: chat.OutputJSONSchema}}, chat.Target{}, `"max_tokens":8192,"system":[{"type":"text","text":"` + jsonSentence + `"}]`, "response_format approximated"},

		{"low effort", chat.Request{Reasoning: on("low")}, chat.Target{}, `"max_tokens":9216,"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated"},
		{"medium effort", chat.Request{Reasoning: on("medium"), MaxTokens: n("10000")}, chat.Target{}, `"max_tokens":10000,"thinking":{"type":"enabled","budget_tokens":8192}`, "reasoning approximated"},
		{"high effort, little room", chat.Request{Reasoning: on("high"), MaxTokens: n("2000")}, chat.Target{}, `"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1999}`, "reasoning approximated, reasoning clamped"},
		{"effort, least room", chat.Request{Reasoning: on("low"), MaxTokens: n("1025")}, chat.Target{}, `"max_tokens":1025,"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated"},
		{"effort, no room", chat.Request{Reasoning: on("high"), MaxTokens: n("1024")}, chat.Target{}, `"max_tokens":1024`, "reasoning unsupported"},
		{"no effort", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOff, Effort: "none"}}, chat.Target{}, `"max_tokens":8192`, ""},
		{"thinking without an effort", chat.Request{Reasoning: on("")}, chat.Target{}, `"max_tokens":16384,"thinking":{"type":"enabled","budget_tokens":8192}`, "reasoning approximated"},
		{"budget", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOn, Budget: n("3000")}}, chat.Target{}, `"max_tokens":11192,"thinking":{"type":"enabled","budget_tokens":3000}`, ""},
		{"small budget", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOn, Budget: n("5")}}, chat.Target{}, `"max_tokens":9216,"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning clamped"},
		{"adaptive", chat.Request{Reasoning: chat.Reasoning{State: chat.ReasoningOn, Adaptive: true, Effort: "minimal"}}, chat.Target{}, `"max_tokens":8192,"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}`, ""},
		{
			"sampling beside thinking",
			chat.Request{Reasoning: on("low"), Temperature: n("0.5"), TopP: n("0.5"), TopK: n("5")},
			chat.Target{},
			`"max_tokens":9216,"thinking":{"type":"enabled","budget_tokens":1024}`,
			"reasoning approximated, temperature unsupported, top_p unsupported, top_k unsupported",
		},
		{
			"thinking and a forced tool",
			chat.Request{Reasoning: on("low"), Tools: tools("f"), ToolChoice: chat.ToolChoice{Mode: chat.ToolAny}},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}`, "reasoning unsupported",
		},
		{
			"thinking in a step without signed thinking",
			chat.Request{Reasoning: on("low"), Turns: loop, Tools: tools("f")},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}]`, "reasoning unsupported",
		},
		{
			"thinking in a step with signed thinking",
			chat.Request{Reasoning: on("low"), Turns: signed, Tools: tools("f")},
			chat.Target{},
			`"max_tokens":9216,"tools":[{"name":"f","input_schema":{"type":"object"}}],"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated",
		},
		{
			"thinking in a new step",
			chat.Request{Reasoning: on("low"), Turns: over, Tools: tools("f")},
			chat.Target{},
			`"max_tokens":9216,"tools":[{"name":"f","input_schema":{"type":"object"}}],"thinking":{"type":"enabled","budget_tokens":1024}`, "reasoning approximated",
		},
		{"thinking before a prefill", chat.Request{Reasoning: on("low"), Turns: []chat.Turn{user(textOf("a")), said(textOf("b"))}}, chat.Target{}, `"max_tokens":8192`, "reasoning unsupported"},

		{
			"tools of history only",
			chat.Request{Turns: loop, ToolChoice: chat.ToolChoice{Mode: chat.ToolAuto}, ParallelTools: chat.False},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}`, "parallel_tool_calls unsupported",
		},
		{"choice without tools", chat.Request{ToolChoice: chat.ToolChoice{Mode: chat.ToolAuto}}, chat.Target{}, `"max_tokens":8192`, ""},
		{"forced choice without tools", chat.Request{ToolChoice: chat.ToolChoice{Mode: chat.ToolAny}}, chat.Target{}, `"max_tokens":8192`, "tool_choice unsupported!"},
		{"tool without a schema", chat.Request{Tools: []chat.Tool{{Name: q("f"), Description: q("d")}}}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}]`, ""},
		{"tool with a schema without a type", chat.Request{Tools: []chat.Tool{{Name: q("f"), Schema: chat.Raw(`{ "type":null, "anyOf": [] }`)}}}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object","anyOf":[]}}]`, ""},
		{"tool with an empty schema", chat.Request{Tools: []chat.Tool{{Name: q("f"), Schema: chat.Raw(`{}`), Strict: chat.False}}}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}]`, ""},
		{"strict tool", chat.Request{Tools: []chat.Tool{{Name: q("f"), Schema: chat.Raw(`{"type":"object"}`), Strict: chat.True}}}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"},"strict":true}]`, ""},
		{"server tool of another format", chat.Request{Tools: []chat.Tool{{Type: "web_search", Raw: chat.Raw("{}")}}}, chat.Target{}, `"max_tokens":8192`, "tools.web_search unsupported!"},
		{"auto", chat.Request{Tools: tools("f"), ToolChoice: chat.ToolChoice{Mode: chat.ToolAuto}, ParallelTools: chat.True}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}`, ""},
		{"none", chat.Request{Tools: tools("f"), ToolChoice: chat.ToolChoice{Mode: chat.ToolNone}, ParallelTools: chat.False}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}`, ""},
		{
			"named",
			chat.Request{Tools: tools("f.1", "g"), ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("f.1")}}},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"f_1_` + format.Digest(8, []byte("f.1")) + `","input_schema":{"type":"object"}},{"name":"g","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f_1_` + format.Digest(8, []byte("f.1")) + `"}`, "tools[].name approximated",
		},
		{"named, unknown", chat.Request{Tools: tools("f"), ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("g")}}}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}]`, "tool_choice unsupported!"},
		{"one at a time", chat.Request{Tools: tools("f"), ParallelTools: chat.False}, chat.Target{}, `"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, ""},
		{
			"allowed",
			chat.Request{Tools: tools("f", "g", "h"), ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Names: []chat.Literal{q("h"), q("f")}}},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"f","input_schema":{"type":"object"}},{"name":"h","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}`, "tool_choice approximated",
		},
		{
			"allowed and required",
			chat.Request{Tools: tools("f", "g"), ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Required: true, Names: []chat.Literal{q("g")}}},
			chat.Target{},
			`"max_tokens":8192,"tools":[{"name":"g","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}`, "tool_choice approximated",
		},
		{"allowed, none of them known", chat.Request{Tools: tools("f"), ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Required: true, Names: []chat.Literal{q("g")}}}, chat.Target{}, `"max_tokens":8192`, "tool_choice approximated, tool_choice unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.to.Model = "m"
			checkFields(t, tc.r, tc.to, tc.want, tc.report)
		})
	}
}

// checkFields checks the members of an encoded request, without model and
// messages, and the report.
func checkFields(t *testing.T, r chat.Request, to chat.Target, want, report string) {
	t.Helper()
	r.Format = foreign
	if r.Turns == nil {
		r.Turns = []chat.Turn{user(textOf("a"))}
	}
	doc, lost := encode(t, &r, to)
	var got []string
	for key, value := range formattest.Parse(t, string(doc)).Members {
		if !key.Is("model") && !key.Is("messages") {
			got = append(got, string(key.Raw())+":"+string(value.Raw()))
		}
	}
	if got := strings.Join(got, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := told(lost); got != report {
		t.Errorf("got report %q, want %q", got, report)
	}
}

// told is a report on one line.
func told(r chat.Report) string {
	return strings.ReplaceAll(strings.TrimSpace(formattest.Losses(r)), "\n", ", ")
}

func TestEncodeBlocks(t *testing.T) {
	source := func(kind chat.SourceKind, mediaType, data, origin string) chat.Source {
		return chat.Source{Kind: kind, MediaType: mediaType, Data: []byte(data), Origin: origin}
	}
	document := func(s chat.Source) chat.Block { return chat.Block{Kind: chat.Document, Source: s} }
	for _, tc := range []struct {
		name  string
		block chat.Block
		want  string
	}{
		{"image", picture("image/png", "abcd"), `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"abcd"}}`},
		{"image of a wrong type", picture("IMAGE/PNG", "/9j/4AAQ"), `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}`},
		{"image of a common wrong type", picture("image/jpg", "abcd"), `{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"abcd"}}`},
		{"image by URL", chat.Block{Kind: chat.Image, Source: source(chat.SourceURL, "", `https://e.com/"`, "")}, `{"type":"image","source":{"type":"url","url":"https://e.com/\""}}`},
		{"PDF", chat.Block{Kind: chat.Document, Filename: q("a.pdf"), Source: source(chat.SourceBase64, "application/pdf", "abcd", "")}, `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"abcd"},"title":"a.pdf"}`},
		{"PDF without a type", document(source(chat.SourceBase64, "", "JVBERi0x", "")), `{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"}}`},
		{"PDF by URL", document(source(chat.SourceURL, "", "https://e.com", "")), `{"type":"document","source":{"type":"url","url":"https://e.com"}}`},
		{"text", document(source(chat.SourceText, "text/plain", "a\n", "")), `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a\n"}}`},
		{"text as base64", document(source(chat.SourceBase64, "text/markdown", base64.StdEncoding.EncodeToString([]byte("a\n??>")), "")), `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a\n??>"}}`},
		{"text as base64 for URLs", document(source(chat.SourceBase64, "text/markdown", base64.URLEncoding.EncodeToString([]byte("a\n??>")), "")), `{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a\n??>"}}`},
		{"own file", document(source(chat.SourceFile, "", "file_1", origin)), `{"type":"document","source":{"type":"file","file_id":"file_1"}}`},
		{"foreign file", document(source(chat.SourceFile, "", "file-1", foreign)), "a file of another provider cannot be sent"},
		{"foreign image file", chat.Block{Kind: chat.Image, Source: source(chat.SourceFile, "", "file-1", foreign)}, "a file of another provider cannot be sent"},
		{"TIFF", picture("image/tiff", "abcd"), "an image of type image/tiff"},
		{"image without a type", picture("", "abcd"), "an image of type unknown"},
		{"spreadsheet", document(source(chat.SourceBase64, "application/xlsx", "abcd", "")), "a document of type application/xlsx"},
		{"text that is not base64", document(source(chat.SourceBase64, "text/plain", "a", "")), "base64 text is broken"},
		{"audio", chat.Block{Kind: chat.Audio}, "content of type audio cannot be sent"},
		{"video", chat.Block{Kind: chat.Video}, "content of type video cannot be sent"},
		{"opaque", chat.Block{Kind: chat.Opaque, Type: "hologram"}, "content of type hologram cannot be sent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, place := range []struct {
				name  string
				turns []chat.Turn
				where func(doc tape.Value) tape.Value
			}{
				{"user", []chat.Turn{user(textOf("a"), tc.block)}, func(doc tape.Value) tape.Value { return at(at(doc.Get("messages"), 0).Get("content"), 1) }},
				{"result", []chat.Turn{user(textOf("a")), said(call("x", "f")), user(resultOf("x", textOf("a"), tc.block))}, func(doc tape.Value) tape.Value {
					return at(at(at(doc.Get("messages"), 2).Get("content"), 0).Get("content"), 1)
				}},
			} {
				var b format.Body
				_, err := Messages{}.EncodeRequest(&b, &chat.Request{Format: foreign, Turns: place.turns}, chat.Target{Model: "m"})
				if err == nil {
					if got := string(place.where(formattest.Parse(t, string(b.Bytes()))).Raw()); got != tc.want {
						t.Errorf("%s: got  %s\nwant %s", place.name, got, tc.want)
					}
					continue
				}
				e, ok := errors.AsType[*chat.Error](err)
				if !ok || e.Kind != chat.ErrInvalidRequest || !strings.Contains(e.Message, tc.want) {
					t.Errorf("%s: got %v, want %s", place.name, err, tc.want)
				}
			}
		})
	}
}

// at is element i of an array.
func at(v tape.Value, i int) (found tape.Value) {
	for element := range v.Elements {
		if i == 0 {
			found = element
		}
		i--
	}
	return found
}

func TestEncodeSeveralAnswers(t *testing.T) {
	var b format.Body
	report, err := Messages{}.EncodeRequest(&b, &chat.Request{Format: foreign, N: chat.Number("2"), Turns: []chat.Turn{user(textOf("a"))}}, chat.Target{Model: "m"})
	if err != nil || len(report) != 1 || report[0] != (chat.Loss{Path: "n", Reason: chat.Unsupported, Meaning: true}) {
		t.Errorf("got %v, report %v", err, report)
	}
}

func TestEncodeArguments(t *testing.T) {
	for _, tc := range []struct {
		name      string
		arguments chat.Arguments
		want      string
		whole     bool
	}{
		{"object", chat.Arguments{Object: chat.Raw(`{"b": 1, "a": 9007199254740993}`)}, `{"b": 1, "a": 9007199254740993}`, true},
		{"text", chat.Arguments{Text: q(`{"b": "\"\u00e9\n", "a": 9007199254740993}`)}, `{"b": "\"\u00e9\n", "a": 9007199254740993}`, true},
		{"none", chat.Arguments{}, `{}`, true},
		{"empty text", chat.Arguments{Text: q("")}, `{}`, true},
		{"white space", chat.Arguments{Text: q(" \n")}, `{}`, true},
		{"broken", chat.Arguments{Text: q(`{"a":`)}, `{"_raw":"{\"a\":"}`, false},
		{"two objects", chat.Arguments{Text: q(`{}{}`)}, `{"_raw":"{}{}"}`, false},
		{"an array", chat.Arguments{Text: q(`[1]`)}, `{"_raw":"[1]"}`, false},
		{"a string", chat.Arguments{Text: q(`"x"`)}, `{"_raw":"\"x\""}`, false},
		{"an array as object", chat.Arguments{Object: chat.Raw(`[1]`)}, `{"_raw":"[1]"}`, false},
		{"too deep", chat.Arguments{Text: q(strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200))}, `{"_raw":` + string(q(strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200))) + `}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, whole := format.AppendObject([]byte("x"), tc.arguments)
			if string(got[1:]) != tc.want || whole != tc.whole {
				t.Errorf("got %s, %v; want %s, %v", got[1:], whole, tc.want, tc.whole)
			}
		})
	}
}

// What is large stays a view of the client's bytes.
func TestEncodeKeepsLargeSpans(t *testing.T) {
	image := picture("image/png", strings.Repeat("iVBO", 1<<18))
	var b format.Body
	if _, err := (Messages{}).EncodeRequest(&b, &chat.Request{Format: foreign, Turns: []chat.Turn{user(image)}}, chat.Target{Model: "m"}); err != nil {
		t.Fatal(err)
	}
	image.Source.Data[1<<19] = '!'
	if !bytes.Contains(b.Bytes(), []byte("iVBO!VBOiVBO")) {
		t.Error("the image was copied")
	}
}

func TestToolNamesComeBack(t *testing.T) {
	names := new(chat.Names)
	doc, _ := encode(t, &chat.Request{Format: foreign, Turns: []chat.Turn{user(textOf("a"))}, Tools: tools("mcp.server/tool", strings.Repeat("x", 129), "plain")}, chat.Target{Model: "m", Names: names})
	for tool := range formattest.Parse(t, string(doc)).Get("tools").Elements {
		sent := tool.Get("name").Literal()
		if in := sent.Inner(); len(in) > 128 || !format.PlainName(in) {
			t.Errorf("sent %s", sent)
		}
		x := exchange()
		x.Names = names
		got, _ := Messages{}.EncodeResponse(nil, &chat.Response{Blocks: []chat.Block{{Kind: chat.ToolUse, ID: q("a"), Name: sent}}}, x)
		name := at(formattest.Parse(t, string(got)).Get("content"), 0).Get("name")
		if !name.Is("plain") && !name.Is("mcp.server/tool") && !name.Is(strings.Repeat("x", 129)) {
			t.Errorf("%s comes back as %s", sent, name.Raw())
		}
	}
}

// Whatever a conversation holds, Anthropic's rules of turns are kept.
func TestRandomConversations(t *testing.T) {
	ids := []string{"a", "b", "a_1", "x.y", "x:y", ""}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		id := func() string { return ids[random.IntN(len(ids))] }
		words := []string{"", " ", "\n", "word", "word \n"}
		block := func(role chat.Role) chat.Block {
			switch n := random.IntN(5); {
			case n < 2 || role == chat.System:
				return textOf(words[random.IntN(len(words))])
			case role == chat.Assistant && n < 4:
				return call(id(), "f")
			case role == chat.Assistant:
				return thought([]string{origin, foreign}[random.IntN(2)], []string{"", "s"}[random.IntN(2)])
			case n < 4:
				return resultOf(id(), textOf(words[random.IntN(len(words))]))
			default:
				return picture("image/png", "abcd")
			}
		}
		r := &chat.Request{Format: foreign}
		for range random.IntN(8) {
			turn := chat.Turn{Role: chat.Role(random.IntN(3))}
			for range random.IntN(5) {
				turn.Blocks = append(turn.Blocks, block(turn.Role))
			}
			r.Turns = append(r.Turns, turn)
		}
		model := models[random.IntN(len(models))]
		doc, _ := encode(t, r, target(model))
		checkTurns(t, formattest.Parse(t, string(doc)))
		if checkModel(t, formattest.Parse(t, string(doc)), model); t.Failed() {
			t.Fatalf("seed %d: %s", seed, doc)
		}
	}
}
