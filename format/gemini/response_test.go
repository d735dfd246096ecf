package gemini

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestDecodeResponseReports(t *testing.T) {
	for _, tc := range []struct{ name, doc, lost string }{
		{"one", `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`, ""},
		{"two", `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}]}`, "candidates unsupported!"},
		{"malformed call", `{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"Malformed function call: print("}]}`, "finishReason MALFORMED_FUNCTION_CALL: Malformed function call: print( approximated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, tc.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(formattest.Losses(r.Lost)); got != tc.lost {
				t.Errorf("lost %q, want %q", got, tc.lost)
			}
		})
	}
}

func TestDecodeStops(t *testing.T) {
	call := `{"functionCall":{"name":"f"}}`
	for _, tc := range []struct {
		parts, reason string
		want          chat.StopReason
	}{
		{``, `"STOP"`, chat.StopEnd},
		{call, `"STOP"`, chat.StopToolUse},
		{``, `"MAX_TOKENS"`, chat.StopMaxTokens},
		{call, `"MAX_TOKENS"`, chat.StopMaxTokens},
		{``, `"IMAGE_SAFETY"`, chat.StopContentFilter},
		{``, `"TOO_MANY_TOOL_CALLS"`, chat.StopOther},
		{``, `"NO_IMAGE"`, chat.StopOther},
		{``, `"SOMETHING_NEW"`, chat.StopOther},
		{``, `7`, chat.StopEnd},
	} {
		r, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, `{"candidates":[{"content":{"parts":[`+tc.parts+`]},"finish_reason":`+tc.reason+`}]}`))
		if err != nil || r.Stop.Reason != tc.want {
			t.Errorf("%s %s: %+v, %v; want %d", tc.parts, tc.reason, r, err, tc.want)
		}
	}
}

// Probabilities of tokens as OpenAI's formats list them, and back.
func TestLogprobs(t *testing.T) {
	const theirs = `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"H","logProbability":-0.5},{"token":"i"}],"topCandidates":[{"candidates":[{"token":"H","logProbability":-0.5},{"token":"h","logProbability":-1e-3}]}]}}]}`
	const ours = `[{"token":"H","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"H","logprob":-0.5,"bytes":null},{"token":"h","logprob":-1e-3,"bytes":null}]},{"token":"i","logprob":0,"bytes":null,"top_logprobs":[]}]`
	r, err := GenerateContent{}.DecodeResponse(formattest.Parse(t, theirs))
	if err != nil || string(r.Blocks[0].Logprobs) != ours {
		t.Fatalf("got %s, %v", r.Blocks[0].Logprobs, err)
	}
	for _, raw := range []string{`{}`, `[]`, `7`, `broken`} {
		if got := appendLogprobs(nil, chat.Raw(raw)); len(got) > 0 {
			t.Errorf("%s is told as %s", raw, got)
		}
	}
	d := GenerateContent{}.NewStreamDecoder()
	events, err := d.Decode(nil, data(theirs))
	if err != nil || string(events[2].Logprobs) != ours {
		t.Fatalf("events %+v, %v", events, err)
	}
	e := GenerateContent{}.NewStreamEncoder(exchange())
	var out []byte
	for i := range events {
		out = e.Encode(out, &events[i])
	}
	want := `"logprobsResult":{"topCandidates":[{"candidates":[{"token":"H","logProbability":-0.5},{"token":"h","logProbability":-1e-3}]},{"candidates":[]}],"chosenCandidates":[{"token":"H","logProbability":-0.5},{"token":"i","logProbability":0}]}`
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s\nwant %s", out, want)
	}
}
