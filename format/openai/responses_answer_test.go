package openai

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func TestResponsesAnswerRefused(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		kind      chat.ErrorKind
		inspected bool // and found good
	}{
		{"no output", `{"id":"x"}`, chat.ErrBadUpstream, false},
		{"no object", `"x"`, chat.ErrBadUpstream, false},
		{"a chat completion", `{"choices":[]}`, chat.ErrBadUpstream, false},
		{"error object", `{"error":{"message":"no","code":"rate_limit_exceeded"}}`, chat.ErrRateLimit, false},
		{"failed", `{"status":"failed","error":{"code":"server_error","message":"no"},"output":[]}`, chat.ErrServer, false},
		{"failed without a word", `{"status":"failed","error":null,"output":[]}`, chat.ErrServer, false},
		{"not yet", `{"status":"in_progress","error":null,"output":[]}`, chat.ErrBadUpstream, true},
		{"call without a name", `{"status":"completed","output":[{"type":"function_call","call_id":"c"}]}`, chat.ErrBadUpstream, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := formattest.Parse(t, tc.doc)
			_, err := Responses{}.DecodeResponse(doc)
			var e *chat.Error
			if !errors.As(err, &e) || e.Kind != tc.kind || e.Message == "" {
				t.Errorf("got %+v", err)
			}
			if _, err := (Responses{}).InspectResponse(doc); (err == nil) != tc.inspected {
				t.Errorf("inspected: %v", err)
			}
		})
	}
}

func TestResponsesStops(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		want      chat.StopReason
	}{
		{"end", `{"status":"completed","output":[]}`, chat.StopEnd},
		{"calls", `{"status":"completed","output":[{"type":"function_call","name":"f"}]}`, chat.StopToolUse},
		{"refusal", `{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}`, chat.StopRefusal},
		{"limit", `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}`, chat.StopMaxTokens},
		{"filter", `{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]}`, chat.StopContentFilter},
		{"steered", `{"status":"incomplete","incomplete_details":{"reason":"steered"},"output":[]}`, chat.StopOther},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Responses{}.DecodeResponse(formattest.Parse(t, tc.doc))
			if err != nil || r.Stop.Reason != tc.want {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	for reason, want := range map[chat.StopReason]string{
		chat.StopEnd: "completed", chat.StopToolUse: "completed", chat.StopSequence: "completed", chat.StopPause: "completed", chat.StopOther: "completed",
		chat.StopMaxTokens: "incomplete max_output_tokens", chat.StopContextWindow: "incomplete max_output_tokens",
		chat.StopContentFilter: "incomplete content_filter", chat.StopRefusal: "incomplete content_filter",
	} {
		body, _ := Responses{}.EncodeResponse(nil, &chat.Response{Stop: chat.Stop{Reason: reason}}, exchange())
		doc := formattest.Parse(t, string(body))
		if got := strings.TrimSpace(doc.Get("status").Text() + " " + doc.Get("incomplete_details").Get("reason").Text()); got != want {
			t.Errorf("stop %d: %s, want %s", reason, got, want)
		}
	}
}

// required are the members that the schema of an answer demands.
var required = []string{
	"created_at", "error", "id", "incomplete_details", "instructions", "metadata", "model", "object", "output",
	"parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p", "text", "truncation", "usage",
}

func TestResponsesAnswerRepeatsTheRequest(t *testing.T) {
	x := exchange()
	body, _ := Responses{}.EncodeResponse(nil, &chat.Response{}, x)
	doc := formattest.Parse(t, string(body))
	for _, name := range required {
		if !doc.Get(name).Exists() || doc.Duplicate(name) {
			t.Errorf("%s is missing or repeated in %s", name, body)
		}
	}
	if !doc.Get("id").Is("resp_req-1") {
		t.Errorf("id is %s", doc.Get("id").Raw())
	}
	x.Request = decodeResponses(t, `{"input":"x","instructions":"be","temperature":0.25,"seed2":1,"tool_choice":"none","top_p":0.5,
		"text":{"format":{"type":"json_object"}},"truncation":"auto","metadata":{"n":9007199254740993},"prompt_cache_key":"k","store":false}`)
	body, _ = Responses{}.EncodeResponse(nil, &chat.Response{}, x)
	doc = formattest.Parse(t, string(body))
	for name, want := range map[string]string{
		"instructions": `"be"`, "temperature": "0.25", "tool_choice": `"none"`, "top_p": "0.5", "text": `{"format":{"type":"json_object"}}`,
		"truncation": `"auto"`, "metadata": `{"n":9007199254740993}`, "prompt_cache_key": `"k"`, "store": "false",
	} {
		if got := string(doc.Get(name).Raw()); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if doc.Get("seed2").Exists() {
		t.Errorf("unknown fields are repeated: %s", body)
	}
}

func TestResponsesAnswerRestoresTools(t *testing.T) {
	x := responsesExchange(t)
	x.Names = &chat.Names{}
	x.Names.Add("short", q("notes__read"))
	r := &chat.Response{Blocks: []chat.Block{
		call("1", "short", `{"a":1}`), call("2", "apply_patch", `{"input":"x\ny"}`), call("3", "apply_patch", `{"other":1}`), call("4", "else", ``),
	}}
	body, _ := Responses{}.EncodeResponse(nil, r, x)
	for _, want := range []string{
		`"type":"function_call","status":"completed","call_id":"1","namespace":"notes","name":"read","arguments":"{\"a\":1}"}`,
		`"type":"custom_tool_call","status":"completed","call_id":"2","name":"apply_patch","input":"x\ny"}`,
		`"call_id":"3","name":"apply_patch","input":"{\"other\":1}"}`,
		`"type":"function_call","status":"completed","call_id":"4","name":"else","arguments":"{}"}`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	// The same in a stream.
	e := Responses{}.NewStreamEncoder(x)
	var out []byte
	for ev := range r.Replay {
		out = e.Encode(out, ev)
	}
	checkResponseEvents(t, out)
	if got, want := finalOutput(t, out), string(sameIDs(formattest.Parse(t, string(body)).Get("output").Raw())); got != want {
		t.Errorf("\nstreamed %s\nwhole    %s", got, want)
	}
}

func FuzzResponsesDecodeResponse(f *testing.F) {
	f.Add(`{"id":"x","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"a"}]},{"type":"function_call","name":"f","arguments":"{}"},{"type":"reasoning","summary":[{"text":"a"}],"encrypted_content":"x"}],"usage":{"input_tokens":1}}`)
	f.Add(`{"status":"failed","error":{"code":"x"}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		var index tape.Tape
		if index.Parse([]byte(doc)) != nil {
			return
		}
		if _, err := (Responses{}).InspectResponse(index.Root()); err != nil && err.Error() == "" {
			t.Fatal("an error without a message")
		}
		r, err := Responses{}.DecodeResponse(index.Root())
		if err != nil {
			return
		}
		if r.Usage.InputUncached < 0 || r.Usage.CacheRead < 0 || r.Usage.Output < 0 {
			t.Fatalf("negative usage %+v", r.Usage)
		}
		if body, _ := (Responses{}).EncodeResponse(nil, r, exchange()); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
		if body, _ := (Chat{}).EncodeResponse(nil, r, exchange()); !json.Valid(body) {
			t.Fatalf("not JSON: %s", body)
		}
	})
}
