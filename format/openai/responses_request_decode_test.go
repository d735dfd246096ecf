package openai

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func TestResponsesDecodeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, doc, param string }{
		{"no object", `[]`, ""},
		{"no input", `{"model":"m"}`, "input"},
		{"empty input", `{"input":[]}`, "input"},
		{"number as input", `{"input":3}`, "input"},
		{"twice", `{"input":"a","input":"b"}`, "input"},
		{"previous_response_id", `{"input":"a","previous_response_id":"resp_1"}`, "previous_response_id"},
		{"conversation", `{"input":"a","conversation":{"id":"c"}}`, "conversation"},
		{"background", `{"input":"a","background":true}`, "background"},
		{"prompt", `{"input":"a","prompt":{"id":"p"}}`, "prompt"},
		{"item_reference", `{"input":[{"type":"item_reference","id":"x"}]}`, "input[0]"},
		{"item without a type", `{"input":[{"id":"x"}]}`, "input[0].type"},
		{"item that is text", `{"input":["x"]}`, "input[0]"},
		{"unknown role", `{"input":[{"role":"robot","content":"x"}]}`, "input[0].role"},
		{"no content", `{"input":[{"role":"user"}]}`, "input[0].content"},
		{"unknown part", `{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"hologram"}]}]}`, "input[0].content[1].type"},
		{"image without address", `{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`, "input[0].content[0].image_url"},
		{"file without data", `{"input":[{"role":"user","content":[{"type":"input_file"}]}]}`, "input[0].content[0]"},
		{"image in instructions", `{"input":[{"role":"system","content":[{"type":"input_image","image_url":"x"}]}]}`, "input[0].content[0].type"},
		{"call without call_id", `{"input":[{"type":"function_call","name":"f"}]}`, "input[0].call_id"},
		{"call without name", `{"input":[{"type":"function_call","call_id":"c"}]}`, "input[0].name"},
		{"result without call_id", `{"input":[{"type":"function_call_output","output":"c"}]}`, "input[0].call_id"},
		{"part of a result", `{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"x"}]}]}`, "input[0].output[0].type"},
		{"function without name", `{"input":"a","tools":[{"type":"function"}]}`, "tools[0].name"},
		{"namespace without name", `{"input":"a","tools":[{"type":"namespace","tools":[]}]}`, "tools[0].name"},
		{"tool without type", `{"input":"a","tools":[{"name":"x"}]}`, "tools[0].type"},
		{"choice without name", `{"input":"a","tool_choice":{"type":"function"}}`, "tool_choice.name"},
		{"allowed without tools", `{"input":"a","tool_choice":{"type":"allowed_tools"}}`, "tool_choice.tools"},
		{"limit", `{"input":"a","max_output_tokens":0}`, "max_output_tokens"},
		{"effort", `{"input":"a","reasoning":{"effort":"huge"}}`, "reasoning.effort"},
		{"format", `{"input":"a","text":{"format":{"type":"xml"}}}`, "text.format.type"},
		{"include", `{"input":"a","include":"x"}`, "include"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Responses{}.DecodeRequest(formattest.Parse(t, tc.doc))
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != chat.ErrInvalidRequest || e.Param != tc.param {
				t.Errorf("got %+v, want an error about %q", err, tc.param)
			}
		})
	}
}

func TestResponsesDecodeItems(t *testing.T) {
	for _, tc := range []struct{ name, items, want string }{
		{
			"results join one turn, an answer's items another",
			`{"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"e"},{"role":"assistant","content":"b"},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"2","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"},{"type":"function_call_output","call_id":"2","output":"y"},{"role":"user","content":"c"}`,
			"0:text 1:thinking,text,tool_use,tool_use 0:tool_result,tool_result 0:text",
		},
		{"empty reasoning is skipped", `{"role":"user","content":"a"},{"type":"reasoning","id":"r","summary":[]},{"role":"assistant","content":"b"}`, "0:text 1:text"},
		{"steps of the upstream belong to the answer", `{"role":"user","content":"a"},{"type":"web_search_call","id":"w"},{"role":"assistant","content":"b"}`, "0:text 1:unknown,text"},
		{"outputs of foreign tools are the user's", `{"type":"computer_call_output","call_id":"1","output":{}}`, "0:unknown"},
		{"instructions in the middle", `{"role":"user","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"}`, "0:text 2:text 0:text"},
		{"items of all kinds without a type", `{"role":"user","content":[{"type":"input_text","text":"a"}]},{"role":"assistant","content":[{"type":"output_text","text":"b"},{"type":"refusal","refusal":"c"}]}`, "0:text 1:text,refusal"},
		{"media in results", `{"type":"function_call_output","call_id":"1","output":[{"type":"input_image","image_url":"https://e.example/a.png"},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}]}`, "0:tool_result"},
		{"parts of earlier answers that mean nothing", `{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"output_text","text":"b"},{"type":"x"}]}`, "0:text 1:text,unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decodeResponses(t, `{"input":[`+tc.items+`]}`)
			var got []string
			for _, turn := range r.Turns {
				var kinds []string
				for _, b := range turn.Blocks {
					kinds = append(kinds, b.Kind.String())
				}
				got = append(got, string(rune('0'+turn.Role))+":"+strings.Join(kinds, ","))
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestResponsesDecodeInstructionsFirst(t *testing.T) {
	r := decodeResponses(t, `{"input":[{"role":"system","content":"second"},{"role":"user","content":"x"}],"instructions":"first"}`)
	if len(r.System) != 2 || !r.System[0].Text.Is("first") || !r.System[1].Text.Is("second") || len(r.Turns) != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestResponsesDecodeTools(t *testing.T) {
	r := decodeResponses(t, `{"input":"x","tools":[
		{"type":"namespace","name":"ns","tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"}]},
		{"type":"web_search"},
		{"type":"function","name":"strict","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}},
		{"type":"function","name":"loose","parameters":{"type":"object","properties":{"a":{"type":"string"}}}},
		{"type":"function","name":"told","strict":false,"parameters":{"type":"object","properties":{},"additionalProperties":false}}],
		"tool_choice":{"type":"function","namespace":"ns","name":"f"}}`)
	if len(r.Tools) != 6 {
		t.Fatalf("got %d tools", len(r.Tools))
	}
	if f := r.Tools[0]; !f.Name.Is("ns__f") || !f.Namespace.Is("ns") || f.Custom != nil {
		t.Errorf("function in a namespace: %+v", f)
	}
	if c := r.Tools[1]; !c.Name.Is("ns__c") || c.Custom == nil || c.Schema == nil || c.Type != "" {
		t.Errorf("custom tool: %+v", c)
	}
	if w := r.Tools[2]; w.Type != "web_search" || w.Raw == nil || w.Name != nil || w.Server != chat.ServerWebSearch {
		t.Errorf("server tool: %+v", w)
	}
	if r.Tools[3].Strict != chat.True || r.Tools[4].Strict != chat.Unset || r.Tools[5].Strict != chat.False {
		t.Errorf("strictness %d %d %d", r.Tools[3].Strict, r.Tools[4].Strict, r.Tools[5].Strict)
	}
	if c := r.ToolChoice; c.Mode != chat.ToolNamed || !c.Names[0].Is("ns__f") {
		t.Errorf("choice %+v", c)
	}
}

// TestResponsesDecodeToolsOfItems shows that tools which an item brings join the
// others, wherever the item stands.
func TestResponsesDecodeToolsOfItems(t *testing.T) {
	const item = `{"type":"additional_tools","id":"at_1","role":"developer","tools":[{"type":"function","name":"late"},{"type":"code_interpreter","container":{"type":"auto"}}]}`
	const tools = `"tools":[{"type":"function","name":"first"}]`
	for _, doc := range []string{
		`{"input":[{"role":"developer","content":"s"},` + item + `,{"role":"user","content":"x"}],` + tools + `}`,
		`{` + tools + `,"input":[{"role":"developer","content":"s"},` + item + `,{"role":"user","content":"x"}]}`,
	} {
		r := decodeResponses(t, doc)
		names := map[string]bool{}
		for _, tool := range r.Tools {
			names[tool.Name.String()+tool.Type] = true
			if tool.Type == "code_interpreter" && tool.Server != chat.ServerCodeExecution {
				t.Errorf("tool %+v", tool)
			}
		}
		if len(r.Tools) != 3 || !names["first"] || !names["late"] || !names["code_interpreter"] || len(r.System) != 1 || len(r.Turns) != 1 {
			t.Errorf("%s: %+v", doc, r)
		}
	}
	_, err := Responses{}.DecodeRequest(formattest.Parse(t, `{"input":[{"type":"additional_tools","tools":[{"type":"function"}]},{"role":"user","content":"x"}]}`))
	if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != "input[0].tools[0].name" {
		t.Errorf("got %v", err)
	}
}

// TestResponsesEchoedTools shows that answers repeat the tools with all that their
// schema demands.
func TestResponsesEchoedTools(t *testing.T) {
	const whole = `[{"type":"function","name":"f","parameters":{},"strict":null}, {"type":"web_search"}]`
	for _, tc := range []struct{ tools, want string }{
		{whole, whole},
		{`[]`, `[]`},
		{
			`[{"type":"function","name":"f"},{"type":"web_search"},{"type":"function","name":"g","parameters":{"type":"object","properties":{},"additionalProperties":false}}]`,
			`[{"type":"function","name":"f","parameters":null,"strict":false},{"type":"web_search"},{"type":"function","name":"g","parameters":{"type":"object","properties":{},"additionalProperties":false},"strict":true}]`,
		},
	} {
		x := exchange()
		x.Request = decodeResponses(t, `{"input":"a","tools":`+tc.tools+`}`)
		body, _ := Responses{}.EncodeResponse(nil, &chat.Response{}, x)
		if got := string(formattest.Parse(t, string(body)).Get("tools").Raw()); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func FuzzResponsesDecodeRequest(f *testing.F) {
	f.Add(`{"model":"m","input":"x","tools":[{"type":"custom","name":"c"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","parameters":{}}]}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"custom","name":"c"}]}}`)
	f.Add(`{"instructions":"i","input":[{"role":"developer","content":"d"},{"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"text":"b"}],"encrypted_content":"aigw1.gemini.y"},{"type":"custom_tool_call","call_id":"1","name":"c","input":"\""},{"type":"custom_tool_call_output","call_id":"1","output":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}`)
	f.Add(`{"input":[{"type":"function_call_output","call_id":"1","output":""},{"type":"x_call"}],"text":{"format":{"type":"json_schema","schema":{}}},"include":["a"],"top_logprobs":1,"user":"u"}`)
	f.Fuzz(func(t *testing.T, doc string) {
		var index tape.Tape
		if index.Parse([]byte(doc)) != nil {
			return
		}
		r, err := Responses{}.DecodeRequest(index.Root())
		if err != nil {
			return
		}
		for _, origin := range []string{originResponses, origin, foreign} {
			r.Format = origin
			for _, codec := range []format.Chat{Responses{}, Chat{}} {
				var b format.Body
				if _, err := codec.EncodeRequest(&b, r, chat.Target{Model: "m", Names: &chat.Names{}}); err == nil && !json.Valid(b.Bytes()) {
					t.Fatalf("not JSON: %s", b.Bytes())
				}
			}
		}
		r.Format = originResponses
		x := exchange()
		x.Request = r
		answer := &chat.Response{Blocks: []chat.Block{call("c", "c", `{"input":"x"}`), call("d", "n__f", `{}`)}}
		if body, _ := (Responses{}).EncodeResponse(nil, answer, x); !json.Valid(body) || strings.Contains(string(body), "\n") {
			t.Fatalf("not JSON on one line: %s", body)
		}
	})
}
