package openai

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

const foreign = "anthropic_messages"

func q(s string) chat.Literal         { return chat.Quote(s) }
func textBlock(s string) chat.Block   { return chat.Block{Kind: chat.Text, Text: q(s)} }
func texts(ss ...string) []chat.Block { return blocks(ss, textBlock) }

func blocks[T any](in []T, f func(T) chat.Block) (out []chat.Block) {
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

func call(id, name, arguments string) chat.Block {
	return chat.Block{Kind: chat.ToolUse, ID: q(id), Name: q(name), Arguments: chat.Arguments{Object: chat.Raw(arguments)}}
}

func result(id string, content ...chat.Block) chat.Block {
	return chat.Block{Kind: chat.ToolResult, ID: q(id), Content: content}
}

func picture(data string) chat.Block {
	return chat.Block{Kind: chat.Image, Source: chat.Source{Kind: chat.SourceBase64, MediaType: "image/png", Data: []byte(data)}}
}

func user(blocks ...chat.Block) chat.Turn   { return chat.Turn{Role: chat.User, Blocks: blocks} }
func said(blocks ...chat.Block) chat.Turn   { return chat.Turn{Role: chat.Assistant, Blocks: blocks} }
func system(blocks ...chat.Block) chat.Turn { return chat.Turn{Role: chat.System, Blocks: blocks} }

// encode encodes a request for a target.
func encode(t testing.TB, r *chat.Request, to chat.Target) (string, chat.Report) {
	t.Helper()
	before := fmt.Sprintf("%+v", *r)
	var b format.Body
	report, err := Chat{}.EncodeRequest(&b, r, to)
	if err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprintf("%+v", *r); after != before {
		t.Errorf("the request was changed\nbefore: %s\nafter:  %s", before, after)
	}
	doc := string(b.Bytes())
	formattest.Parse(t, doc)
	return doc, report
}

// paths lists what a report tells.
func paths(r chat.Report) string {
	out := make([]string, 0, len(r))
	for _, l := range r {
		s := l.Path + " " + string(l.Reason)
		if l.Meaning {
			s += "!"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestEncodeMessages(t *testing.T) {
	const noArguments = `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	long := "toolu_" + strings.Repeat("0123456789", 10)
	hashed := callID(q(long)).String()
	for _, tc := range []struct {
		name   string
		system []chat.Block
		turns  []chat.Turn
		want   string
		lost   string
	}{
		{
			name: "system texts are joined", system: texts("a", "", " ", "b"), turns: []chat.Turn{user(texts("x")...)},
			want: `{"role":"system","content":"a\n\nb"},{"role":"user","content":"x"}`,
		},
		{
			name: "empty system is left out", system: texts("", "\n\t"), turns: []chat.Turn{user(texts("x")...)},
			want: `{"role":"user","content":"x"}`,
		},
		{
			name: "system in the middle keeps its place", turns: []chat.Turn{user(texts("x")...), system(texts("s")...), said(texts("y")...), user(texts("z")...)},
			want: `{"role":"user","content":"x"},{"role":"system","content":"s"},{"role":"assistant","content":"y"},{"role":"user","content":"z"}`,
		},
		{
			name: "several texts are parts", turns: []chat.Turn{user(texts("x", "", "y")...)},
			want: `{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}`,
		},
		{
			name: "empty text keeps its turn", turns: []chat.Turn{user(texts("")...)},
			want: `{"role":"user","content":""}`,
		},
		{
			name:  "results before text, in the order of the calls",
			turns: []chat.Turn{said(textBlock("t"), call("a", "f", `{"x": 1}`), call("b", "g", `{}`)), user(textBlock("before"), result("b", texts("2")...), result("a", texts("1")...), textBlock("after"))},
			want: `{"role":"assistant","content":"t","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},` +
				`{"role":"tool","content":"1","tool_call_id":"a"},{"role":"tool","content":"2","tool_call_id":"b"},` +
				`{"role":"user","content":[{"type":"text","text":"before"},{"type":"text","text":"after"}]}`,
		},
		{
			name:  "results of several turns, with a system turn between",
			turns: []chat.Turn{said(call("a", "f", "")), said(call("b", "f", "")), user(result("a", texts("1")...)), system(texts("s")...), user(result("b", texts("2")...), textBlock("x"))},
			want: `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
				`{"role":"tool","content":"1","tool_call_id":"a"},{"role":"tool","content":"2","tool_call_id":"b"},{"role":"system","content":"s"},{"role":"user","content":"x"}`,
		},
		{
			name:  "images behind the whole run of results",
			turns: []chat.Turn{said(call("a", "f", ""), call("b", "f", "")), user(result("a", picture("QQ==")), result("b", textBlock("2"), picture("Qg==")), textBlock("x"))},
			want: `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
				`{"role":"tool","content":"(see attached image)","tool_call_id":"a"},{"role":"tool","content":"2","tool_call_id":"b"},` +
				`{"role":"user","content":[{"type":"text","text":"[attached to the result of tool call a]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ=="}},{"type":"text","text":"[attached to the result of tool call b]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,Qg=="}}]},` +
				`{"role":"user","content":"x"}`,
		},
		{
			name: "several texts of a result are joined", turns: []chat.Turn{said(call("a", "f", "")), user(result("a", texts("1", "", "2")...))},
			want: noArguments + `,{"role":"tool","content":"1\n\n2","tool_call_id":"a"}`,
		},
		{
			name: "empty result", turns: []chat.Turn{said(call("a", "f", "")), user(result("a"))},
			want: noArguments + `,{"role":"tool","content":"","tool_call_id":"a"}`,
		},
		{
			name: "failed result", turns: []chat.Turn{said(call("a", "f", "")), user(chat.Block{Kind: chat.ToolResult, ID: q("a"), IsError: true, Content: texts("no such file")})},
			want: noArguments + `,{"role":"tool","content":"Error: no such file","tool_call_id":"a"}`,
		},
		{
			name: "failed result that says so", turns: []chat.Turn{said(call("a", "f", "")), user(chat.Block{Kind: chat.ToolResult, ID: q("a"), IsError: true, Content: texts("\n ERROR 5")})},
			want: noArguments + `,{"role":"tool","content":"\n ERROR 5","tool_call_id":"a"}`,
		},
		{
			name: "call without result", turns: []chat.Turn{said(call("a", "f", "")), user(texts("x")...)},
			want: noArguments + `,{"role":"tool","content":"(no result)","tool_call_id":"a"},{"role":"user","content":"x"}`, lost: "tool_use (without a result) approximated",
		},
		{
			name: "call at the end", turns: []chat.Turn{said(call("a", "f", ""))},
			want: noArguments + `,{"role":"tool","content":"(no result)","tool_call_id":"a"}`, lost: "tool_use (without a result) approximated",
		},
		{
			name: "result without call", turns: []chat.Turn{user(result("zz", texts("1")...), textBlock("x"))},
			want: `{"role":"user","content":[{"type":"text","text":"[result of tool zz] 1"},{"type":"text","text":"x"}]}`, lost: "tool_result (without a call) approximated",
		},
		{
			name: "result of an earlier round", turns: []chat.Turn{said(call("a", "f", "")), user(result("a", texts("1")...)), said(texts("ok")...), user(result("a", texts("2")...))},
			want: noArguments + `,{"role":"tool","content":"1","tool_call_id":"a"},{"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"text","text":"[result of tool a] 2"}]}`, lost: "tool_result (without a call) approximated",
		},
		{
			name: "of repeated results the last one counts", turns: []chat.Turn{said(call("a", "f", "")), user(result("a", texts("1")...), result("a", texts("2")...))},
			want: noArguments + `,{"role":"tool","content":"2","tool_call_id":"a"}`, lost: "tool_result (repeated) unsupported",
		},
		{
			name: "long ids are shortened alike", turns: []chat.Turn{said(call(long, "f", "")), user(result(long, texts("1")...))},
			want: strings.ReplaceAll(noArguments, `"id":"a"`, `"id":"`+hashed+`"`) + `,{"role":"tool","content":"1","tool_call_id":"` + hashed + `"}`,
		},
		{
			name:  "thinking is dropped, empty answers too",
			turns: []chat.Turn{user(texts("x")...), said(chat.Block{Kind: chat.Thinking, Text: q("hm"), Signature: q("sig")}, chat.Block{Kind: chat.RedactedThinking, Text: q("zz")}), user(texts("y")...)},
			want:  `{"role":"user","content":"x"},{"role":"user","content":"y"}`, lost: "thinking unsupported",
		},
		{
			name: "opaque history is dropped", turns: []chat.Turn{said(chat.Block{Kind: chat.Opaque, Type: "server_tool_use"}, textBlock("y")), user(texts("x")...)},
			want: `{"role":"assistant","content":"y"},{"role":"user","content":"x"}`, lost: "assistant.server_tool_use unsupported",
		},
		{
			name: "refusal", turns: []chat.Turn{said(chat.Block{Kind: chat.Refusal, Text: q("no")}), user(texts("x")...)},
			want: `{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"x"}`,
		},
		{
			name: "cache marks are dropped", system: []chat.Block{{Text: q("s"), Cache: chat.Raw("{}")}}, turns: []chat.Turn{user(chat.Block{Text: q("x"), Cache: chat.Raw("{}")})},
			want: `{"role":"system","content":"s"},{"role":"user","content":"x"}`, lost: "cache_control unsupported",
		},
		{name: "media", turns: []chat.Turn{user(
			chat.Block{Kind: chat.Image, Source: chat.Source{Kind: chat.SourceURL, Data: []byte(`https://x/"a`)}},
			chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceBase64, MediaType: "application/pdf", Data: []byte("QQ==")}},
			chat.Block{Kind: chat.Document, Title: q("Plan"), Source: chat.Source{Kind: chat.SourceBase64, MediaType: "application/pdf", Data: []byte("QQ==")}},
			chat.Block{Kind: chat.Document, Title: q("Notes"), Source: chat.Source{Kind: chat.SourceText, MediaType: "text/plain", Data: []byte("a\n\"b\"")}},
			chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceBase64, MediaType: "text/plain", Data: []byte("aGk=")}},
			chat.Block{Kind: chat.Audio, Source: chat.Source{Kind: chat.SourceBase64, MediaType: "audio/mpeg", Data: []byte("QQ==")}},
		)}, want: `{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/\"a"}},` +
			`{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,QQ=="}},` +
			`{"type":"file","file":{"filename":"Plan.pdf","file_data":"data:application/pdf;base64,QQ=="}},` +
			`{"type":"text","text":"Notes\na\n\"b\""},{"type":"text","text":"hi"},` +
			`{"type":"input_audio","input_audio":{"data":"QQ==","format":"mp3"}}]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, report := encode(t, &chat.Request{Format: foreign, System: tc.system, Turns: tc.turns}, chat.Target{Model: "m"})
			got := strings.TrimSuffix(strings.TrimPrefix(doc, `{"model":"m","messages":[`), "]}")
			if got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			if lost := paths(report); lost != tc.lost {
				t.Errorf("lost %q, want %q", lost, tc.lost)
			}
		})
	}
}

func TestEncodeRefusesWhatWouldBeLost(t *testing.T) {
	for _, tc := range []struct {
		name  string
		block chat.Block
		word  string
	}{
		{"unknown block", chat.Block{Kind: chat.Opaque, Type: "search_result"}, "search_result"},
		{"unknown block in a result", result("a", chat.Block{Kind: chat.Opaque, Type: "hologram"}), "hologram"},
		{"image file", chat.Block{Kind: chat.Image, Source: chat.Source{Kind: chat.SourceFile, Origin: foreign}}, "file"},
		{"document file of another provider", chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceFile, Origin: foreign}}, "file"},
		{"document by URL", chat.Block{Kind: chat.Document, Source: chat.Source{Kind: chat.SourceURL}}, "URL"},
		{"audio by URL", chat.Block{Kind: chat.Audio, Source: chat.Source{Kind: chat.SourceURL}}, "URL"},
		{"video", chat.Block{Kind: chat.Video, Source: chat.Source{Kind: chat.SourceURL}}, "video"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b format.Body
			r := &chat.Request{Format: foreign, Turns: []chat.Turn{said(call("a", "f", "")), user(tc.block)}}
			_, err := Chat{}.EncodeRequest(&b, r, chat.Target{Model: "m"})
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrInvalidRequest || !strings.Contains(e.Message, tc.word) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEncodeBoundsTheReport(t *testing.T) {
	var history []chat.Block
	for i := range 10000 {
		history = append(history, chat.Block{Kind: chat.Opaque, Type: fmt.Sprint("kind", i)})
	}
	_, report := encode(t, &chat.Request{Format: foreign, Turns: []chat.Turn{said(history...), user(texts("x")...)}}, chat.Target{Model: "m"})
	if n := len(report); n != maxReport+1 || !report[n-1].Meaning {
		t.Errorf("%d losses", n)
	}
}

func TestEncodeManyCalls(t *testing.T) {
	var calls, results []chat.Block
	for i := range 1000 {
		calls = append(calls, call(fmt.Sprint(i), "f", ""))
		results = append(results, result(fmt.Sprint(999-i), textBlock(fmt.Sprint("r", 999-i))))
	}
	doc, report := encode(t, &chat.Request{Format: foreign, Turns: []chat.Turn{said(calls...), user(results...)}}, chat.Target{Model: "m"})
	messages := formattest.Parse(t, doc).Get("messages")
	i := -1
	for m := range messages.Elements {
		if i >= 0 && (!m.Get("tool_call_id").Is(fmt.Sprint(i)) || !m.Get("content").Is(fmt.Sprint("r", i))) {
			t.Fatalf("message %d is %s", i+1, m.Raw())
		}
		i++
	}
	if i != 1000 || len(report) > 0 {
		t.Errorf("%d results, lost %v", i, report)
	}
}

func TestEncodeFields(t *testing.T) {
	tool := chat.Tool{Name: q("f")}
	eff := func(r chat.Reasoning) *chat.Request { return &chat.Request{Reasoning: r} }
	for _, tc := range []struct {
		name string
		r    *chat.Request
		to   chat.Target
		want string
		lost string
	}{
		{"max tokens", &chat.Request{MaxTokens: chat.NumberOf(5)}, chat.Target{}, `,"max_completion_tokens":5`, ""},
		{"older max tokens", &chat.Request{MaxTokens: chat.NumberOf(5)}, chat.Target{LegacyMaxTokens: true}, `,"max_tokens":5`, ""},
		{"top_k", &chat.Request{TopK: chat.NumberOf(5)}, chat.Target{}, ``, "top_k unsupported"},
		{"temperature", &chat.Request{Temperature: chat.Number("2.5")}, chat.Target{}, `,"temperature":2`, "temperature clamped"},
		{"five stops", &chat.Request{Stop: []chat.Literal{q("1"), q("2"), q("3"), q("4"), q("5")}}, chat.Target{}, `,"stop":["1","2","3","4"]`, "stop clamped!"},
		{"stream", &chat.Request{Stream: true}, chat.Target{}, `,"stream":true,"stream_options":{"include_usage":true}`, ""},
		{"stream without options", &chat.Request{Stream: true}, chat.Target{NoStreamOptions: true}, `,"stream":true`, ""},
		{"no stream, no options", &chat.Request{IncludeUsage: true}, chat.Target{}, ``, ""},
		{"effort", eff(chat.Reasoning{State: chat.ReasoningOn, Effort: "medium"}), chat.Target{}, `,"reasoning_effort":"medium"`, ""},
		{"highest effort", eff(chat.Reasoning{State: chat.ReasoningOn, Effort: "max"}), chat.Target{}, `,"reasoning_effort":"xhigh"`, "reasoning approximated"},
		{"budget", eff(chat.Reasoning{State: chat.ReasoningOn, Budget: chat.NumberOf(1025)}), chat.Target{}, `,"reasoning_effort":"medium"`, "reasoning approximated"},
		{"free budget", eff(chat.Reasoning{State: chat.ReasoningOn, Budget: chat.NumberOf(-1)}), chat.Target{}, ``, ""},
		{"no reasoning", eff(chat.Reasoning{State: chat.ReasoningOff}), chat.Target{}, ``, ""},
		{"JSON object", &chat.Request{Output: chat.Output{Kind: chat.OutputJSONObject}}, chat.Target{}, `,"response_format":{"type":"json_object"}`, ""},
		{"JSON schema", &chat.Request{Output: chat.Output{Kind: chat.OutputJSONSchema, Schema: chat.Raw(`{}`)}}, chat.Target{}, `,"response_format":{"type":"json_schema","json_schema":{"name":"response","schema":{}}}`, ""},
		{"user", &chat.Request{User: q("u")}, chat.Target{}, `,"safety_identifier":"u"`, ""},
		{"user of older servers", &chat.Request{User: q("u")}, chat.Target{LegacyMaxTokens: true}, `,"user":"u"`, ""},
		{"long user", &chat.Request{User: q(strings.Repeat("u", 65))}, chat.Target{}, `,"safety_identifier":"` + format.Digest(64, []byte(strings.Repeat("u", 65))) + `"`, "user approximated"},
		{"standard tier", &chat.Request{ServiceTier: q("standard_only")}, chat.Target{}, `,"service_tier":"default"`, ""},
		{"foreign fields", &chat.Request{Extra: []chat.Field{{Name: "container", Value: chat.Raw("1")}}}, chat.Target{}, ``, "container unsupported"},
		{"choice without tools", &chat.Request{ToolChoice: chat.ToolChoice{Mode: chat.ToolAny}, ParallelTools: chat.False}, chat.Target{}, ``, "parallel_tool_calls unsupported, tool_choice unsupported"},
		{"server tools", &chat.Request{Tools: []chat.Tool{{Type: "web_search_20250305", Name: q("web_search"), Raw: chat.Raw("{}")}}, ToolChoice: chat.ToolChoice{Mode: chat.ToolAuto}}, chat.Target{}, ``, "tool_choice unsupported, tools.web_search_20250305 unsupported!"},
		{"tool", &chat.Request{Tools: []chat.Tool{tool}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNone}, ParallelTools: chat.False}, chat.Target{}, `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none","parallel_tool_calls":false`, ""},
		{"named tool that is not sent", &chat.Request{Tools: []chat.Tool{tool}, ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q("g")}}}, chat.Target{}, `,"tools":[{"type":"function","function":{"name":"f"}}]`, "tool_choice unsupported!"},
		{"required tools", &chat.Request{Tools: []chat.Tool{tool}, ToolChoice: chat.ToolChoice{Mode: chat.ToolAllowed, Required: true, Names: []chat.Literal{q("g"), q("f")}}}, chat.Target{}, `,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}`, "tool_choice unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.r.Format = foreign
			tc.r.Turns = []chat.Turn{user(texts("x")...)}
			tc.to.Model = "m"
			doc, report := encode(t, tc.r, tc.to)
			got := strings.TrimSuffix(strings.TrimPrefix(doc, `{"model":"m","messages":[{"role":"user","content":"x"}]`), "}")
			if got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			if lost := paths(report); lost != tc.lost {
				t.Errorf("lost %q, want %q", lost, tc.lost)
			}
		})
	}
}

func TestEncodeRestoresOwnFields(t *testing.T) {
	r := decode(t, withField(`"prompt_cache_key":"k","prediction":{"type":"content"},"stream_options":{"x":1}`))
	doc, report := encode(t, r, chat.Target{Model: "m"})
	if !strings.HasSuffix(doc, `,"prompt_cache_key":"k","prediction":{"type":"content"}}`) || paths(report) != "stream_options.x unsupported" {
		t.Errorf("got %s, lost %s", doc, paths(report))
	}
}

func TestEncodeSchemas(t *testing.T) {
	for _, tc := range []struct{ name, schema, want string }{
		{"whole", `{"type":"object","properties":{"a":{}}}`, `{"type":"object","properties":{"a":{}}}`},
		{"empty", `{}`, `{"type":"object","properties":{}}`},
		{"no properties", `{"type":"object"}`, `{"properties":{},"type":"object"}`},
		{"no type", ` { "properties": {"type":{}} }`, `{"type":"object", "properties": {"type":{}} }`},
		{"properties elsewhere", `{"type":"object","$defs":{"x":{"properties":{}}},"anyOf":[]}`, `{"type":"object","$defs":{"x":{"properties":{}}},"anyOf":[]}`},
		{"reference", `{"$ref":"#/$defs/x","$defs":{"x":{}}}`, `{"type":"object","$ref":"#/$defs/x","$defs":{"x":{}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &chat.Request{Format: foreign, Turns: []chat.Turn{user(texts("x")...)}, Tools: []chat.Tool{{Name: q("f"), Schema: chat.Raw(tc.schema)}}}
			doc, _ := encode(t, r, chat.Target{Model: "m"})
			for tool := range formattest.Parse(t, doc).Get("tools").Elements {
				if got := string(tool.Get("function").Get("parameters").Raw()); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			}
		})
	}
}

func TestEncodeRenamesTools(t *testing.T) {
	long := "mcp__server__" + strings.Repeat("x", 60)
	r := &chat.Request{
		Format:     foreign,
		Turns:      []chat.Turn{said(call("a", long, "")), user(result("a"))},
		Tools:      []chat.Tool{{Name: q(long)}, {Name: q("dotted.name")}, {Name: q("fine")}},
		ToolChoice: chat.ToolChoice{Mode: chat.ToolNamed, Names: []chat.Literal{q(long)}},
	}
	var names chat.Names
	doc, report := encode(t, r, chat.Target{Model: "m", Names: &names})
	if paths(report) != "tools[].name approximated" {
		t.Errorf("lost %s", paths(report))
	}
	root := formattest.Parse(t, doc)
	var sent []string
	for tool := range root.Get("tools").Elements {
		sent = append(sent, tool.Get("function").Get("name").Text())
	}
	for i, name := range sent {
		if len(name) > 64 || !format.PlainName([]byte(name)) {
			t.Errorf("%s is not a legal name", name)
		}
		if got := names.Original(q(name)); !got.Is(r.Tools[i].Name.String()) {
			t.Errorf("%s comes back as %s", name, got)
		}
	}
	if got := root.Get("tool_choice").Get("function").Get("name").Text(); got != sent[0] {
		t.Errorf("the choice names %s, the tool is %s", got, sent[0])
	}
	if !strings.Contains(doc, `"function":{"name":"`+sent[0]+`","arguments"`) {
		t.Errorf("the call does not name %s: %s", sent[0], doc)
	}
	if sent[2] != "fine" {
		t.Errorf("fine became %s", sent[2])
	}
}

func TestEncodeSendsReasoningBack(t *testing.T) {
	r := &chat.Request{Format: foreign, Turns: []chat.Turn{said(chat.Block{Kind: chat.Thinking, Text: q("hm")}, textBlock("x")), user(texts("y")...)}}
	doc, report := encode(t, r, chat.Target{Model: "m", ReasoningContent: true})
	if !strings.Contains(doc, `{"role":"assistant","content":"x","reasoning_content":"hm"}`) || len(report) > 0 {
		t.Errorf("got %s, lost %v", doc, report)
	}
}

func TestEncodeKeepsLargeDataAsView(t *testing.T) {
	data := strings.Repeat("A", 1<<20)
	r := &chat.Request{Format: foreign, Turns: []chat.Turn{user(picture(data))}}
	var b format.Body
	allocated := testing.AllocsPerRun(10, func() {
		b.Reset()
		if _, err := (Chat{}).EncodeRequest(&b, r, chat.Target{Model: "m"}); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 4 {
		t.Errorf("%v allocations", allocated)
	}
	if b.Len() < len(data) {
		t.Errorf("%d bytes", b.Len())
	}
}
