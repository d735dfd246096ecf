package format_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// toolTurns is a conversation of Anthropic messages with two calls and the
// content of the turn that answers them.
func toolTurns(answer string) string {
	return `{"model":"m","max_tokens":100,"tools":[{"name":"look","input_schema":{"type":"object"}}],"messages":[
		{"role":"user","content":"Look twice."},
		{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{}},{"type":"tool_use","id":"t2","name":"look","input":{}}]},
		{"role":"user","content":[` + answer + `]}]}`
}

// roles are the roles of the messages of a request of OpenAI chat.
func roles(request gjson.Result) string {
	var out []string
	for _, message := range request.Get("messages").Array() {
		out = append(out, message.Get("role").String())
	}
	return strings.Join(out, " ")
}

// TestCase12TextBeforeResults: the tool messages come first
// (ogx-ai/ogx #6367).
func TestCase12TextBeforeResults(t *testing.T) {
	got, _ := translateRequest(t, messagesFormat, chatFormat, toolTurns(`{"type":"text","text":"Here you are."},
		{"type":"tool_result","tool_use_id":"t1","content":"one"},{"type":"tool_result","tool_use_id":"t2","content":"two"}`), chat.Target{})
	if r := roles(got); r != "user assistant tool tool user" {
		t.Fatalf("the roles are %s: %s", r, got.Raw)
	}
	want(t, got, "messages.2.tool_call_id", `"t1"`)
	want(t, got, "messages.2.content", `"one"`)
	want(t, got, "messages.3.content", `"two"`)
	want(t, got, "messages.4.content", `"Here you are."`)
}

// TestCase13ImageInAResult: images follow the whole run of tool messages
// (mindsdb/anton #230).
func TestCase13ImageInAResult(t *testing.T) {
	got, _ := translateRequest(t, messagesFormat, chatFormat, toolTurns(`
		{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a picture"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aWNvbg=="}}]},
		{"type":"tool_result","tool_use_id":"t2","content":"two"}`), chat.Target{})
	if r := roles(got); r != "user assistant tool tool user" {
		t.Fatalf("the roles are %s: %s", r, got.Raw)
	}
	want(t, got, "messages.2.content", `"a picture"`)
	want(t, got, "messages.3.content", `"two"`)
	want(t, got, `messages.4.content.#(type=="image_url").image_url.url`, `"data:image/png;base64,aWNvbg=="`)
	if label := got.Get("messages.4.content.0.text").String(); !strings.Contains(label, "t1") {
		t.Errorf("the image is labelled %q, without its call", label)
	}
}

// TestCase14TextNextToResults: the text is kept (StringKe/claudex #8).
func TestCase14TextNextToResults(t *testing.T) {
	body := toolTurns(`{"type":"tool_result","tool_use_id":"t1","content":"one"},{"type":"tool_result","tool_use_id":"t2","content":"two"},{"type":"text","text":"And now?"}`)
	got, _ := translateRequest(t, messagesFormat, chatFormat, body, chat.Target{})
	want(t, got, "messages.4.role", `"user"`)
	want(t, got, "messages.4.content", `"And now?"`)
	got, _ = translateRequest(t, messagesFormat, responsesFormat, body, chat.Target{})
	if last := got.Get("input").Array(); !strings.Contains(last[len(last)-1].Raw, "And now?") {
		t.Errorf("responses: the last item is %s", last[len(last)-1].Raw)
	}
	got, _ = translateRequest(t, messagesFormat, geminiFormat, body, chat.Target{})
	want(t, got, "contents.2.parts.2.text", `"And now?"`)
}

// chatTurns is a conversation of OpenAI chat with two calls and the messages
// behind them.
func chatTurns(arguments, rest string) string {
	return `{"model":"m","max_tokens":100,"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}],"messages":[
		{"role":"user","content":"Look twice."},
		{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"look","arguments":` + arguments + `}},{"id":"t2","type":"function","function":{"name":"look","arguments":"{}"}}]}` + rest + `]}`
}

// TestCase15SeveralToolMessages: they become one user turn.
func TestCase15SeveralToolMessages(t *testing.T) {
	got, _ := translateRequest(t, chatFormat, messagesFormat, chatTurns(`"{}"`, `,{"role":"tool","tool_call_id":"t2","content":"two"},{"role":"tool","tool_call_id":"t1","content":"one"},{"role":"user","content":"And now?"}`), chat.Target{})
	want(t, got, "messages.#", "3")
	want(t, got, "messages.2.content.#.type", `["tool_result","tool_result","text"]`)
	want(t, got, "messages.2.content.#.tool_use_id", `["t1","t2"]`)
	want(t, got, "messages.2.content.0.content", `"one"`)
	want(t, got, "messages.2.content.2.text", `"And now?"`)
}

// TestCase16CallWithoutResult: the result is made up and marked.
func TestCase16CallWithoutResult(t *testing.T) {
	got, report := translateRequest(t, chatFormat, messagesFormat, chatTurns(`"{}"`, `,{"role":"tool","tool_call_id":"t1","content":"one"},{"role":"user","content":"And now?"}`), chat.Target{})
	want(t, got, "messages.2.content.1.type", `"tool_result"`)
	want(t, got, "messages.2.content.1.tool_use_id", `"t2"`)
	want(t, got, "messages.2.content.1.is_error", "true")
	if text := got.Get("messages.2.content.1.content").Raw; !strings.Contains(text, "(no result)") {
		t.Errorf("the result is %s", text)
	}
	if len(report) == 0 {
		t.Error("nothing is reported")
	}
}

// TestCase17OrphanResult: it becomes a user's text and is reported.
func TestCase17OrphanResult(t *testing.T) {
	const body = `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hi."},{"role":"tool","tool_call_id":"gone","content":"one"}]}`
	for name, target := range map[string]format.Chat{"messages": messagesFormat, "gemini": geminiFormat} {
		t.Run(name, func(t *testing.T) {
			got, report := translateRequest(t, chatFormat, target, body, chat.Target{})
			if !strings.Contains(got.Raw, "[result of tool gone] one") {
				t.Errorf("got %s", got.Raw)
			}
			if len(report) == 0 {
				t.Error("nothing is reported")
			}
		})
	}
}

// TestCase18ArgumentsOfHistory: empty ones become {}, broken ones are kept as
// text; numbers keep their digits.
func TestCase18ArgumentsOfHistory(t *testing.T) {
	const rest = `,{"role":"tool","tool_call_id":"t1","content":"one"},{"role":"tool","tool_call_id":"t2","content":"two"}`
	for _, tc := range []struct{ name, arguments, input string }{
		{"empty", `""`, `{}`},
		{"broken", `"{\"city\":"`, `{"_raw":"{\"city\":"}`},
		{"no object", `"[1]"`, `{"_raw":"[1]"}`},
		{"long numbers", `"{\"id\":9007199254740993}"`, `{"id":9007199254740993}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := translateRequest(t, chatFormat, messagesFormat, chatTurns(tc.arguments, rest), chat.Target{})
			want(t, got, "messages.1.content.0.input", tc.input)
			got, _ = translateRequest(t, chatFormat, geminiFormat, chatTurns(tc.arguments, rest), chat.Target{})
			want(t, got, "contents.1.parts.0.functionCall.args", tc.input)
		})
	}
}

// TestCase27ForeignSignatures: signatures of other makers are left out, and a
// Gemini model that demands one gets the placeholder on the first call of the
// step only (vercel/ai #17649).
func TestCase27ForeignSignatures(t *testing.T) {
	body := strings.Replace(toolTurns(`{"type":"tool_result","tool_use_id":"t1","content":"one"},{"type":"tool_result","tool_use_id":"t2","content":"two"}`),
		`{"type":"tool_use","id":"t1"`, `{"type":"thinking","thinking":"Hm, secretly.","signature":"c2ln"},{"type":"tool_use","id":"t1"`, 1)
	for name, target := range map[string]format.Chat{"chat": chatFormat, "responses": responsesFormat, "gemini": geminiFormat} {
		got, _ := translateRequest(t, messagesFormat, target, body, chat.Target{Can: capability.Model{CallSignatures: true}})
		if strings.Contains(got.Raw, "secretly") || strings.Contains(got.Raw, "c2ln") {
			t.Errorf("%s: the thinking is sent on: %s", name, got.Raw)
		}
		if name == "gemini" {
			placeholder := base64.StdEncoding.EncodeToString([]byte("skip_thought_signature_validator"))
			want(t, got, "contents.1.parts.0.thoughtSignature", `"`+placeholder+`"`)
			want(t, got, "contents.1.parts.1.thoughtSignature", "")
		}
	}
	back := strings.Replace(body, `"signature":"c2ln"`, `"signature":""`, 1)
	got, _ := translateRequest(t, messagesFormat, messagesFormat, back, chat.Target{})
	want(t, got, "messages.1.content.#.type", `["tool_use","tool_use"]`)
}

// TestCase32SystemInTheMiddle: a system turn keeps its place where the target
// knows such turns, and else goes into the next user turn.
func TestCase32SystemInTheMiddle(t *testing.T) {
	const claudeCode = `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"One."},{"role":"system","content":"Be brief."},{"role":"assistant","content":"Yes."},{"role":"user","content":"Two."}]}`
	got, _ := translateRequest(t, messagesFormat, chatFormat, claudeCode, chat.Target{})
	want(t, got, "messages.1.role", `"system"`)
	want(t, got, "messages.1.content", `"Be brief."`)
	got, _ = translateRequest(t, messagesFormat, responsesFormat, claudeCode, chat.Target{})
	if role := got.Get("input.1.role").String(); role != "system" && role != "developer" || !strings.Contains(got.Get("input.1").Raw, "Be brief.") {
		t.Errorf("responses: item 1 is %s", got.Get("input.1").Raw)
	}
	for name, to := range map[string]format.Chat{"gemini": geminiFormat, "old Claude": messagesFormat} {
		turns := "messages"
		if to == geminiFormat {
			turns = "contents"
		}
		got, _ = translateRequest(t, messagesFormat, to, claudeCode, chat.Target{})
		if turn := got.Get(turns + ".0"); !folded(turn) {
			t.Errorf("%s: no user turn in its place: %s", name, turn.Raw)
		}
		want(t, got, turns+".#", "3")
		behind := strings.Replace(claudeCode, `{"role":"system","content":"Be brief."},{"role":"assistant","content":"Yes."}`, `{"role":"assistant","content":"Yes."},{"role":"system","content":"Be brief."}`, 1)
		got, _ = translateRequest(t, messagesFormat, to, behind, chat.Target{})
		if turn := got.Get(turns + ".2"); !folded(turn) {
			t.Errorf("%s: the next user turn is %s", name, turn.Raw)
		}
	}
	got, _ = translateRequest(t, messagesFormat, messagesFormat, claudeCode, chat.Target{Can: capability.Model{MidSystem: true}})
	want(t, got, "messages.#.role", `["user","system","assistant","user"]`)
}

// folded says that a turn is a user's and holds the system text of the case.
func folded(turn gjson.Result) bool {
	text := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(turn.Raw)
	return turn.Get("role").String() == "user" && strings.Contains(text, "<system>Be brief.</system>")
}
