package openai

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

// signedAnswer is an answer with all that has a signature.
func signedAnswer() *chat.Response {
	signed := call("1", "list", `{"a":1}`)
	signed.Signature, signed.Origin = q("c2ln"), originGemini
	return &chat.Response{Blocks: []chat.Block{
		{Kind: chat.Thinking, Text: q("hm\n"), Signature: q(`s"g:`), Origin: foreign},
		{Kind: chat.Thinking, Text: q(""), Signature: q("quiet"), Origin: foreign},
		{Kind: chat.RedactedThinking, Text: q("sealed"), Origin: foreign},
		{Kind: chat.Thinking, Text: q("own"), Signature: q("enc"), Origin: originResponses},
		signed,
		call("2", "list", `{}`),
	}}
}

// checkCarried checks what a client sends back of such an answer.
func checkCarried(t *testing.T, items string) *chat.Request {
	t.Helper()
	back := decodeResponses(t, `{"input":`+items+`}`)
	got, want := back.Turns[0].Blocks, signedAnswer().Blocks
	if len(got) != len(want) {
		t.Fatalf("%d blocks come back: %+v", len(got), got)
	}
	for i := range want {
		g, w := &got[i], &want[i]
		if g.Kind != w.Kind || g.Text.String() != w.Text.String() || g.Signature.String() != w.Signature.String() ||
			g.Origin != w.Origin || !g.ID.Is(w.ID.String()) && w.ID != nil {
			t.Errorf("block %d is %+v, want %+v", i, g, w)
		}
	}
	return back
}

// TestResponsesCarrySignatures shows that what other formats have signed survives
// the way through a client of this one, and goes to no upstream but its maker's.
func TestResponsesCarrySignatures(t *testing.T) {
	x := responsesExchange(t)
	body, report := Responses{}.EncodeResponse(nil, signedAnswer(), x)
	if len(report) > 0 {
		t.Errorf("lost %v", report)
	}
	items := string(formattest.Parse(t, string(body)).Get("output").Raw())
	for _, want := range []string{
		`"summary":[{"type":"summary_text","text":"hm\n"}],"encrypted_content":` + string(chat.TagSignature(foreign, q(`s"g:`))),
		`"summary":[],"encrypted_content":` + string(chat.TagSignature(foreign, q("quiet"))),
		`"summary":[],"encrypted_content":` + string(chat.TagSignature(originGemini, q("c2ln"))) + `},{"id":"fc_`,
		`"encrypted_content":"enc"`,
	} {
		if !strings.Contains(items, want) {
			t.Errorf("no %s in %s", want, items)
		}
	}
	back := checkCarried(t, items)
	doc, lost := encodeResponses(t, back)
	if strings.Contains(doc, "aigw1.") || strings.Count(doc, `"type":"reasoning"`) != 1 || !strings.Contains(doc, `"encrypted_content":"enc"`) || !strings.Contains(lostPaths(lost), "thinking") {
		t.Errorf("sent to the upstream: %s, lost %v", doc, lost)
	}
}

// TestResponsesCarrySignaturesInStreams shows the same for a stream.
func TestResponsesCarrySignaturesInStreams(t *testing.T) {
	e := Responses{}.NewStreamEncoder(responsesExchange(t))
	var out []byte
	for ev := range signedAnswer().Replay {
		out = e.Encode(out, ev)
	}
	checkResponseEvents(t, out)
	checkCarried(t, finalOutput(t, out))
}

// TestResponsesSignatureBeforeItsCall shows that a call is told behind its
// signature, whenever that comes, and is not lost if none comes.
func TestResponsesSignatureBeforeItsCall(t *testing.T) {
	begin := chat.Event{Kind: chat.EventBlockStart, Block: chat.ToolUse, ID: q("c"), Name: q("f"), Origin: originGemini}
	next := chat.Event{Kind: chat.EventBlockStart, Index: 1, Block: chat.ToolUse, ID: q("d"), Name: q("g")}
	arguments := chat.Event{Kind: chat.EventDelta, Delta: chat.DeltaArguments, Text: q(`{"a":1}`)}
	signature := chat.Event{Kind: chat.EventDelta, Delta: chat.DeltaSignature, Text: q("c2ln"), Origin: originGemini}
	stop := chat.Event{Kind: chat.EventBlockStop}
	finish := chat.Event{Kind: chat.EventFinish, Stop: chat.Stop{Reason: chat.StopToolUse}}
	end := chat.Event{Kind: chat.EventEnd}
	const opened = "created in_progress "
	const called = "function_call_arguments.delta:1 function_call_arguments.done:1 output_item.done:1 completed"
	for _, tc := range []struct {
		name   string
		events []chat.Event
		want   string
	}{
		{"at once", []chat.Event{begin, signature, arguments, stop, finish, end}, opened + "output_item.added:0 output_item.done:0 output_item.added:1 " + called},
		{"behind the arguments", []chat.Event{begin, arguments, signature, stop, finish, end}, opened + "output_item.added:0 output_item.done:0 output_item.added:1 " + called},
		{
			"never",
			[]chat.Event{begin, arguments, stop, finish, end},
			opened + "output_item.added:0 function_call_arguments.delta:0 function_call_arguments.done:0 output_item.done:0 completed",
		},
		{
			"never, and the call has no end",
			[]chat.Event{begin, finish, end},
			opened + "output_item.added:0 function_call_arguments.delta:0 function_call_arguments.done:0 output_item.done:0 completed",
		},
		{
			"another call comes first",
			[]chat.Event{begin, next, signature, stop, finish, end},
			opened + "output_item.added:0 output_item.added:1 function_call_arguments.delta:0 function_call_arguments.done:0 output_item.done:0 " + called,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := Responses{}.NewStreamEncoder(exchange())
			var out []byte
			for i := range tc.events {
				out = e.Encode(out, &tc.events[i])
			}
			if got := steps(t, out); got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			checkResponseEvents(t, out)
		})
	}
}

// TestResponsesSignaturesThatStray shows what becomes of signatures that a client
// has moved or made up.
func TestResponsesSignaturesThatStray(t *testing.T) {
	sign := func(maker string) string {
		return `{"type":"reasoning","summary":[],"encrypted_content":` + string(chat.TagSignature(maker, q("s"))) + `}`
	}
	const called = `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}`
	for _, tc := range []struct{ name, items, want string }{
		{"in front of its call", sign(originGemini) + `,` + called, "tool_use=gemini"},
		{"in front of a call with free text", sign(originGemini) + `,{"type":"custom_tool_call","call_id":"c","name":"f","input":"x"}`, "tool_use=gemini"},
		{"in front of a text", sign(originGemini) + `,{"role":"assistant","content":"a"},` + called, "thinking=gemini text= tool_use="},
		{"two in a row", sign(originGemini) + `,` + sign(originGemini) + `,` + called, "thinking=gemini tool_use=gemini"},
		{"of a maker that signs no calls", sign(foreign) + `,` + called, "thinking=" + foreign + " tool_use="},
		{"of nobody", `{"type":"reasoning","summary":[],"encrypted_content":"aigw1.x"},` + called, "thinking=" + originResponses + " tool_use="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := decodeResponses(t, `{"input":[`+tc.items+`]}`)
			var got []string
			for _, b := range r.Turns[0].Blocks {
				got = append(got, b.Kind.String()+"="+b.Origin)
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestResponsesSignatureOfACompatibleServer shows that a call which Google's
// OpenAI-compatible endpoint has signed keeps its signature for a client of this
// format.
func TestResponsesSignatureOfACompatibleServer(t *testing.T) {
	d, e := Chat{}.NewStreamDecoder(), Responses{}.NewStreamEncoder(exchange())
	var out []byte
	for _, data := range []string{
		`{"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]},"finish_reason":null}]}`,
		`{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`[DONE]`,
	} {
		events, err := d.Decode(nil, event(data))
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			out = e.Encode(out, &events[i])
		}
	}
	checkResponseEvents(t, out)
	back := decodeResponses(t, `{"input":`+finalOutput(t, out)+`}`)
	if b := back.Turns[0].Blocks; len(b) != 1 || b[0].Kind != chat.ToolUse || !b[0].Signature.Is("c2ln") || b[0].Origin != originGemini {
		t.Errorf("got %+v from %s", b, out)
	}
}
