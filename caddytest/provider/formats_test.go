package provider_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

const (
	responsesPath    = "/v1/responses"
	geminiPath       = "/v1beta/models/m:generateContent"
	geminiStreamPath = "/v1beta/models/m:streamGenerateContent?alt=sse"
)

// TestFormats shows what the answers of the younger formats hold, and what
// reasoning, refusals, reasons to stop and usage look like in all of them.
func TestFormats(t *testing.T) {
	text := provider.Say("Hi there.")
	calls := provider.Call("call_1", "weather", `{"city": "Rome"}`).AndCall("call_2", "clock", `{}`)
	thought := provider.Think("Let me see.", "c2ln").AndSay("Yes.")
	custom := provider.Custom("call_1", "note", `a "b"`)
	cited := provider.Say("Ja.").Citing("https://a.example", "A").Weighing()
	usage := text.Counting(provider.Usage{Prompt: 130, CacheRead: 100, CacheWrite: 20, Output: 32, Reasoning: 30})
	for _, tc := range []struct {
		name, path, body string
		step             provider.Step
		events           int // 0: plain
		want             []string
	}{
		{"responses", responsesPath, plain, text, 0, []string{`"object":"response"`, `"status":"completed"`, `"type":"output_text","annotations":[],"logprobs":[],"text":"Hi there."`, `"total_tokens":18`, `"model":"m"`}},
		{"responses stream", responsesPath, stream, text, 10, []string{"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,", `"sequence_number":9`, `"delta":"Hi "`, "event: response.completed\n"}},
		{"responses calls", responsesPath, plain, calls, 0, []string{`"type":"function_call","status":"completed","arguments":"{\"city\": \"Rome\"}","call_id":"call_1","name":"weather"`}},
		{"responses calls stream", responsesPath, stream, calls, 12, []string{`"output_index":1`, `"delta":"\"Rome\"}"`}},
		{"responses reasoning", responsesPath, plain, thought, 0, []string{`"type":"reasoning","summary":[{"type":"summary_text","text":"Let me see."}],"encrypted_content":"c2ln"`}},
		{"chat custom", chatPath, plain, custom, 0, []string{`{"id":"call_1","type":"custom","custom":{"name":"note","input":"a \"b\""}}`, `"finish_reason":"tool_calls"`}},
		{"chat custom stream", chatPath, stream, custom, 7, []string{`"type":"custom","custom":{"name":"note","input":""}`, `{"index":0,"custom":{"input":"\"b\""}}`}},
		{"responses custom", responsesPath, plain, custom, 0, []string{`"type":"custom_tool_call","status":"completed","call_id":"call_1","name":"note","input":"a \"b\""`}},
		{"responses custom stream", responsesPath, stream, custom, 8, []string{"event: response.custom_tool_call_input.done\n"}},
		{"messages custom", messagesPath, plain, custom, 0, []string{`"name":"note","input":{"input":"a \"b\""}`, `"stop_reason":"tool_use"`}},
		{"gemini custom", geminiPath, "{}", custom, 0, []string{`"functionCall":{"id":"call_1","name":"note","args":{"input":"a \"b\""}}`}},
		{"chat source", chatPath, plain, cited, 0, []string{`"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":3,"url":"https://a.example","title":"A"}}]`}},
		{"chat source stream", chatPath, stream, cited, 6, []string{`"delta":{"annotations":[`, `"logprobs":{"content":[{"token":"Ja.","logprob":-0.5,"bytes":[74,97,46],"top_logprobs":[]}],"refusal":null}`}},
		{"responses source", responsesPath, stream, cited, 10, []string{"event: response.output_text.annotation.added\n", `"delta":"Ja.","logprobs":[{"token":"Ja."`}},
		{"messages source", messagesPath, stream, cited, 8, []string{`"citation":{"type":"web_search_result_location","url":"https://a.example","title":"A","encrypted_index":"RW8=","cited_text":"Ja."}`}},
		{"gemini source", geminiPath, "{}", cited, 0, []string{`"groundingSupports":[{"segment":{"endIndex":3,"text":"Ja."},"groundingChunkIndices":[0]}]`, `"chosenCandidates":[{"token":"Ja.","tokenId":1,"logProbability":-0.5}]`}},
		{"responses limit", responsesPath, plain, text.Stopping(provider.StopMaxTokens), 0, []string{`"status":"incomplete"`, `"incomplete_details":{"reason":"max_output_tokens"}`}},
		{"responses error first", responsesPath, stream, text.ErrorAt(provider.Start), 1, []string{"event: error\n", `"code":"server_error"`}},
		{"responses error late", responsesPath, stream, text.ErrorAt(1), 6, []string{"event: response.failed\n", `"status":"failed"`, `"error":{"code":"server_error"`}},
		{"gemini", geminiPath, "{}", text, 0, []string{`"parts":[{"text":"Hi there."}],"role":"model"`, `"finishReason":"STOP"`, `"promptTokenCount":11`, `"modelVersion":"m"`}},
		{"gemini stream", geminiStreamPath, "{}", text, 3, []string{`"text":"Hi "`, `"finishReason":"STOP"`}},
		{"gemini calls", geminiStreamPath, "{}", calls, 3, []string{`"functionCall":{"id":"call_1","name":"weather","args":{"city": "Rome"}}`}},
		{"gemini reasoning", geminiPath, "{}", thought, 0, []string{`{"text":"Let me see.","thought":true},{"text":"Yes.","thoughtSignature":"YzJsbg=="}`}},
		{"gemini filtered", geminiPath, "{}", text.Stopping(provider.StopFiltered), 0, []string{`"finishReason":"SAFETY"`}},
		{"gemini usage", geminiPath, "{}", usage, 0, []string{`"promptTokenCount":130,"candidatesTokenCount":2,"totalTokenCount":162,"cachedContentTokenCount":100,"thoughtsTokenCount":30`}},
		{"gemini error event", geminiStreamPath, "{}", text.ErrorAt(1), 2, []string{`{"error":{"code":503,"message":"scripted error","status":"UNAVAILABLE"}}`}},
		{"chat reasoning", chatPath, stream, thought, 9, []string{`"reasoning_content":"Let "`, `"signature":"c2ln"`}},
		{"chat refusal", chatPath, plain, provider.Refuse("No."), 0, []string{`"content":null`, `"refusal":"No."`, `"finish_reason":"stop"`}},
		{"chat usage", chatPath, plain, usage, 0, []string{`"prompt_tokens":130`, `"cached_tokens":100,"cache_write_tokens":20`, `"reasoning_tokens":30`}},
		{"messages reasoning", messagesPath, plain, thought, 0, []string{`{"type":"thinking","thinking":"Let me see.","signature":"c2ln"},{"type":"text"`}},
		{"messages redacted", messagesPath, stream, provider.Redacted("c2ln").AndSay("Yes."), 9, []string{`{"type":"redacted_thinking","data":"c2ln"}`}},
		{"messages refusal", messagesPath, plain, provider.Refuse("No."), 0, []string{`"text":"No."`, `"stop_reason":"refusal"`}},
		{"messages usage", messagesPath, plain, usage, 0, []string{`"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":32`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := provider.New(t)
			p.Script(tc.step)
			response, got, err := ask(t, p, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if tc.events > 0 {
				if events := datas(t, got); len(events) != tc.events {
					t.Errorf("got %d events, want %d:\n%s", len(events), tc.events, got)
				}
			} else if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
			if response.StatusCode != http.StatusOK {
				t.Errorf("got %d", response.StatusCode)
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
		})
	}
}

// TestGeminiFail shows that errors of Gemini have its words for statuses.
func TestGeminiFail(t *testing.T) {
	p := provider.New(t)
	p.Script(provider.Fail(http.StatusTooManyRequests, "slow"))
	response, got, err := ask(t, p, geminiPath, "{}")
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusTooManyRequests || got != `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}` {
		t.Errorf("%d %s", response.StatusCode, got)
	}
}

// TestCheck shows that requests are held against the rules of their format.
func TestCheck(t *testing.T) {
	const (
		user   = `{"role":"user","content":"Hi."}`
		calls  = `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
		result = `{"role":"tool","tool_call_id":"a","content":"ok"}`
		uses   = `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{}}]}`
		says   = `{"role":"user","parts":[{"text":"Hi."}]}`
	)
	for _, tc := range []struct {
		name, path, body, problem string
	}{
		{"chat", chatPath, `{"model":"m","messages":[` + user + `,` + calls + `,` + result + `]}`, ""},
		{"chat unknown field", chatPath, `{"model":"m","messages":[` + user + `],"top_k":1}`, `unknown field "top_k"`},
		{"chat call without result", chatPath, `{"model":"m","messages":[` + user + `,` + calls + `,` + user + `]}`, "have no results"},
		{"chat result without call", chatPath, `{"model":"m","messages":[` + user + `,` + result + `]}`, "which nobody made"},
		{"chat too hot", chatPath, `{"model":"m","messages":[` + user + `],"temperature":3}`, "temperature is 3"},
		{"chat choice without tools", chatPath, `{"model":"m","messages":[` + user + `],"tool_choice":"auto"}`, "tool_choice without tools"},
		{"chat wrong part", chatPath, `{"model":"m","messages":[{"role":"user","content":[{"type":"input_text","text":"Hi."}]}]}`, "a part of a message of the user"},
		{"responses", responsesPath, `{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hi."}]}]}`, ""},
		{"responses wrong part", responsesPath, `{"model":"m","input":[{"role":"assistant","content":[{"type":"input_text","text":"Hi."}]}]}`, "a part of a message of the assistant"},
		{"responses few tokens", responsesPath, `{"model":"m","input":"Hi.","max_output_tokens":5}`, "max_output_tokens is 5"},
		{"responses call without result", responsesPath, `{"model":"m","input":[{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}]}`, "have no results"},
		{"messages", messagesPath, `{"model":"m","max_tokens":9,"messages":[` + user + `,` + uses + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"},{"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"So?"}]}]}`, ""},
		{"messages no limit", messagesPath, `{"model":"m","messages":[` + user + `]}`, "no max_tokens"},
		{"messages two in a row", messagesPath, `{"model":"m","max_tokens":9,"messages":[` + user + `,` + user + `]}`, "two turns of the user"},
		{"messages late result", messagesPath, `{"model":"m","max_tokens":9,"messages":[` + user + `,` + uses + `,{"role":"user","content":[{"type":"text","text":"So?"},{"type":"tool_result","tool_use_id":"a"},{"type":"tool_result","tool_use_id":"b"}]}]}`, "behind other blocks"},
		{"messages empty text", messagesPath, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":" "}]}]}`, "an empty text block"},
		{"messages budget", messagesPath, `{"model":"m","max_tokens":1024,"thinking":{"type":"enabled","budget_tokens":1024},"messages":[` + user + `]}`, "a budget of 1024"},
		{"gemini", geminiPath, `{"contents":[` + says + `,{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`, ""},
		{"gemini model in the body", geminiPath, `{"model":"m","contents":[` + says + `]}`, `unknown field "model"`},
		{"gemini two in a row", geminiPath, `{"contents":[` + says + `,` + says + `]}`, "two contents of the user"},
		{"gemini call without result", geminiPath, `{"contents":[` + says + `,{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},` + says + `]}`, "have no results"},
		{"gemini two kinds", geminiPath, `{"contents":[{"role":"user","parts":[{"text":"Hi.","inlineData":{"mimeType":"image/png","data":"aWNvbg=="}}]}]}`, "2 kinds of data"},
		{"gemini level and budget", geminiPath, `{"contents":[` + says + `],"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW","thinkingBudget":1}}}`, "a budget and a level"},
		{"chat custom call", chatPath, `{"model":"m","messages":[` + user + `,{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"f"}}]},` + result + `]}`, "the input of a call"},
		{"chat long user", chatPath, `{"model":"m","messages":[` + user + `],"safety_identifier":"` + strings.Repeat("u", 65) + `"}`, "of up to 64 bytes"},
		{"chat sound", chatPath, `{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"ogg"}}]}]}`, "the format of sound"},
		{"chat allowed", chatPath, `{"model":"m","messages":[` + user + `],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"any","tools":[]}}}`, "a choice among no tools"},
		{"chat probabilities", chatPath, `{"model":"m","messages":[` + user + `],"top_logprobs":2}`, "top_logprobs without logprobs"},
		{"responses custom call", responsesPath, `{"model":"m","input":[{"type":"custom_tool_call","call_id":"a","name":"f","input":"x"},{"type":"custom_tool_call_output","call_id":"a","output":"y"}]}`, ""},
		{"responses empty namespace", responsesPath, `{"model":"m","input":"Hi.","tools":[{"type":"namespace","name":"n","tools":[]}]}`, "a namespace without tools"},
		{"messages no calls", messagesPath, `{"model":"m","max_tokens":9,"messages":[` + user + `],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"none","disable_parallel_tool_use":true}}`, `unknown field "disable_parallel_tool_use"`},
		{"gemini probabilities", geminiPath, `{"contents":[` + says + `],"generationConfig":{"logprobs":2}}`, "logprobs without responseLogprobs"},
		{"not JSON", chatPath, `{`, "no JSON object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &provider.Request{Path: tc.path, Header: http.Header{"Anthropic-Version": {"2023-06-01"}}, Body: []byte(tc.body)}
			err := provider.Check(r)
			if tc.problem == "" && err != nil {
				t.Errorf("it is refused: %v", err)
			}
			if tc.problem != "" && (err == nil || !strings.Contains(err.Error(), tc.problem)) {
				t.Errorf("got %v, want %s", err, tc.problem)
			}
		})
	}
}
