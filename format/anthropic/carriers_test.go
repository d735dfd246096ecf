package anthropic

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// geminiCall is a call that Gemini has signed.
func geminiCall(id, signature string) chat.Block {
	return chat.Block{
		Kind: chat.ToolUse, ID: q(id), Name: q("f"), Arguments: chat.Arguments{Object: chat.Raw("{}")},
		Signature: q(signature), Origin: string(format.Gemini),
	}
}

// An answer's signatures come back in the client's next request, whole or
// streamed, with their makers.
func TestSignaturesComeBack(t *testing.T) {
	unsigned := chat.Block{Kind: chat.ToolUse, ID: q("y"), Name: q("f"), Arguments: chat.Arguments{Object: chat.Raw("{}")}}
	for _, tc := range []struct {
		name   string
		blocks []chat.Block
	}{
		{"own thinking", []chat.Block{thought(origin, "s=="), textOf("a")}},
		{"own sealed thinking", []chat.Block{{Kind: chat.RedactedThinking, Text: q("d"), Origin: origin}, textOf("a")}},
		{"thinking of Responses", []chat.Block{thought("openai_responses", "gAAA.b"), textOf("a")}},
		{"thinking of Responses without text", []chat.Block{{Kind: chat.Thinking, Text: q(""), Signature: q("e"), Origin: "openai_responses"}, textOf("a")}},
		{"sealed thinking of Responses", []chat.Block{{Kind: chat.RedactedThinking, Text: q("e"), Origin: "openai_responses"}, textOf("a")}},
		{"thinking of Gemini", []chat.Block{thought("gemini", "AbC="), textOf("a")}},
		{"a call of Gemini", []chat.Block{textOf("a"), geminiCall("x", "AbC=")}},
		{"several calls of Gemini", []chat.Block{thought("gemini", "T"), geminiCall("x", "A"), unsigned, geminiCall("z", "B")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &chat.Response{ID: q("msg_1"), Blocks: tc.blocks, Stop: chat.Stop{Reason: chat.StopEnd}}
			whole, report := Messages{}.EncodeResponse(nil, r, exchange())
			if len(report) > 0 {
				t.Errorf("lost %v", report)
			}
			content := formattest.Parse(t, string(whole)).Get("content").Raw()
			returned(t, string(content), tc.blocks)

			encoder := Messages{}.NewStreamEncoder(exchange())
			var client []byte
			for ev := range r.Replay {
				client = encoder.Encode(client, ev)
			}
			checkClient(t, client)
			returned(t, accumulated(t, client), tc.blocks)
		})
	}
}

// returned checks what an answer's content is when the client sends it back.
func returned(t *testing.T, content string, want []chat.Block) {
	t.Helper()
	r := decode(t, request(`{"role":"user","content":"a"},{"role":"assistant","content":`+content+`}`, ""))
	if got := r.Turns[1].Blocks; !reflect.DeepEqual(got, want) {
		t.Errorf("content %s\ncomes back as %+v\nwant %+v", content, got, want)
	}
}

// accumulated is the content that a client makes of a stream.
func accumulated(t *testing.T, client []byte) string {
	t.Helper()
	var collector chat.Collector
	out := run(bytes.NewReader(client), Messages{}, collector.Add)
	r, err := collector.Response()
	if err != nil || out.Err != nil {
		t.Fatal(err, out.Err)
	}
	whole, _ := Messages{}.EncodeResponse(nil, r, exchange())
	return string(formattest.Parse(t, string(whole)).Get("content").Raw())
}

// A signature of Gemini's with no call behind it is not lost.
func TestCarriedSignatureWithoutACall(t *testing.T) {
	carried := `{"type":"thinking","thinking":"","signature":"aigw1.gemini.A"}`
	r := decode(t, request(`{"role":"user","content":"a"},{"role":"assistant","content":[`+carried+`,`+carried+`,{"type":"text","text":"b"}]},{"role":"user","content":"c"}`, ""))
	blocks := r.Turns[1].Blocks
	if len(blocks) != 3 || blocks[0].Kind != chat.Thinking || !blocks[0].Signature.Is("A") || blocks[0].Origin != "gemini" ||
		!blocks[1].Text.Is("b") || blocks[2].Kind != chat.Thinking || !blocks[2].Signature.Is("A") {
		t.Errorf("got %+v", blocks)
	}
}

// Only this format's own signatures go to an upstream of it.
func TestForeignSignaturesAreNotSent(t *testing.T) {
	history := request(`{"role":"user","content":"a"},{"role":"assistant","content":[`+
		`{"type":"thinking","thinking":"hm","signature":"aigw1.openai_responses.X"},`+
		`{"type":"thinking","thinking":"hm","signature":""},`+
		`{"type":"redacted_thinking","data":"aigw1.openai_responses.Y"},`+
		`{"type":"thinking","thinking":"","signature":"aigw1.gemini.Z"},`+
		`{"type":"thinking","thinking":"mine","signature":"real"},`+
		`{"type":"redacted_thinking","data":"sealed"},`+
		`{"type":"tool_use","id":"x","name":"f","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"r"}]}`, "")
	doc, _ := encode(t, decode(t, history), chat.Target{Model: "m"})
	if strings.Contains(string(doc), "aigw1") {
		t.Errorf("a foreign signature is sent: %s", doc)
	}
	root := formattest.Parse(t, string(doc))
	if got := outline(root); got != `u: a | a: thinking redacted_thinking call(x) | u: result(x "r")` {
		t.Error(got)
	}
	if !strings.Contains(string(doc), `{"type":"thinking","thinking":"mine","signature":"real"}`) {
		t.Errorf("%s", doc)
	}
}

func TestServerTools(t *testing.T) {
	all := chat.ServerToolSet(0)
	all.Add(chat.ServerWebSearch)
	all.Add(chat.ServerCodeExecution)
	all.Add(chat.ServerURLFetch)
	search := chat.Tool{Server: chat.ServerWebSearch, Type: "web_search", Raw: chat.Raw(`{"type":"web_search"}`)}
	for _, tc := range []struct {
		name   string
		tools  []chat.Tool
		choice chat.ToolChoice
		set    chat.ServerToolSet
		want   string
		report string
	}{
		{"search", []chat.Tool{search}, chat.ToolChoice{}, all, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, ""},
		{"search that is not enabled", []chat.Tool{search}, chat.ToolChoice{}, 0, ``, "tools.web_search unsupported!"},
		{"execution", []chat.Tool{{Server: chat.ServerCodeExecution, Type: "code_interpreter"}}, chat.ToolChoice{}, all, `,"tools":[{"type":"code_execution_20250825","name":"code_execution"}]`, ""},
		{"fetch", []chat.Tool{{Server: chat.ServerURLFetch}}, chat.ToolChoice{}, all, `,"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]`, ""},
		{"fetch that is not enabled", []chat.Tool{{Server: chat.ServerURLFetch}}, chat.ToolChoice{}, 0, ``, "tools.web_fetch unsupported!"},
		{
			"beside a function",
			append(tools("f"), search),
			chat.ToolChoice{Mode: chat.ToolAuto},
			all,
			`,"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"auto"}`, "",
		},
		{"a function has its name", append(tools("web_search"), search), chat.ToolChoice{}, all, `,"tools":[{"name":"web_search","input_schema":{"type":"object"}}]`, "tools.web_search unsupported!"},
		{"twice", []chat.Tool{search, search}, chat.ToolChoice{}, all, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "tools.web_search unsupported!"},
		{"options", []chat.Tool{{Server: chat.ServerWebSearch, Raw: chat.Raw(`{"type":"web_search","search_context_size":"low"}`)}}, chat.ToolChoice{}, all, `,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "tools.web_search approximated"},
		{
			"not among those allowed",
			append(tools("f"), search),
			chat.ToolChoice{Mode: chat.ToolAllowed, Names: []chat.Literal{q("f")}},
			all,
			`,"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}`, "tool_choice approximated, tools.web_search unsupported!",
		},
		{"one that only another format has", []chat.Tool{{Type: "image_generation", Raw: chat.Raw("{}")}}, chat.ToolChoice{}, all, ``, "tools.image_generation unsupported!"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkFields(t, chat.Request{Tools: tc.tools, ToolChoice: tc.choice}, chat.Target{Model: "m", ServerTools: tc.set}, `"max_tokens":8192`+tc.want, tc.report)
		})
	}
}

func TestDecodeServerTools(t *testing.T) {
	for kind, want := range map[string]chat.ServerTool{
		"web_search_20250305": chat.ServerWebSearch, "web_search_20260209": chat.ServerWebSearch,
		"code_execution_20250825": chat.ServerCodeExecution, "web_fetch_20250910": chat.ServerURLFetch,
		"bash_20250124": chat.ServerOther, "computer_20250124": chat.ServerOther, "memory_20250818": chat.ServerOther,
	} {
		r := decode(t, request(`{"role":"user","content":"a"}`, `,"tools":[{"type":"`+kind+`","name":"x","max_uses":2}]`))
		tool := r.Tools[0]
		if tool.Server != want || tool.Type != kind || !strings.Contains(string(tool.Raw), "max_uses") {
			t.Errorf("%s: %+v", kind, tool)
		}
	}
}

func TestDecodeCitations(t *testing.T) {
	const list = `[{"type":"web_search_result_location","url":"https://a","title":"A","encrypted_index":"E","cited_text":"q"},` +
		`{"type":"search_result_location","source":"https://b","title":"B","cited_text":"r","search_result_index":0},` +
		`{"type":"search_result_location","source":"shelf 7","title":"C","cited_text":"s"},` +
		`{"type":"char_location","document_title":"D","cited_text":"t","start_char_index":1,"end_char_index":2}]`
	wanted := []struct{ url, title, quote string }{{"https://a", "A", "q"}, {"https://b", "B", "r"}, {"", "C", "s"}, {"", "D", "t"}}
	check := func(t *testing.T, got []chat.Citation) {
		t.Helper()
		if len(got) != len(wanted) {
			t.Fatalf("got %+v", got)
		}
		for i, w := range wanted {
			if c := got[i]; c.URL.String() != w.url || !c.Title.Is(w.title) || !c.Quote.Is(w.quote) || c.Origin != origin || len(c.Raw) == 0 {
				t.Errorf("citation %d: %+v", i, c)
			}
		}
	}
	block := `{"type":"text","text":"a","citations":` + list + `}`
	t.Run("answer", func(t *testing.T) {
		r, err := Messages{}.DecodeResponse(formattest.Parse(t, `{"type":"message","content":[`+block+`],"stop_reason":"end_turn","usage":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		check(t, r.Blocks[0].Citations)
		again, report := Messages{}.EncodeResponse(nil, r, exchange())
		if !strings.Contains(string(again), block) || len(report) > 0 {
			t.Errorf("%s, lost %v", again, report)
		}
	})
	t.Run("history", func(t *testing.T) {
		r := decode(t, request(`{"role":"user","content":"a"},{"role":"assistant","content":[`+block+`]},{"role":"user","content":"c"}`, ""))
		check(t, r.Turns[1].Blocks[0].Citations)
		doc, report := encode(t, r, chat.Target{Model: "m"})
		if !strings.Contains(string(doc), block) || len(report) > 0 {
			t.Errorf("%s, lost %v", doc, report)
		}
		r.Format = foreign
		doc, report = encode(t, r, chat.Target{Model: "m"})
		if strings.Contains(string(doc), "citations") || told(report) != "citations unsupported" {
			t.Errorf("%s, lost %v", doc, report)
		}
	})
}

// A form of output that the model has no word for comes back as text.
func TestOutputToolComesBack(t *testing.T) {
	names := new(chat.Names)
	encode(t, &chat.Request{
		Format: foreign, Turns: []chat.Turn{user(textOf("a"))}, Output: schemaOf(`{"type":"object"}`),
	}, chat.Target{Model: "claude-sonnet-4-0", Can: capability.Of("claude-sonnet-4-0"), Names: names})
	answer := `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"t","name":"person","input":{"name": "Ada"}}],"stop_reason":"tool_use","usage":{}}`
	r, err := Messages{}.DecodeResponse(formattest.Parse(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	names.Restore(r)
	if len(r.Blocks) != 1 || !r.Blocks[0].Text.Is(`{"name": "Ada"}`) || r.Stop.Reason != chat.StopEnd {
		t.Errorf("got %+v", r)
	}
	stream := "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n" +
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"person\",\"input\":{}}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"name\\\": \"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"Ada\\\"}\"}}\n\n" +
		"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n" +
		"data: {\"type\":\"message_stop\"}\n\n"
	var collector chat.Collector
	out := run(strings.NewReader(stream), Messages{}, func(ev *chat.Event) {
		for _, restored := range names.RestoreEvents([]chat.Event{*ev}) {
			collector.Add(&restored)
		}
	})
	streamed, err := collector.Response()
	if err != nil || out.Err != nil {
		t.Fatal(err, out.Err)
	}
	if len(streamed.Blocks) != 1 || !streamed.Blocks[0].Text.Is(`{"name": "Ada"}`) || streamed.Stop.Reason != chat.StopEnd {
		t.Errorf("got %+v", streamed)
	}
}

func TestThreadUnsupported(t *testing.T) {
	e := ThreadUnsupported()
	status, body := Messages{}.EncodeError(nil, e)
	details := formattest.Parse(t, string(body)).Get("error").Get("details")
	if status != 400 || string(details.Raw()) != `{"error_code":"thread_unsupported_request","unsupported":["thread"]}` {
		t.Errorf("%d %s", status, body)
	}
}
